import GRDB
import Onewrite

/// A full-text index of all orders in one SQLite file: the sink of the group `search`.
///
/// Position, token and index change in one transaction. A file takes one writer at a time, in whatever process it is; the
/// others wait for it for five seconds, and what then still can't be written is tried again by the worker.
///
/// SQLite, transactions: <https://www.sqlite.org/lang_transaction.html>
public actor SearchIndex: Sink {
    let database: DatabaseQueue

    /// Opens a file, and makes it when it isn't there.
    ///
    /// - Parameter path: The file's; SQLite puts two others beside it, `-wal` and `-shm`.
    /// - Throws: `DatabaseError`.
    public init(path: String) throws {
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(5)
        database = try DatabaseQueue(path: path, configuration: configuration)
        try Self.migrator.migrate(database)
    }

    // MARK: - What the worker calls

    /// Takes a partition over, in one transaction.
    public func fence(
        _ partition: Partition, under history: History, owner: WorkerName
    ) async throws -> FenceOutcome {
        try await database.write { db in
            var record = try SinkRecord.load(partition, from: db)
            let outcome = record.takeOver(partition, under: history, by: owner)
            if case .fenced = outcome { try record.save(partition, to: db) }
            return outcome
        }
    }

    /// Brings a batch into the index and moves the position, in one transaction.
    public func apply(_ batch: Batch) async throws -> ApplyOutcome {
        try await database.write { db in
            var record = try SinkRecord.load(batch.permit.partition, from: db)
            let outcome = record.advance(over: batch)
            if outcome == .applied {
                for entry in batch.applied { try entry.index(in: batch.permit.partition, db) }
                try record.save(batch.permit.partition, to: db)
            }
            return outcome
        }
    }

    // MARK: - What people ask

    /// An order that was found.
    public struct Hit: Sendable, Hashable {
        /// Whose order it is.
        public let shop: String
        /// The order's ID.
        public let id: String
        /// Who ordered.
        public let customer: String
        /// `TEA-250:2 MUG-1:1`.
        public let lines: String
        /// `placed` or `cancelled`.
        public let status: String
    }

    /// Finds orders by the beginnings of words in ID, customer, lines and attributes.
    ///
    /// - Parameters:
    ///   - text: The words; all have to be there. Without a word nothing is found.
    ///   - limit: The most orders to return.
    /// - Returns: The best first.
    /// - Throws: `DatabaseError`.
    public func find(_ text: String, limit: Int = 20) async throws -> [Hit] {
        guard let pattern = FTS5Pattern(matchingAllPrefixesIn: text) else { return [] }
        return try await database.read { db in
            let sql = """
                SELECT orders.* FROM orders JOIN words ON words.rowid = orders.number AND words MATCH ?
                ORDER BY rank LIMIT ?
                """
            return try Row.fetchAll(db, sql: sql, arguments: [pattern, limit]).map { row in
                Hit(
                    shop: row["shop"], id: row["id"], customer: row["customer"], lines: row["lines"],
                    status: row["status"])
            }
        }
    }
}
