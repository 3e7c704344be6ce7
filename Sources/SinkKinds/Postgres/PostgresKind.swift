package import Connections
package import OrderLog
import PostgresClient
import Sinks
import ThreadedIO

/// Another Postgres: a function of the user's is called in the transaction that moves the position.
package struct PostgresKind: SinkKind {
    package static let name = "postgres"
    package static let guarantee = "exactly once, in one transaction with its position"
    package static let settings = [
        KindSetting("url-env", isRequired: true), KindSetting("function", isRequired: true), KindSetting("call"),
        KindSetting("quarantine"), KindSetting("positions"),
    ]
    /// Where the positions are unless it is said.
    package static let schema = "onewrite"

    let group: Group
    let function: FunctionName
    let isCalledForEach: Bool
    let quarantined: Set<String>
    let positions: PositionsTable
    private let settings: KindSettings

    package init(_ group: Group, _ settings: KindSettings) throws {
        self.group = group
        self.settings = settings
        guard let function = FunctionName(settings["function"] ?? "") else {
            throw settings.wrong("function", "expected NAME or SCHEMA.NAME, as Postgres has it")
        }
        self.function = function
        isCalledForEach = try settings.choice("call", of: ["batch", "each"], default: "batch") == "each"
        quarantined = Set(
            try settings.list("quarantine", "SQLSTATEs of five characters, parted by commas") {
                $0.utf8.count == 5 && $0.utf8.allSatisfy(Self.isOfState)
            })
        let schema = settings["positions"] ?? Self.schema
        guard LogConfiguration.isSchema(schema) else {
            throw settings.wrong("positions", "expected 1 to 63 of A-Z a-z 0-9 . _ -")
        }
        positions = PositionsTable(schema: schema)
    }

    private static func isOfState(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }

    package func check(_ servers: Servers, of identity: LogIdentity) throws {
        let connection = try connect(name: servers.name)
        let row = try facts(connection)
        guard row.string(0) != nil else {
            throw LogError(
                .badConfiguration,
                "\(place): there is no function \(function.text)(jsonb). onewrite group sql prints what is needed, with an example"
            )
        }
        guard try row.requireBool(2) == false else {
            throw LogError(
                .badConfiguration,
                "\(place): \(function.text) returns a set of rows; one value, or nothing, is expected")
        }
        guard row.string(3) != nil else {
            throw LogError(
                .badConfiguration,
                "\(place): there is no table \(positions.text). Have a person with the right run what "
                    + "onewrite group sql prints")
        }
        for (index, what) in [(1, "execute \(function.text)"), (4, "read and write \(positions.text)")] {
            guard try row.requireBool(index) else {
                throw LogError(
                    .notPermitted, "\(place): the role may not \(what). onewrite group sql prints the grants")
            }
        }
    }

    /// What the database says of function and table.
    private func facts(_ connection: PostgresConnection) throws -> PostgresRow {
        do throws(PostgresError) {
            let rows = try connection.query(
                FunctionName.facts, [.text("\(function.sql)(jsonb)"), .text(positions.sql)],
                until: .after(PostgresSink.timeout))
            guard let row = rows.first else { throw .malformed(reason: "nothing came back") }
            return row
        } catch {
            throw StoreError(error, at: place)
        }
    }

    package func connect(_ connections: SinkConnections, of identity: LogIdentity) throws -> MadeSink {
        let connection = try connect(name: connections.servers.name)
        return try connections.following(PostgresFunctionSink(connection, self, identity))
    }

    /// Where it is, for people: never the URL.
    private var place: String { "\(group)'s database (\(settings["url-env"] ?? ""))" }

    private func connect(name: String) throws -> PostgresConnection {
        do {
            var configuration = try PostgresConfiguration(url: try settings.environment("url-env"))
            configuration.applicationName = name
            let connection = try PostgresConnection(
                connectingTo: configuration, until: .after(configuration.connectTimeout), interrupt: nil)
            if let reason = connection.encodingTrouble { throw LogError(.badConfiguration, "\(place): \(reason)") }
            if let reason = try connection.standbyTrouble(until: .after(PostgresSink.timeout)) {
                throw StoreError(.own, .replica, "\(place): \(reason)")
            }
            return connection
        } catch let error as PostgresError {
            throw StoreError(error, at: place)
        }
    }
}

