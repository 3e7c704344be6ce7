import Faults
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

    static func statement(for batch: Batch) -> PostgresStatement {
        batch.deadLetters.isEmpty ? plain : withDeadLetters
    }

    private static let plain = PostgresStatement(name: "apply", sql: sql(deadLetters: ""))
    private static let withDeadLetters = PostgresStatement(name: "apply_dead", sql: sql(deadLetters: deadLetters))

    private static var ownership: String {
        SeededBug.postgresIgnoresToken.isOn
            ? "($2::bigint, $3::text) IS NOT NULL" : "token = $2 AND owner = $3"
    }

    private static var place: String { SeededBug.gapsJumped.isOn ? "$5::bigint IS NOT NULL" : "seq = $5" }

    private static func sql(deadLetters: String) -> String {
        """
        WITH
        -- 1. The position. It takes the row's lock; without it nothing below happens.
        moved AS (
            UPDATE partitions SET seq = $6, entry = $7
            WHERE partition = $1 AND \(ownership) AND epoch = $4 AND \(place)
            RETURNING partition
        ),
        -- 2. The entries that take effect. `status` is set for an order placed: as it stands at the batch's end.
        applied AS MATERIALIZED (
            SELECT * FROM unnest(
                $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
                $16::text[], $17::text[], $18::text[], $19::bigint[], $20::text[]
            ) AS a (seq, epoch, entry, digest, id, type, shop, order_id, customer, lines, attributes, ms, status)
            WHERE EXISTS (SELECT FROM moved)
        ),
        -- 3. The ledger.
        ledgered AS (
            INSERT INTO ledger (partition, seq, epoch, entry, digest, id, type, shop, order_id, customer, lines,
                attributes, appended_at)
            SELECT $1, seq, epoch, entry, digest, id, type, shop, order_id, customer, lines, attributes,
                to_timestamp(ms / 1000.0)
            FROM applied
        ),
        -- 4. Orders and their lines. An order that is there already keeps its first row.
        placed AS (
            INSERT INTO orders (shop, id, customer, status, attributes, placed_at, partition, seq)
            SELECT shop, id, customer, status, attributes::jsonb, to_timestamp(ms / 1000.0), $1, seq
            FROM applied WHERE status IS NOT NULL
            ON CONFLICT DO NOTHING
            RETURNING seq
        ),
        lined AS (
            INSERT INTO order_lines (shop, order_id, sku, quantity)
            SELECT shop, order_id, sku, quantity
            FROM unnest($21::bigint[], $22::text[], $23::text[], $24::text[], $25::bigint[])
                AS l (seq, shop, order_id, sku, quantity)
            -- IS TRUE keeps the planner from making it a join: a hashed look-up a line, whatever it thinks of the sizes.
            WHERE (seq IN (SELECT seq FROM placed)) IS TRUE
            ON CONFLICT DO NOTHING
        ),
        cancelled AS (
            -- A row put on itself: one that somebody else is changing is waited for, and then changed. (A ctid would silently
            -- pass over it.) LATERAL … LIMIT 1 keeps it one look-up an order; the session sees to it that an index is used.
            INSERT INTO orders (shop, id, customer, status, attributes, placed_at, partition, seq)
            SELECT o.* FROM (SELECT DISTINCT * FROM unnest($26::text[], $27::text[]) AS u (shop, id)) AS c,
                LATERAL (
                    SELECT shop, id, customer, 'cancelled', attributes, placed_at, partition, seq FROM orders
                    WHERE orders.shop = c.shop AND orders.id = c.id LIMIT 1
                ) AS o
            WHERE EXISTS (SELECT FROM moved)
            ON CONFLICT (shop, id) DO UPDATE SET status = excluded.status
        ),
        -- 5. Stock: a SKU is either counted, or changed by a difference.
        counted AS (
            INSERT INTO stock AS s (shop, sku, on_hand)
            SELECT shop, sku, quantity FROM unnest($28::text[], $29::text[], $30::bigint[]) AS c (shop, sku, quantity)
            WHERE EXISTS (SELECT FROM moved)
            ON CONFLICT (shop, sku) DO UPDATE SET on_hand = excluded.on_hand
        ),
        changed AS (
            INSERT INTO stock AS s (shop, sku, on_hand)
            SELECT shop, sku, quantity FROM unnest($31::text[], $32::text[], $33::bigint[]) AS c (shop, sku, quantity)
            WHERE EXISTS (SELECT FROM moved)
            ON CONFLICT (shop, sku) DO UPDATE SET on_hand = s.on_hand + excluded.on_hand
        )\(deadLetters)
        SELECT partition FROM moved
        """
    }

    private static let deadLetters = """
        ,
        -- 6. Entries set aside. One that was added by hand may be set aside again after a lost acknowledgement.
        dead AS (
            INSERT INTO dead_letters (partition, epoch, entry, seq, id, type, shop, order_id, customer, lines,
                attributes, fields, reason, error)
            SELECT $1, $4, entry, seq, id, type, shop, order_id, customer, lines, attributes, fields, reason, error
            FROM unnest(
                $34::text[], $35::bigint[], $36::text[], $37::text[], $38::text[], $39::text[], $40::text[], $41::text[],
                $42::text[], $43::bytea[], $44::text[], $45::text[]
            ) AS d (entry, seq, id, type, shop, order_id, customer, lines, attributes, fields, reason, error)
            WHERE EXISTS (SELECT FROM moved)
            ON CONFLICT DO NOTHING
        )
        """
}
