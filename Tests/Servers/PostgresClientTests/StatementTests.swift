import PostgresClient
import Testing
import ThreadedIO

@Suite("Statements")
struct StatementTests {
    let connection: PostgresConnection

    init() throws {
        connection = try TestPostgres.shared.connect()
    }

    static let awkward = [
        "", " ", "plain", "NULL", "null", #"a "quoted" \ back\\slash"#, "it's", "{},{\"}", "ünï \u{1F375} 茶",
        "line\nbreak\ttab",
    ]

    @Test("every type comes back as it was sent")
    func roundTrip() throws {
        let bytes: [UInt8] = Array(0...255)
        let rows = try connection.query(
            "SELECT $1::text, $2::bigint, $3::boolean, $4::bytea, $5::text, $6::bytea, $7::bigint",
            [
                .text(#"ünï "\'"#), .integer(.min), .boolean(true), .bytes(bytes), .null, .bytes([]), .integer(.max),
            ], until: soon)
        let row = rows[0]
        #expect(rows.count == 1 && row.count == 7)
        #expect(row.string(0) == #"ünï "\'"#)
        #expect(row.int64(1) == .min)
        #expect(row.bool(2) == true)
        #expect(row.bytes(3) == bytes)
        #expect(row.isNull(4) && row.string(4) == nil)
        #expect(row.bytes(5) == [])
        #expect(try row.requireInt64(6) == .max)
    }

    @Test("texts in arrays come back as they were sent")
    func textArray() throws {
        let texts: [String?] = Self.awkward + [nil]
        for parameter in [PostgresValue.texts(texts), .array(built(texts))] {
            let rows = try connection.query("SELECT unnest($1::text[])", [parameter], until: soon)
            #expect(rows.map { $0.string(0) } == texts)
        }
    }

    @Test("integers, booleans and bytes in arrays come back as they were sent")
    func otherArrays() throws {
        let integers: [Int64?] = [.min, -1, 0, nil, 10, .max]
        let booleans: [Bool?] = [true, nil, false, nil, nil, nil]
        let bytes: [[UInt8]?] = [[], [0], nil, Array(0...255), Array("\\\"".utf8), [255]]
        let rows = try connection.query(
            "SELECT * FROM unnest($1::bigint[], $2::boolean[], $3::bytea[])",
            [.integers(integers), .booleans(booleans), .byteArrays(bytes)], until: soon)
        #expect(rows.map { $0.int64(0) } == integers)
        #expect(rows.map { $0.bool(1) } == booleans)
        #expect(rows.map { $0.bytes(2) } == bytes)
    }

    @Test("an empty array is no rows, not a null")
    func emptyArray() throws {
        let rows = try connection.query(
            "SELECT cardinality($1::text[]), cardinality($2::bigint[])", [.texts([]), .array(PostgresArray())],
            until: soon)
        #expect(rows[0].int64(0) == 0 && rows[0].int64(1) == 0)
    }

    @Test("20 000 rows go in by unnest, and their number comes back")
    func manyRows() throws {
        try connection.script("CREATE TEMPORARY TABLE many (id bigint, name text, note text)", until: soon)
        var (ids, names, notes) = (PostgresArray(), PostgresArray(), PostgresArray())
        for id in 1...20_000 {
            ids.append(Int64(id))
            names.append("order-\(id)")
            if id.isMultiple(of: 2) { notes.appendNull() } else { notes.append(#"a "note" to read"#) }
        }
        #expect(ids.count == 20_000)
        let clock = ContinuousClock()
        let duration = try clock.measure {
            let rows = try connection.query(
                "INSERT INTO many SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])",
                [.array(ids), .array(names), .array(notes)], until: soon)
            #expect(rows.affected == 20_000)
        }
        #expect(duration < .seconds(5))
        let rows = try connection.query("SELECT count(*), sum(id), count(note) FROM many", until: soon)
        #expect((0..<3).map { rows[0].int64($0) } == [20_000, 200_010_000, 10_000])
    }

    @Test("big parameters and a big answer at once don't block each other")
    func bothWays() throws {
        let text = String(repeating: "x", count: 20_000_000)
        let rows = try connection.query("SELECT $1::text", [.text(text)], until: soon)
        #expect(rows[0].string(0) == text)
    }

    @Test("nothing is left in the session, which a pooler lends to the next")
    func leavesNothing() throws {
        var configuration = try TestPostgres.shared.configuration()
        configuration.schema = "ours"
        configuration.avoidsScans = true
        let connection = try PostgresConnection(connectingTo: configuration, until: soon, interrupt: nil)
        try connection.query("SELECT $1::text", [.text("")], until: soon)
        try connection.begin(until: soon)
        connection.rollback()
        // COMMIT ends the transaction that the settings were for.
        try connection.script(
            """
            COMMIT;
            CREATE TEMPORARY TABLE left_behind AS
            SELECT name FROM pg_settings WHERE source = 'session' UNION ALL SELECT name FROM pg_prepared_statements
            """, until: soon)
        #expect(try connection.query("SELECT name FROM left_behind", until: soon).map { $0.string(0) } == [])
    }

    @Test("a plan is kept where the session is ours, and where it is gone the statement is done all the same")
    func keptPlan() throws {
        func double(_ number: Int64) throws -> Int64? {
            try connection.send("SELECT 2 * $1::bigint", [.integer(number)], keepsPlan: true, until: soon)
            return try connection.receive(until: soon)[0].int64(0)
        }
        func plans() throws -> [Int64?] {
            try connection.query(
                """
                SELECT generic_plans + custom_plans FROM pg_prepared_statements
                WHERE name LIKE 'onewrite\\_%' AND statement LIKE 'SELECT 2 %'
                """, until: soon
            ).map { $0.int64(0) }
        }
        // The first transaction tells whose session it is.
        #expect(try double(1) == 2 && plans() == [])
        for number in Int64(2)...4 { #expect(try double(number) == 2 * number) }
        #expect(try plans() == [3])
        // As a pooler does that was taken for the server.
        try connection.script("DEALLOCATE ALL", until: soon)
        #expect(try double(5) == 10 && double(6) == 12)
        #expect(try plans() == [])
    }

    @Test("a refused statement leaves its plan, and the connection, usable")
    func refusedWithPlan() throws {
        for round in 0..<3 {
            try connection.send("SELECT 6 / $1::bigint", [.integer(0)], keepsPlan: true, until: soon)
            #expect(postgresError { try connection.receive(until: soon) }?.sqlState == "22012")
            try connection.send("SELECT 6 / $1::bigint", [.integer(2)], keepsPlan: true, until: soon)
            #expect(try connection.receive(until: soon)[0].int64(0) == 3, "round \(round)")
        }
    }

    @Test("each transaction has the settings, however it begins")
    func settingsByTransaction() throws {
        var configuration = try TestPostgres.shared.configuration()
        configuration.lockTimeout = .milliseconds(4321)
        let connection = try PostgresConnection(connectingTo: configuration, until: soon, interrupt: nil)
        func lockTimeout() throws -> String? {
            try connection.query("SELECT current_setting('lock_timeout')", until: soon)[0].string(0)
        }
        #expect(try lockTimeout() == "4321ms")
        try connection.begin(until: soon)
        #expect(try lockTimeout() == "4321ms")
        connection.rollback()
        try connection.script(
            "CREATE TEMPORARY TABLE seen AS SELECT current_setting('lock_timeout') AS value", until: soon)
        #expect(try connection.query("SELECT value FROM seen", until: soon)[0].string(0) == "4321ms")
        var streamed: String?
        try connection.forEachRow("SELECT current_setting('lock_timeout')", until: soon) { streamed = $0.string(0) }
        #expect(streamed == "4321ms")
    }

    @Test("rows come one by one in a transaction too")
    func streamingInTransaction() throws {
        try connection.begin(until: soon)
        var numbers: [Int64?] = []
        try connection.forEachRow("SELECT generate_series(1, 3)", until: soon) { numbers.append($0.int64(0)) }
        #expect(numbers == [1, 2, 3])
    }

    @Test("a statement goes on at the server while the thread does something else")
    func splitPhase() throws {
        try connection.send(
            "SELECT $1::text", [.text("now")], until: soon)
        #expect(connection.hasStatementUnderWay)
        let observer = try TestPostgres.shared.connect()
        #expect(try observer.query("SELECT 1", until: soon).count == 1)
        #expect(try connection.receive(until: soon)[0].string(0) == "now")
        #expect(!connection.hasStatementUnderWay)
    }

    @Test("a script does all of its statements or none")
    func script() throws {
        try connection.script("CREATE TEMPORARY TABLE a (n int); INSERT INTO a VALUES (1), (2)", until: soon)
        #expect(
            postgresError { try connection.script("DELETE FROM a; SELECT 1 / 0", until: soon) }?.sqlState == "22012")
        #expect(try connection.query("SELECT count(*) FROM a", until: soon)[0].int64(0) == 2)
    }

    @Test("rows come one by one, all of them, in order")
    func streaming() throws {
        var next: Int64 = 1
        try connection.forEachRow("SELECT n FROM generate_series(1, $1::bigint) n", [.integer(50_000)], until: soon) {
            row in
            #expect(row.int64(0) == next)
            next += 1
        }
        #expect(next == 50_001)
    }

    @Test("a stream that is broken off leaves the connection usable")
    func brokenStream() throws {
        struct Enough: Error {}
        var seen = 0
        #expect(throws: Enough.self) {
            try connection.forEachRow("SELECT generate_series(1, 10000000)", until: soon) { _ in
                seen += 1
                if seen == 3 { throw Enough() }
            }
        }
        #expect(seen == 3)
        #expect(try connection.query("SELECT 1", until: soon)[0].int64(0) == 1)
    }

    @Test("an error in the middle of a stream arrives after the rows before it")
    func failingStream() throws {
        var seen = 0
        let error = postgresError {
            try connection.forEachRow("SELECT 1 / (n - 3) FROM generate_series(1, 5) n", until: soon) { _ in seen += 1 }
        }
        #expect(error?.sqlState == "22012" && seen == 2)
    }

    @Test("NUL in a text is refused before anything is sent")
    func nul() throws {
        for parameter in [PostgresValue.text("a\0b"), .texts(["a", "\0"]), .array(built(["x\0"]))] {
            let error = postgresError { try connection.query("SELECT $1", [parameter], until: soon) }
            guard case .invalidParameter = error else {
                Issue.record("\(error as Any)")
                continue
            }
            #expect(error?.isRetriable == false && error?.outcomeIsUnknown == false)
        }
        #expect(try connection.query("SELECT $1::bytea", [.bytes([0])], until: soon)[0].bytes(0) == [0])
    }

    @Test("what isn't of the expected form is named by its column, without its value")
    func malformed() throws {
        let rows = try connection.query("SELECT 'secret' AS word, NULL AS nothing", until: soon)
        #expect(rows[0].int64(0) == nil && rows[0].bytes(0) == nil && rows[0].string(7) == nil)
        let error = postgresError { _ = try rows[0].requireInt64(0) }
        #expect(error?.description.contains("word") == true && error?.description.contains("secret") == false)
        #expect(postgresError { _ = try rows[0].requireString(1) }?.description.contains("NULL") == true)
        #expect(postgresError { _ = try rows[0].requireString(7) } != nil)
    }

    @Test("a COPY is refused instead of waited for")
    func copy() throws {
        #expect(postgresError { try connection.script("COPY pg_class TO STDOUT", until: soon) } != nil)
        #expect(!connection.isUsable)
    }

    @Test("a refusal names table and constraint, never the row")
    func constraint() throws {
        try connection.script("CREATE TEMPORARY TABLE orders (id text CONSTRAINT only_once PRIMARY KEY)", until: soon)
        let insert = "INSERT INTO orders VALUES ($1)"
        try connection.query(insert, [.text("secret")], until: soon)
        let error = try #require(postgresError { try connection.query(insert, [.text("secret")], until: soon) })
        guard case .server(let server) = error else { throw error }
        #expect(server.sqlState == "23505" && server.table == "orders" && server.constraint == "only_once")
        #expect(!error.isRetriable && !error.outcomeIsUnknown)
        #expect(!"\(error) \(String(reflecting: error))".contains("secret"))
    }

    @Test("a value that the server quotes is cut out of its message", arguments: ["bigint", "json", "text[]"])
    func quotedValue(type: String) throws {
        let error = try #require(
            postgresError { try connection.query("SELECT $1::\(type)", [.text(#"se"cret{"#)], until: soon) })
        #expect(error.sqlState == "22P02" && !"\(error)".contains("cret"))
    }

    @Test("a value that begins with a combining mark is cut out, too: with the quotation mark it is one character")
    func quotedMark() throws {
        let error = try #require(
            postgresError { try connection.query("SELECT $1::bigint", [.text("\u{301}secret")], until: soon) })
        #expect(error.sqlState == "22P02" && !"\(error)".contains("secret"))
    }

    private func built(_ texts: [String?]) -> PostgresArray {
        var array = PostgresArray()
        for text in texts {
            if let text { array.append(text) } else { array.appendNull() }
        }
        return array
    }
}
