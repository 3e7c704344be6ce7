package import Connections
package import OrderLog
package import PostgresClient
import RedisLog
import Reports
import Sinks
package import ThreadedIO

/// Postgres at one moment: a transaction that only reads, and sees nothing that is written after it began.
///
/// It takes no lock that a worker would wait for.
///
/// Postgres: <https://www.postgresql.org/docs/15/transaction-iso.html#XACT-REPEATABLE-READ>
package struct LedgerSnapshot {
    /// An entry that Postgres set aside.
    package struct Letter {
        package let reason: String
        /// What it would have done; nil when its fields are no change.
        package let change: Change?
    }

    /// The dead letters of a partition.
    package struct Letters {
        private(set) var bySeq: [Seq: Letter] = [:]
        /// Entries that were added by hand: they have no place.
        package var byHand: Set<EntryID> = []

        fileprivate mutating func add(_ row: PostgresRow) throws(PostgresError) {
            guard let seq = row.int64(0) else {
                if let id = EntryID(try row.requireString(1)) { byHand.insert(id) }
                return
            }
            bySeq[Seq(seq)] = Letter(reason: try row.requireString(2), change: LedgerSnapshot.change(row, from: 3))
        }
    }

    package static let takenReason = Quarantine.Reason.taken.rawValue

    /// How long a statement over whole tables may take.
    private static let patience: Duration = .seconds(1800)

    package let connection: PostgresConnection

    /// Connects, with time-outs that are made for long statements; nil when no Postgres is configured.
    package init?(_ servers: Servers, interrupt: Interrupt) throws {
        let connection = try servers.postgres(interrupt: interrupt) { configuration in
            configuration.statementTimeout = Self.patience
            configuration.idleInTransactionTimeout = .seconds(60)
        }
        guard let connection else { return nil }
        self.connection = connection
    }

    private var deadline: Deadline { .after(Self.patience) }

    /// Begins, which sets the moment.
    package func begin() throws(PostgresError) {
        try connection.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY", until: deadline)
        // Joins and groups of a million rows in memory; no code generated for statements that run once.
        try connection.script("SET LOCAL work_mem = '64MB'; SET LOCAL jit = off", until: deadline)
    }

    /// Ends the transaction.
    package func end() { connection.rollback() }

    /// The positions, and what is reserved.
    package func rows() throws(PostgresError) -> [Partition: LedgerRow] {
        var found: [Partition: LedgerRow] = [:]
        for row in try connection.query(
            "SELECT partition, epoch, replid, seq, entry, token, owner FROM partitions", until: deadline)
        {
            let (epoch, seq, token) = (try row.requireInt64(1), try row.requireInt64(3), try row.requireInt64(5))
            guard epoch >= 0, seq >= 0, token >= 0 else { throw .malformed(reason: "a negative number in partitions") }
            found[Partition(Int(try row.requireInt64(0)))] = LedgerRow(
                epoch: Epoch(epoch), replid: try row.requireString(2),
                position: Position(epoch: Epoch(epoch), seq: Seq(seq), entry: EntryID(try row.requireString(4))),
                token: Token(token), owner: try row.requireString(6))
        }
        return found
    }

    /// The partitions' shops, as the ledger knows them.
    package func shops() throws(PostgresError) -> [Partition: Set<Name>] {
        var found: [Partition: Set<Name>] = [:]
        for row in try connection.query("SELECT DISTINCT partition, shop FROM ledger", until: deadline) {
            found[Partition(Int(try row.requireInt64(0))), default: []].insert(Name(try row.requireString(1)))
        }
        return found
    }

    package func letters(of partition: Partition) throws -> Letters {
        var letters = Letters()
        try connection.forEachRow(
            """
            SELECT seq, entry, reason, type, id, shop, order_id, customer, lines, attributes
            FROM dead_letters WHERE partition = $1
            """, [.integer(Int64(partition.number))], until: deadline
        ) { try letters.add($0) }
        return letters
    }

    /// The stock of some shops.
    package func stock(of shops: some Sequence<Name>) throws -> [Name: [Name: Int64]] {
        var found: [Name: [Name: Int64]] = [:]
        try connection.forEachRow(
            "SELECT shop, sku, on_hand FROM stock WHERE shop = ANY ($1)", [.texts(shops.map(\.text))], until: deadline
        ) { found[Name(try $0.requireString(0)), default: [:]][Name(try $0.requireString(1))] = try $0.requireInt64(2) }
        return found
    }

    /// Goes through the ledger of a partition in its order.
    package func ledger(of partition: Partition) throws(PostgresError) -> LedgerCursor {
        try LedgerCursor(connection, partition, until: deadline)
    }

    /// Runs one of the checks that Postgres can do by itself.
    package func forEachRow(
        _ sql: String, _ parameters: [PostgresValue] = [], _ body: (PostgresRow) throws -> Void
    ) throws {
        try connection.forEachRow(sql, parameters, until: deadline, body)
    }

    /// The change that columns `type, id, shop, order_id, customer, lines, attributes` hold; nil when they are none.
    package static func change(_ row: PostgresRow, from column: Int) -> Change? {
        guard let type = row.string(column), let lines = row.string(column + 5) else { return nil }
        do throws(FieldError) {
            return try Change(
                ChangeDraft(
                    type: type, id: row.string(column + 1), shop: row.string(column + 2),
                    customer: row.string(column + 4), order: row.string(column + 3), lines: .text(lines),
                    attributes: row.string(column + 6)))
        } catch {
            return nil
        }
    }
}

