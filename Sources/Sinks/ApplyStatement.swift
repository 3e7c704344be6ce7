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
        batch.deadLetters.isEmpty ? plain : plainWithDeadLetters
    }

    /// The statement that leaves orders as they are that are there already.
    static func patient(for batch: Batch) -> String {
        batch.deadLetters.isEmpty ? patient : patientWithDeadLetters
    }

    private static let plain = sql(placing: new, deadLetters: "")
    private static let plainWithDeadLetters = sql(placing: new, deadLetters: deadLetters)
    private static let patient = sql(placing: maybeKnown, deadLetters: "")
    private static let patientWithDeadLetters = sql(placing: maybeKnown, deadLetters: deadLetters)

    /// Orders and lines of which none is there.
    private static let new = """
        placed AS (
            INSERT INTO orders (shop, id, customer, status, attributes, placed_at, partition, seq) \(placedRows)
        ),
        lined AS (
            INSERT INTO order_lines (shop, order_id, sku, quantity) \(lineRows)
        )
        """

    /// An order that is there already keeps its first row.
    private static let maybeKnown = """
        placed AS (
            INSERT INTO orders (shop, id, customer, status, attributes, placed_at, partition, seq) \(placedRows)
            ON CONFLICT DO NOTHING
            RETURNING shop, id
        ),
        lined AS (
            INSERT INTO order_lines (shop, order_id, sku, quantity)
            SELECT * FROM (\(lineRows)) AS l (shop, order_id, sku, quantity)
            -- IS TRUE keeps the planner from making it a join: a hashed look-up a line, whatever it thinks of the sizes.
            WHERE ((shop, order_id) IN (SELECT shop, id FROM placed)) IS TRUE
            ON CONFLICT DO NOTHING
        )
        """

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

    private static let lineRows = """
        SELECT unnest($21::text[]), unnest($22::text[]), unnest($23::text[]), unnest($24::bigint[])
        WHERE EXISTS (SELECT FROM moved)
        """

    private static func sql(placing: String, deadLetters: String) -> String {
        """
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
            SELECT o.* FROM (SELECT DISTINCT * FROM unnest($25::text[], $26::text[]) AS u (shop, id)) AS c,
                LATERAL (
                    SELECT shop, id, customer, 'cancelled', attributes, placed_at, partition, seq FROM orders
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
        )\(deadLetters)
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
