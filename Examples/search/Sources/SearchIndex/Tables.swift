import GRDB
import Onewrite

extension SearchIndex {
    /// The tables, made when a file is opened for the first time.
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("tables") { db in
            try db.execute(
                sql: """
                    -- How far each partition is, and who may write: a SinkRecord each.
                    CREATE TABLE positions (
                        partition INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, entry TEXT NOT NULL,
                        token INTEGER NOT NULL, owner TEXT NOT NULL
                    );
                    CREATE TABLE orders (
                        number INTEGER PRIMARY KEY, partition INTEGER NOT NULL, seq INTEGER NOT NULL,
                        shop TEXT NOT NULL, id TEXT NOT NULL, customer TEXT NOT NULL, lines TEXT NOT NULL,
                        attributes TEXT, status TEXT NOT NULL,
                        UNIQUE (shop, id)
                    );
                    -- Units ordered and not cancelled. It is added to, so a change that counted twice would show.
                    CREATE TABLE sold (
                        shop TEXT NOT NULL, sku TEXT NOT NULL, units INTEGER NOT NULL, PRIMARY KEY (shop, sku)
                    ) WITHOUT ROWID;
                    """)
            // Triggers keep it equal to the table, in the same transaction.
            try db.create(virtualTable: "words", using: FTS5()) { table in
                table.synchronize(withTable: "orders")
                table.column("id")
                table.column("customer")
                table.column("lines")
                table.column("attributes")
            }
        }
        return migrator
    }
}

extension SinkRecord {
    /// Reads a partition's record.
    static func load(_ partition: Partition, from db: Database) throws -> SinkRecord {
        let sql = "SELECT epoch, seq, entry, token, owner FROM positions WHERE partition = ?"
        guard let row = try Row.fetchOne(db, sql: sql, arguments: [partition.number]) else { return .none }
        return SinkRecord(
            epoch: row["epoch"], seq: row["seq"], entry: row["entry"], token: row["token"], owner: row["owner"])
    }

    /// Keeps it, in the transaction that is under way.
    func save(_ partition: Partition, to db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [partition.number, epoch, seq, entry, token, owner])
    }
}

extension Batch.Applied {
    /// Brings one change into the tables.
    func index(in partition: Partition, _ db: Database) throws {
        switch change.kind {
        case .orderPlaced:
            // An ID that comes again after the idempotency window leaves the order as it is, as in Postgres.
            let statement = try db.cachedStatement(
                sql: """
                    INSERT INTO orders (partition, seq, shop, id, customer, lines, attributes, status)
                    VALUES (?, ?, ?, ?, ?, ?, ?, 'placed') ON CONFLICT (shop, id) DO NOTHING
                    """)
            try statement.execute(arguments: [
                partition.number, place.seq.number, change.shop, change.id, change.customer, change.lines.text,
                change.attributes,
            ])
            try count(1, db)
        case .orderCancelled:
            let statement = try db.cachedStatement(
                sql: "UPDATE orders SET status = 'cancelled' WHERE shop = ? AND id = ?")
            try statement.execute(arguments: [change.shop, change.order])
            try count(-1, db)
        case .orderReturned:
            try count(-1, db)
        case .stockReceived, .stockCounted:
            // Nothing that anybody looks for; the position moves over it.
            break
        }
    }

    private func count(_ factor: Int64, _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO sold VALUES (?, ?, ?)
                ON CONFLICT (shop, sku) DO UPDATE SET units = units + excluded.units
                """)
        for line in change.lines.items {
            try statement.execute(arguments: [change.shop, line.sku, factor * line.quantity])
        }
    }
}