/// A partition's ledger in the order of its seqs, some thousand rows at a time.
package struct LedgerCursor {
    /// A row, with its change taken out only where it is needed.
    package struct Row {
        package let seq: Seq
        fileprivate let row: PostgresRow

        /// What people know it by.
        package var name: String { "\(row.string(3) ?? "?") \(row.string(2) ?? "?")" }
        package var change: Change? { LedgerSnapshot.change(row, from: 1) }

        /// The first field in which it is another than `change`; nil when it is the same.
        package func difference(from change: Change) -> String? {
            let fields = [
                ("type", change.kind.rawValue), ("id", change.id), ("shop", change.shop), ("order", change.order),
                ("customer", change.customer), ("lines", change.lines.text), ("attributes", change.attributes),
            ]
            for (index, field) in fields.enumerated()
            where row.string(1 + index).map(Name.init) != field.1.map(Name.init) {
                return field.0
            }
            if row.string(8) != Digest(of: change).description { return "digest" }
            return nil
        }
    }

    private static let rowsMax = 2000

    private let connection: PostgresConnection
    private let deadline: Deadline
    private var rows: PostgresRows
    private var at = 0

    fileprivate init(
        _ connection: PostgresConnection, _ partition: Partition, until deadline: Deadline
    ) throws(PostgresError) {
        self.connection = connection
        self.deadline = deadline
        // Numbers made by ourselves: a cursor's statement takes no parameters.
        try connection.script(
            """
            -- One whose partition could not be compared to the end is open still.
            CLOSE ALL;
            DECLARE audit_ledger NO SCROLL CURSOR FOR
            SELECT seq, type, id, shop, order_id, customer, lines, attributes, digest
            FROM ledger WHERE partition = \(partition.number) ORDER BY seq
            """, until: deadline)
        rows = try Self.fetch(connection, deadline)
    }

    /// The row at `seq`, when there is one; rows below it are passed over.
    package mutating func row(at seq: Seq) throws(PostgresError) -> Row? {
        while true {
            if at == rows.count {
                if rows.isEmpty { return nil }
                rows = try Self.fetch(connection, deadline)
                at = 0
                continue
            }
            let row = rows[at]
            let found = try row.requireInt64(0)
            if found > seq.number { return nil }
            at += 1
            if found == seq.number { return Row(seq: seq, row: row) }
        }
    }

    package func close() throws(PostgresError) {
        try connection.script("CLOSE audit_ledger", until: deadline)
    }

    private static func fetch(
        _ connection: PostgresConnection, _ deadline: Deadline
    ) throws(PostgresError) -> PostgresRows {
        try connection.query("FETCH \(rowsMax) FROM audit_ledger", until: deadline)
    }
}
