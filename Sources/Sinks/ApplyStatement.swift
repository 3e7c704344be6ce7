import OrderLog
import PostgresClient

/// The one statement that applies a batch: a transaction by itself, in one round trip.
///
/// So no transaction ever stays open while a worker thinks, or is stopped: the server has all of it or nothing.
enum ApplyStatement {
    static func parameters(for batch: Batch) -> [PostgresValue] {
        let rows = BatchRows(batch)
        let permit = batch.permit
        let position: [PostgresValue] = [
            .integer(Int64(permit.partition.number)), .integer(permit.token.number), .text(permit.owner.text),
            .integer(permit.history.epoch.number), .integer(batch.first.number - 1), .integer(batch.last.number),
            .text(batch.lastEntry?.description ?? ""),
        ]
        return position + rows.columns
    }

    /// The statement that takes every order of the batch for new, as they are but for replays.
    ///
    /// An order that is there already makes it fail with SQLSTATE 23505 and leave nothing; ``patient(for:)`` is for that.
    static func plain(for batch: Batch) -> String {
        if batch.hasReturns { return batch.deadLetters.isEmpty ? plainWithReturns : plainWithBoth }
        return batch.deadLetters.isEmpty ? plain : plainWithDeadLetters
    }

    /// The statement that leaves orders as they are that are there already.
    static func patient(for batch: Batch) -> String {
        if batch.hasReturns { return batch.deadLetters.isEmpty ? patientWithReturns : patientWithBoth }
        return batch.deadLetters.isEmpty ? patient : patientWithDeadLetters
    }

    private static let plain = sql(placing: new())
    private static let plainWithDeadLetters = sql(placing: new(), deadLetters: deadLetters)
    private static let patient = sql(placing: maybeKnown())
    private static let patientWithDeadLetters = sql(placing: maybeKnown(), deadLetters: deadLetters)
    // Only logs whose tables have the column get returns.
    private static let plainWithReturns = sql(placing: new(returnsFrom: 33), returnsFrom: 33)
    private static let plainWithBoth = sql(placing: new(returnsFrom: 45), deadLetters: deadLetters, returnsFrom: 45)
    private static let patientWithReturns = sql(placing: maybeKnown(returnsFrom: 33), returnsFrom: 33)
    private static let patientWithBoth = sql(
        placing: maybeKnown(returnsFrom: 45), deadLetters: deadLetters, returnsFrom: 45)

    /// Orders and lines of which none is there.
    private static func new(returnsFrom first: Int? = nil) -> String {
        """
        placed AS (
            INSERT INTO orders (shop, id, customer, status, attributes, placed_at, partition, seq) \(placedRows)
        ),
        lined AS (
            INSERT INTO order_lines (shop, order_id, sku, quantity\(first == nil ? "" : ", returned")) \(lineRows(first))
        )
        """
    }

    /// An order that is there already keeps its first row.
    private static func maybeKnown(returnsFrom first: Int? = nil) -> String {
        let returned = first == nil ? "" : ", returned"
        return """
            placed AS (
                INSERT INTO orders (shop, id, customer, status, attributes, placed_at, partition, seq) \(placedRows)
                ON CONFLICT DO NOTHING
                RETURNING shop, id
            ),
            lined AS (
                INSERT INTO order_lines (shop, order_id, sku, quantity\(returned))
                SELECT * FROM (\(lineRows(first))) AS l (shop, order_id, sku, quantity\(returned))
                -- IS TRUE keeps the planner from making it a join: a hashed look-up a line, whatever it thinks of the sizes.
                WHERE ((shop, order_id) IN (SELECT shop, id FROM placed)) IS TRUE
                ON CONFLICT DO NOTHING
            )
            """
    }

    // Arrays are unnested where rows are selected, not in FROM: there each would be written into a table of its own first.

    /// `status` is set for an order that is placed: as it stands at the batch's end.
    private static let placedRows = """
        SELECT shop, id, customer, status, attributes::jsonb, to_timestamp(ms::float8 / 1000), $1, seq
        FROM (
            SELECT unnest($8::bigint[]) AS seq, unnest($12::text[]) AS id, unnest($14::text[]) AS shop,
                unnest($16::text[]) AS customer, unnest($18::text[]) AS attributes, unnest($19::bigint[]) AS ms,
                unnest($20::text[]) AS status
            WHERE EXISTS (SELECT FROM moved)
        ) AS o
        WHERE status IS NOT NULL
        """

    /// - Parameter first: Where the parameters of what came back begin.
    /// - Returns: A query.
    private static func lineRows(_ first: Int?) -> String {
        let returned = first.map { ", unnest($\($0)::bigint[])" } ?? ""
        return """
            SELECT unnest($21::text[]), unnest($22::text[]), unnest($23::text[]), unnest($24::bigint[])\(returned)
            WHERE EXISTS (SELECT FROM moved)
            """
    }

    /// Orders that are there already, and end the batch cancelled.
    private static let cancelledStatus = (
        orders: "(SELECT DISTINCT * FROM unnest($25::text[], $26::text[]) AS u (shop, id)) AS c", status: "'cancelled'"
    )

