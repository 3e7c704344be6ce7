package import Connections
import Foundation
import Inspection
import OrderLog
import PostgresClient
import RedisLog
import Sinks
package import ThreadedIO

/// Makes `orders`, `order_lines` and `stock` in Postgres anew from the ledger, while workers go on.
///
/// They are made beside those in use, in as many rounds as it takes to have nearly all of the ledger; then, with the workers'
/// position rows locked, the rest is taken in, and what differs in the tables in use is put right: all in one transaction.
/// So rights, indexes, views and triggers of these tables stay as they are, and readers see the old rows or the new ones.
/// For a lane, whose thread it blocks.
///
/// In SQL on purpose, set by set: ten million rows of the ledger are a matter of minutes.
package struct TablesRebuild {
    /// What the ledger has, and the tables.
    package struct Plan: Sendable {
        package let ledger: Int64
        package let orders: Int64
        package let orderLines: Int64
        package let stock: Int64
    }

    /// Rows of the three tables that were put right.
    package struct Outcome: Sendable {
        package var added: [Int] = []
        package var changed: [Int] = []
        package var removed: [Int] = []

        package static let tables = ["orders", "order_lines", "stock"]
    }

    /// So much may be left for the transaction that holds the workers up.
    private static let behindMax: Int64 = 2000

    private let postgres: PostgresConnection
    private let book: IncidentBook

    /// Connects.
    ///
    /// - Parameters:
    ///   - servers: Where Postgres is; Redis isn't asked.
    ///   - interrupt: Ends every wait.
    /// - Throws: ``LogError`` when there is no ledger; the server's errors.
    package init(_ servers: Servers, interrupt: Interrupt) throws {
        postgres = try servers.primary(interrupt: interrupt) { $0.statementTimeout = Rebuild.patience }
        guard let identity = try PostgresSchema.identity(on: postgres) else {
            throw LogError(.no, "Postgres has no ledger at this schema")
        }
        try Rebuild.require(identity)
        book = IncidentBook(postgres: postgres)
    }

    private var deadline: Deadline { .after(Rebuild.patience) }

    /// Counts what there is.
    package func plan() throws -> Plan {
        let row = try postgres.query(
            """
            SELECT (SELECT count(*) FROM ledger), (SELECT count(*) FROM orders), (SELECT count(*) FROM order_lines),
                (SELECT count(*) FROM stock)
            """, until: deadline
        ).first
        guard let row else { throw LogError(.bug, "a count without a row") }
        return Plan(
            ledger: try row.requireInt64(0), orders: try row.requireInt64(1), orderLines: try row.requireInt64(2),
            stock: try row.requireInt64(3))
    }

    /// Does it.
    ///
    /// - Parameter progress: Takes what it is at.
    /// - Returns: What was put right.
    /// - Throws: The server's errors: nothing was changed then, and it can be run again.
    package func run(_ progress: (String) throws -> Void = { _ in }) throws -> Outcome {
        let hasReturns = try PostgresSchema.hasReturns(on: postgres)
        let fill = hasReturns ? "\(Self.fill);\n\(Self.fillReturns)" : Self.fill
        try progress("making tables")
        // Somebody else's, or those of one that was killed.
        try postgres.script(Self.create, until: deadline)
        var behind = Int64.max
        while behind > Self.behindMax {
            try progress(behind == .max ? "folding the ledger" : "\(behind) entries behind")
            try postgres.script(Self.bounds + fill, until: deadline)
            if behind == .max { try postgres.script(Self.analyze, until: deadline) }
            behind = try postgres.query(Self.behind, until: deadline).first?.requireInt64(0) ?? 0
        }
        try progress("putting right what differs")
        var outcome = Outcome()
        try postgres.begin(until: deadline)
        do {
            try postgres.script(Self.lock + Self.bounds + fill, until: deadline)
            for statement in Self.removals {
                outcome.removed.append(try postgres.query(statement, until: deadline).affected)
            }
            for statement in Self.changes(hasReturns) {
                outcome.changed.append(try postgres.query(statement, until: deadline).affected)
            }
            for statement in Self.additions(hasReturns) {
                outcome.added.append(try postgres.query(statement, until: deadline).affected)
            }
            let sum = (outcome.added + outcome.changed + outcome.removed).reduce(0, +)
            try book.record(
                Rebuild.incident(
                    "tables", nil, "orders, order_lines and stock made anew from the ledger: \(sum) rows put right"))
            try postgres.script("COMMIT", until: deadline)
        } catch {
            postgres.rollback()
            throw error
        }
        try postgres.script(Self.drop, until: deadline)
        return outcome
    }

    // MARK: - Statements

    private static let drop = """
        DROP TABLE IF EXISTS rebuild_orders, rebuild_order_lines, rebuild_stock, rebuild_bounds
        """

    private static let create = """
        \(drop);
        CREATE UNLOGGED TABLE rebuild_bounds (partition int PRIMARY KEY, low bigint NOT NULL, high bigint NOT NULL);
        CREATE UNLOGGED TABLE rebuild_orders (LIKE orders INCLUDING DEFAULTS, PRIMARY KEY (shop, id));
        CREATE UNLOGGED TABLE rebuild_order_lines (LIKE order_lines INCLUDING DEFAULTS, PRIMARY KEY (shop, order_id, sku));
        CREATE UNLOGGED TABLE rebuild_stock (LIKE stock INCLUDING DEFAULTS, PRIMARY KEY (shop, sku));
        INSERT INTO rebuild_bounds SELECT partition, 0, 0 FROM partitions
        """

    private static let analyze = "ANALYZE rebuild_orders; ANALYZE rebuild_order_lines; ANALYZE rebuild_stock"

    /// Workers wait from here on: they change their row first.
    private static let lock = "SELECT FROM partitions ORDER BY partition FOR UPDATE;\n"

    /// What the next round takes in: from where the one before ended.
    private static let bounds = """
        SET LOCAL work_mem = '64MB'; SET LOCAL jit = off;
        UPDATE rebuild_bounds AS b SET low = high, high = p.seq FROM partitions AS p WHERE p.partition = b.partition;

        """

    private static let behind = """
        SELECT coalesce(sum(p.seq - b.high), 0)::bigint FROM partitions AS p JOIN rebuild_bounds AS b USING (partition)
        """

    private static let rows =
        "ledger AS l JOIN rebuild_bounds AS b ON b.partition = l.partition AND l.seq > b.low AND l.seq <= b.high"

    /// As the sink does it with a batch: the first row of an order stays, a cancellation changes an order that is there.
    private static let fill = """
        WITH placed AS (
            INSERT INTO rebuild_orders (shop, id, customer, status, attributes, placed_at, partition, seq)
            SELECT DISTINCT ON (shop, id) shop, id, customer, 'placed', attributes::jsonb, appended_at, l.partition, seq
            FROM \(rows) WHERE type = 'order.placed' ORDER BY shop, id, seq
            ON CONFLICT DO NOTHING
            RETURNING shop, id, partition, seq
        )
        INSERT INTO rebuild_order_lines (shop, order_id, sku, quantity)
        SELECT p.shop, p.id, \(LinesSQL.decoded("split_part(word, ':', 1)")), sum(split_part(word, ':', 2)::bigint)
        FROM placed AS p JOIN ledger AS l ON l.partition = p.partition AND l.seq = p.seq,
            LATERAL unnest(string_to_array(l.lines, ' ')) AS word
        GROUP BY 1, 2, 3;
        UPDATE rebuild_orders AS o SET status = 'cancelled'
        FROM (
            SELECT l.partition, shop, order_id, max(seq) AS seq FROM \(rows) WHERE type = 'order.cancelled' GROUP BY 1, 2, 3
        ) AS c
        WHERE o.partition = c.partition AND o.shop = c.shop AND o.id = c.order_id AND o.seq < c.seq AND o.status <> 'cancelled';
        WITH lines AS (
            SELECT seq, shop, type, \(LinesSQL.decoded("split_part(word, ':', 1)")) AS sku,
                split_part(word, ':', 2)::bigint AS quantity
            FROM \(rows), LATERAL unnest(string_to_array(l.lines, ' ')) AS word
        ),
        counted AS (
            SELECT shop, sku, max(seq) AS seq FROM lines WHERE type = 'stock.counted' GROUP BY 1, 2
        )
        INSERT INTO rebuild_stock AS s (shop, sku, on_hand)
        SELECT l.shop, l.sku,
            sum(CASE type WHEN 'order.placed' THEN -quantity ELSE quantity END)
                + CASE WHEN max(c.seq) IS NULL THEN coalesce(max(known.on_hand), 0) ELSE 0 END
        FROM lines AS l LEFT JOIN counted AS c ON c.shop = l.shop AND c.sku = l.sku
            LEFT JOIN rebuild_stock AS known ON known.shop = l.shop AND known.sku = l.sku
        WHERE l.seq >= coalesce(c.seq, 0)
        GROUP BY 1, 2
        ON CONFLICT (shop, sku) DO UPDATE SET on_hand = excluded.on_hand
        """

    /// What came back, where lines have a place for it.
    private static let fillReturns = """
        UPDATE rebuild_order_lines AS a SET returned = a.returned + r.quantity
        FROM (
            SELECT l.shop, l.order_id, \(LinesSQL.decoded("split_part(word, ':', 1)")) AS sku,
                sum(split_part(word, ':', 2)::bigint) AS quantity
            FROM \(rows)
            JOIN rebuild_orders AS o ON o.partition = l.partition AND o.shop = l.shop AND o.id = l.order_id AND o.seq < l.seq,
                LATERAL unnest(string_to_array(l.lines, ' ')) AS word
            WHERE l.type = 'order.returned' GROUP BY 1, 2, 3
        ) AS r
        WHERE a.shop = r.shop AND a.order_id = r.order_id AND a.sku = r.sku;
        UPDATE rebuild_orders AS o SET status = 'returned'
        FROM (SELECT DISTINCT l.shop, l.order_id FROM \(rows) WHERE l.type = 'order.returned') AS r
        WHERE o.shop = r.shop AND o.id = r.order_id AND o.status = 'placed' AND NOT EXISTS (
            SELECT FROM rebuild_order_lines AS a
            WHERE a.shop = o.shop AND a.order_id = o.id AND a.returned < a.quantity)
        """

    private static let changesOfLines = """
        UPDATE order_lines AS o SET quantity = r.quantity FROM rebuild_order_lines AS r
        WHERE r.shop = o.shop AND r.order_id = o.order_id AND r.sku = o.sku AND r.quantity <> o.quantity
        """

    private static let additionsOfLines = """
        INSERT INTO order_lines (shop, order_id, sku, quantity)
        SELECT shop, order_id, sku, quantity FROM rebuild_order_lines AS r WHERE NOT EXISTS (
            SELECT FROM order_lines AS o WHERE o.shop = r.shop AND o.order_id = r.order_id AND o.sku = r.sku)
        """

    private static let changesOfReturns = """
        UPDATE order_lines AS o SET quantity = r.quantity, returned = r.returned FROM rebuild_order_lines AS r
        WHERE r.shop = o.shop AND r.order_id = o.order_id AND r.sku = o.sku
            AND (r.quantity, r.returned) <> (o.quantity, o.returned)
        """

    private static let additionsOfReturns = """
        INSERT INTO order_lines (shop, order_id, sku, quantity, returned)
        SELECT shop, order_id, sku, quantity, returned FROM rebuild_order_lines AS r WHERE NOT EXISTS (
            SELECT FROM order_lines AS o WHERE o.shop = r.shop AND o.order_id = r.order_id AND o.sku = r.sku)
        """

    private static let removals = [
        "DELETE FROM orders AS o WHERE NOT EXISTS (SELECT FROM rebuild_orders AS r WHERE r.shop = o.shop AND r.id = o.id)",
        """
        DELETE FROM order_lines AS o WHERE NOT EXISTS (
            SELECT FROM rebuild_order_lines AS r WHERE r.shop = o.shop AND r.order_id = o.order_id AND r.sku = o.sku)
        """,
        "DELETE FROM stock AS o WHERE NOT EXISTS (SELECT FROM rebuild_stock AS r WHERE r.shop = o.shop AND r.sku = o.sku)",
    ]

    private static func changes(_ hasReturns: Bool) -> [String] {
        [
            """
            UPDATE orders AS o SET customer = r.customer, status = r.status, attributes = r.attributes, placed_at = r.placed_at,
                partition = r.partition, seq = r.seq
            FROM rebuild_orders AS r
            WHERE r.shop = o.shop AND r.id = o.id
                AND (o.customer, o.status, o.attributes, o.placed_at, o.partition, o.seq)
                    IS DISTINCT FROM (r.customer, r.status, r.attributes, r.placed_at, r.partition, r.seq)
            """,
            hasReturns ? changesOfReturns : changesOfLines,
            """
            UPDATE stock AS o SET on_hand = r.on_hand FROM rebuild_stock AS r
            WHERE r.shop = o.shop AND r.sku = o.sku AND r.on_hand <> o.on_hand
            """,
        ]
    }

    private static func additions(_ hasReturns: Bool) -> [String] {
        [
            """
            INSERT INTO orders (shop, id, customer, status, attributes, placed_at, partition, seq)
            SELECT shop, id, customer, status, attributes, placed_at, partition, seq FROM rebuild_orders AS r
            WHERE NOT EXISTS (SELECT FROM orders AS o WHERE o.shop = r.shop AND o.id = r.id)
            """,
            hasReturns ? additionsOfReturns : additionsOfLines,
            """
            INSERT INTO stock (shop, sku, on_hand)
            SELECT shop, sku, on_hand FROM rebuild_stock AS r
            WHERE NOT EXISTS (SELECT FROM stock AS o WHERE o.shop = r.shop AND o.sku = r.sku)
            """,
        ]
    }
}
