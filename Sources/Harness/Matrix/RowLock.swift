import PostgresClient
import ThreadedIO

/// A session that holds the rows of all positions, so that every batch for Postgres waits.
actor RowLock {
    private let executor = ThreadExecutor(name: "row-lock")
    private let shop: Shop
    private var connection: PostgresConnection?

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ shop: Shop) {
        self.shop = shop
    }

    /// Takes the rows, if they belong to these workers already; else nobody could take them over.
    ///
    /// - Returns: Whether it has them.
    func take(ownedBy owners: Set<String>) throws -> Bool {
        let connection = try shop.postgres()
        try connection.query("BEGIN", until: .after(.seconds(5)))
        try connection.query("SET LOCAL idle_in_transaction_session_timeout = 0", until: .after(.seconds(5)))
        let rows = try connection.query("SELECT owner FROM partitions FOR UPDATE", until: .after(.seconds(5)))
        guard Set(rows.compactMap { $0.string(0) }) == owners else {
            connection.close()
            return false
        }
        self.connection = connection
        return true
    }

    /// The server rolls the transaction back when the session ends.
    func release() {
        connection?.close()
        connection = nil
    }
}