    /// The same, and those of which something came back: returned, when all of it did.
    private static func returnedStatus(_ first: Int) -> (orders: String, status: String) {
        let back =
            "unnest($\(first + 1)::text[], $\(first + 2)::text[], $\(first + 3)::text[], $\(first + 4)::bigint[])"
        return (
            """
            (SELECT shop, id, bool_or(is_cancelled) AS is_cancelled FROM (
                SELECT *, true FROM unnest($25::text[], $26::text[])
                UNION ALL SELECT r.shop, r.order_id, false FROM \(back) AS r (shop, order_id, sku, quantity)
            ) AS u (shop, id, is_cancelled) GROUP BY shop, id) AS c
            """,
            """
            CASE WHEN c.is_cancelled THEN 'cancelled' WHEN status = 'placed' AND NOT EXISTS (
                    SELECT FROM order_lines AS l
                    LEFT JOIN \(back) AS r (shop, order_id, sku, quantity)
                        ON r.shop = l.shop AND r.order_id = l.order_id AND r.sku = l.sku
                    WHERE l.shop = c.shop AND l.order_id = c.id AND l.returned + coalesce(r.quantity, 0) < l.quantity)
                THEN 'returned' ELSE status END
            """
        )
    }

    /// What came back of orders that are there already; rows are put on themselves as for `cancelled`.
    private static func returns(_ first: Int) -> String {
        """
        ,
        back AS (
            INSERT INTO order_lines (shop, order_id, sku, quantity, returned)
            SELECT a.shop, a.order_id, a.sku, a.quantity, r.quantity
            FROM unnest($\(first + 1)::text[], $\(first + 2)::text[], $\(first + 3)::text[], $\(first + 4)::bigint[])
                    AS r (shop, order_id, sku, quantity),
                LATERAL (
                    SELECT shop, order_id, sku, quantity FROM order_lines AS l
                    WHERE l.shop = r.shop AND l.order_id = r.order_id AND l.sku = r.sku LIMIT 1
                ) AS a
            WHERE EXISTS (SELECT FROM moved)
            ON CONFLICT (shop, order_id, sku) DO UPDATE SET returned = order_lines.returned + excluded.returned
        )
        """
    }

    private static func sql(placing: String, deadLetters: String = "", returnsFrom first: Int? = nil) -> String {
        let changed = first.map(returnedStatus) ?? cancelledStatus
        return """
            /* onewrite: apply a batch */
            WITH
            -- 1. The position. It takes the row's lock; without it nothing below happens.
            moved AS (
                UPDATE partitions SET seq = $6, entry = $7
                WHERE partition = $1 AND token = $2 AND owner = $3
                    AND epoch = $4 AND seq = $5
                RETURNING partition
            ),
            -- 2. The ledger.
            ledgered AS (
                INSERT INTO ledger (partition, seq, epoch, entry, digest, id, type, shop, order_id, customer, lines,
                    attributes, appended_at)
                SELECT $1, seq, epoch, entry, digest, id, type, shop, order_id, customer, lines, attributes,
                    to_timestamp(ms::float8 / 1000)
                FROM (
                    SELECT unnest($8::bigint[]) AS seq, unnest($9::bigint[]) AS epoch, unnest($10::text[]) AS entry,
                        unnest($11::text[]) AS digest, unnest($12::text[]) AS id, unnest($13::text[]) AS type,
                        unnest($14::text[]) AS shop, unnest($15::text[]) AS order_id, unnest($16::text[]) AS customer,
                        unnest($17::text[]) AS lines, unnest($18::text[]) AS attributes, unnest($19::bigint[]) AS ms
                    WHERE EXISTS (SELECT FROM moved)
                ) AS a
            ),
            -- 3. Orders and their lines.
            \(placing),
            cancelled AS (
                -- A row put on itself: one that somebody else is changing is waited for, and then changed. (A ctid would silently
                -- pass over it.) LATERAL … LIMIT 1 keeps it one look-up an order; the sink's connection sees to it that an index is used.
                INSERT INTO orders (shop, id, customer, status, attributes, placed_at, partition, seq)
                SELECT o.* FROM \(changed.orders),
                    LATERAL (
                        SELECT shop, id, customer, \(changed.status), attributes, placed_at, partition, seq FROM orders
                        WHERE orders.shop = c.shop AND orders.id = c.id LIMIT 1
                    ) AS o
                WHERE EXISTS (SELECT FROM moved)
                ON CONFLICT (shop, id) DO UPDATE SET status = excluded.status
            ),
            -- 4. Stock: a SKU is either counted, or changed by a difference.
            counted AS (
                INSERT INTO stock AS s (shop, sku, on_hand)
                SELECT unnest($27::text[]), unnest($28::text[]), unnest($29::bigint[])
                WHERE EXISTS (SELECT FROM moved)
                ON CONFLICT (shop, sku) DO UPDATE SET on_hand = excluded.on_hand
            ),
            changed AS (
                INSERT INTO stock AS s (shop, sku, on_hand)
                SELECT unnest($30::text[]), unnest($31::text[]), unnest($32::bigint[])
                WHERE EXISTS (SELECT FROM moved)
                ON CONFLICT (shop, sku) DO UPDATE SET on_hand = s.on_hand + excluded.on_hand
            )\(deadLetters)\(first.map(returns) ?? "")
            SELECT partition FROM moved
            """
    }

    private static let deadLetters = """
        ,
        -- 5. Entries set aside. One that was added by hand may be set aside again after a lost acknowledgement.
        dead AS (
            INSERT INTO dead_letters (partition, epoch, entry, seq, id, type, shop, order_id, customer, lines,
                attributes, fields, reason, error)
            SELECT $1, $4, entry, seq, id, type, shop, order_id, customer, lines, attributes, fields, reason, error
            FROM unnest(
                $33::text[], $34::bigint[], $35::text[], $36::text[], $37::text[], $38::text[], $39::text[], $40::text[],
                $41::text[], $42::bytea[], $43::text[], $44::text[]
            ) AS d (entry, seq, id, type, shop, order_id, customer, lines, attributes, fields, reason, error)
            WHERE EXISTS (SELECT FROM moved)
            ON CONFLICT DO NOTHING
        )
        """
}
