package import OrderLog
package import PostgresClient
import ThreadedIO

/// What Postgres knows of an order.
package struct OrderLedger {
    package let postgres: PostgresConnection

    private static let timeout: Duration = .seconds(5)
    /// As many shops as a list of them is still read by somebody.
    package static let shopsMax = 100

    /// A change as the ledger, or the table of dead letters, has it.
    package struct Row {
        package let place: OrderTrail.LogPlace
        package let appliedAt: String?
        package let dead: (reason: String, error: String)?
        package let type: String?
    }

    /// The shops that have an order of this ID, or a dead letter that would have been one.
    ///
    /// The table is searched from end to end where the ID is no index's first column.
    package func shops(ofOrder id: String) throws(PostgresError) -> [String] {
        let rows = try postgres.query(
            """
            SELECT shop FROM orders WHERE id = $1
            UNION SELECT shop FROM dead_letters WHERE id = $1 AND shop IS NOT NULL AND type = 'order.placed'
            ORDER BY 1 LIMIT $2::int
            """, [.text(id), .integer(Int64(Self.shopsMax + 1))], until: .after(Self.timeout))
        var shops: [String] = []
        for row in rows { shops.append(try row.requireString(0)) }
        return shops
    }

    /// The order, with the seq of the change that made it.
    package func order(_ id: String, ofShop shop: String) throws(PostgresError) -> (
        stored: OrderTrail.Stored, seq: Int
    )? {
        let rows = try postgres.query(
            """
            SELECT o.status, o.customer, to_char(o.placed_at, '\(Self.timeFormat)'), o.seq, l.sku, l.quantity,
                -- Only from format 3 on there is such a column.
                coalesce((to_jsonb(l) ->> 'returned')::bigint, 0)
            FROM orders o LEFT JOIN order_lines l ON l.shop = o.shop AND l.order_id = o.id
            WHERE o.shop = $1 AND o.id = $2 ORDER BY l.sku
            """, [.text(shop), .text(id)], until: .after(Self.timeout))
        guard let first = rows.first else { return nil }
        let lines = rows.compactMap { row in
            row.string(4).flatMap { sku in
                row.int64(5).map { OrderTrail.Stored.Line(sku: sku, quantity: $0, returned: row.int64(6) ?? 0) }
            }
        }
        let stored = OrderTrail.Stored(
            status: try first.requireString(0), customer: try first.requireString(1),
            placedAt: try first.requireString(2), lines: lines)
        return (stored, Int(try first.requireInt64(3)))
    }

    /// A change by its place; nil when another change, or none, is accounted for there.
    package func change(_ id: String, ofShop shop: String, partition: Partition, seq: Int) throws(PostgresError) -> Row?
    {
        try first(
            "l.partition = $1::int AND l.seq = $4::bigint AND l.shop = $2 AND l.id = $3",
            [.integer(Int64(partition.number)), .text(shop), .text(id), .integer(Int64(seq))])
    }

    /// A change that lies somewhere behind a seq.
    ///
    /// Without a better way: the partition's part of the ledger is read from there.
    package func change(_ id: String, ofShop shop: String, partition: Partition, behind seq: Int) throws(PostgresError)
        -> Row?
    {
        try first(
            "l.partition = $1::int AND l.seq > $4::bigint AND l.shop = $2 AND l.id = $3",
            [.integer(Int64(partition.number)), .text(shop), .text(id), .integer(Int64(seq))])
    }

    /// A dead letter without a known place.
    package func deadLetter(_ id: String, ofShop shop: String, partition: Partition) throws(PostgresError) -> Row? {
        let rows = try postgres.query(
            """
            SELECT seq, epoch, entry, NULL, reason, error, type FROM dead_letters
            WHERE partition = $1::int AND shop = $2 AND id = $3 AND seq IS NOT NULL ORDER BY seq LIMIT 1
            """, [.integer(Int64(partition.number)), .text(shop), .text(id)], until: .after(Self.timeout))
        return try rows.first.map { row throws(PostgresError) in try Self.row(row) }
    }

    /// How far the sink got.
    package func position(_ partition: Partition) throws(PostgresError) -> Int? {
        let rows = try postgres.query(
            "SELECT seq FROM partitions WHERE partition = $1::int", [.integer(Int64(partition.number))],
            until: .after(Self.timeout))
        return try rows.first.map { row throws(PostgresError) in Int(try row.requireInt64(0)) }
    }

    private func first(_ condition: String, _ parameters: [PostgresValue]) throws(PostgresError) -> Row? {
        let rows = try postgres.query(
            """
            (SELECT l.seq, l.epoch, l.entry, to_char(l.applied_at, '\(Self.timeFormat)'), NULL, NULL, l.type
            FROM ledger l WHERE \(condition) ORDER BY l.seq LIMIT 1)
            UNION ALL
            (SELECT l.seq, l.epoch, l.entry, NULL, l.reason, l.error, l.type
            FROM dead_letters l WHERE \(condition) ORDER BY l.seq LIMIT 1)
            """, parameters, until: .after(Self.timeout))
        return try rows.first.map { row throws(PostgresError) in try Self.row(row) }
    }

    private static func row(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(
            place: OrderTrail.LogPlace(
                seq: Int(try row.requireInt64(0)), epoch: Int(try row.requireInt64(1)),
                entry: try row.requireString(2)),
            appliedAt: row.string(3),
            dead: row.string(4).map { ($0, row.string(5) ?? "") },
            type: row.string(6))
    }

    /// ISO 8601; the session's time zone is UTC.
    private static let timeFormat = #"YYYY-MM-DD"T"HH24:MI:SS.MS"Z""#
}