extension StoreError {
    /// An error of another database than the log's own.
    init(_ error: PostgresError, at place: String) {
        let known = StoreError(error)
        self.init(.own, known.kind, "\(place): \(known.message)", outcomeIsUnknown: known.outcomeIsUnknown)
    }
}

/// A function's name, as the user gave it.
struct FunctionName: Sendable {
    /// As it was given.
    let text: String
    /// Quoted for a statement.
    let sql: String

    /// Takes `name` or `schema.name`; nil for anything else.
    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count),
            parts.allSatisfy({ (1...63).contains($0.utf8.count) && !$0.contains("\0") })
        else { return nil }
        self.text = text
        sql = parts.map { PostgresQuoting.quoted(identifier: String($0)) }.joined(separator: ".")
    }

    /// The function, whether it may be executed, whether it returns a set; the table, and whether it may be used.
    static let facts = """
        SELECT f::oid::text, coalesce(has_function_privilege(f::oid, 'EXECUTE'), false),
            coalesce((SELECT proretset FROM pg_proc WHERE oid = f::oid), false),
            t::oid::text,
            coalesce(
                has_table_privilege(t::oid, 'SELECT') AND has_table_privilege(t::oid, 'INSERT')
                AND has_table_privilege(t::oid, 'UPDATE'), false)
        FROM (SELECT to_regprocedure($1) AS f, to_regclass($2) AS t) AS found
        """
}

/// The table in which another Postgres keeps the positions of groups, of any number of logs.
package struct PositionsTable: Sendable {
    private let schema: String

    package init(schema: String) { self.schema = schema }

    /// For a statement.
    var sql: String { "\(PostgresQuoting.quoted(identifier: schema)).sink_positions" }
    /// For people.
    var text: String { "\(schema).sink_positions" }

    /// What makes it, and lets a role use it.
    ///
    /// - Parameters:
    ///   - role: Who the group's workers are there; nil where it is left to the reader.
    ///   - function: What they call; nil for an example.
    /// - Returns: SQL, safe to run again.
    package func creation(role: String?, function: String?) -> String {
        let schema = PostgresQuoting.quoted(identifier: schema)
        let role = PostgresQuoting.quoted(identifier: role ?? "loyalty_worker")
        let name = function.flatMap { FunctionName($0) }?.sql ?? "loyalty.apply"
        return """
            -- Run by an owner, in the database that the group leads to; safe to run again.
            CREATE SCHEMA IF NOT EXISTS \(schema);

            -- How far each group is, a row a partition: moved in the transaction that calls the function.
            CREATE TABLE IF NOT EXISTS \(sql) (
                log text NOT NULL,
                sink text NOT NULL,
                partition integer NOT NULL,
                epoch bigint NOT NULL,
                seq bigint NOT NULL,
                entry text NOT NULL,
                token bigint NOT NULL,
                owner text NOT NULL,
                applied bigint NOT NULL DEFAULT 0,
                refused bigint NOT NULL DEFAULT 0,
                at timestamptz NOT NULL DEFAULT now(),
                PRIMARY KEY (log, sink, partition)
            );

            -- The role of the group's workers.
            GRANT USAGE ON SCHEMA \(schema) TO \(role);
            GRANT SELECT, INSERT, UPDATE ON \(sql) TO \(role);

            -- The function is yours. It is given a batch's changes as a JSON array, in log order, or with --call each one of them.
            -- What it raises undoes all of it, and the group stalls; with an SQLSTATE of --quarantine the change is set aside.
            --   CREATE FUNCTION \(name)(changes jsonb) RETURNS void LANGUAGE sql AS $$ … $$;
            GRANT EXECUTE ON FUNCTION \(name)(jsonb) TO \(role);

            """
    }
}
