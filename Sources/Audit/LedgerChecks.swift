package import OrderLog
import PostgresClient
import Reports
import Sinks

/// What Postgres can compare by itself, set by set: the ledger without holes, and orders and lines against the ledger.
///
/// In SQL on purpose: it shares nothing with the code that wrote the rows.
package struct LedgerChecks {
    package let snapshot: LedgerSnapshot
    package let rows: [Partition: LedgerRow]

    /// The ledger and the dead letters have every seq up to the position, each once.
    package func checkLedger(_ findings: inout AuditFindings) throws {
        var counts: [Partition: (number: Int64, last: Int64)] = [:]
        try snapshot.forEachRow(Self.places) { row in
            counts[Partition(Int(try row.requireInt64(0)))] = (try row.requireInt64(1), try row.requireInt64(2))
        }
        for (partition, row) in rows.sorted(by: { $0.key < $1.key }) {
            let position = row.position.seq.number
            let count = counts[partition] ?? (0, 0)
            findings.count(.ledger, Int(count.number))
            if count == (position, position) { continue }
            try snapshot.forEachRow(Self.holes, [.integer(Int64(partition.number)), .integer(position)]) { row in
                findings.differ(
                    .ledger, in: partition.number, at: try row.requireInt64(0), "seq \(try row.requireInt64(0))",
                    expected: "a row of the ledger, or a dead letter", found: "nothing", settledIn: [.postgres])
            }
            try snapshot.forEachRow(Self.beyond, [.integer(Int64(partition.number)), .integer(position)]) { row in
                findings.differ(
                    .ledger, in: partition.number, at: try row.requireInt64(0), row.string(1) ?? "?",
                    expected: "nothing above the position \(position)", found: "a row")
            }
        }
        try snapshot.forEachRow(Self.twice) { row in
            findings.differ(
                .ledger, in: Int(try row.requireInt64(0)), at: try row.requireInt64(1), row.string(2) ?? "?",
                expected: "a row of the ledger or a dead letter", found: "both")
        }
    }

    /// Every order placed has its row, with its lines and the status that its cancellation gives; there are no others.
    package func checkOrders(_ findings: inout AuditFindings) throws {
        var (orders, placings): (Int64, Int64) = (0, 0)
        try snapshot.forEachRow(Self.counts) { row in
            (orders, placings) = (try row.requireInt64(0), try row.requireInt64(1))
            findings.count(.orders, Int(orders))
            findings.count(.orderLines, Int(try row.requireInt64(2)))
        }
        var unplaced = 0
        let hasReturns = try PostgresSchema.hasReturns(on: snapshot.connection)
        try snapshot.forEachRow(Self.orders(hasReturns)) { row in
            let field = try row.requireString(4)
            if field == "row" { unplaced += 1 }
            findings.differ(
                field == "lines" ? .orderLines : .orders, in: Int(try row.requireInt64(0)),
                at: try row.requireInt64(1), "\(try row.requireString(2)) \(try row.requireString(3))",
                expected: Self.text(field, row.string(5)), found: Self.text(field, row.string(6)),
                settledIn: [.postgres])
        }
        // As many rows as entries that placed an order, each with its own: none is missing.
        if unplaced > 0 || orders != placings {
            try snapshot.forEachRow(Self.missing) { row in
                findings.differ(
                    .orders, in: Int(try row.requireInt64(0)), at: try row.requireInt64(1),
                    "\(try row.requireString(2)) \(try row.requireString(3))", expected: "a row", found: "none",
                    settledIn: [.postgres])
            }
        }
        if hasReturns {
            try snapshot.forEachRow(Self.returned) { row in
                findings.differ(
                    .orderLines, in: nil, "\(try row.requireString(0)) \(try row.requireString(1))",
                    expected: "\(try row.requireInt64(3)) \(try row.requireString(2)) returned",
                    found: "\(try row.requireInt64(4))", settledIn: [.postgres])
            }
        }
        try snapshot.forEachRow(Self.linesWithoutOrder) { row in
            findings.differ(
                .orderLines, in: nil, "\(try row.requireString(0)) \(try row.requireString(1))",
                expected: "an order", found: "only its line \(try row.requireString(2))")
        }
    }

    /// Every shop is in its partition, and no other has stock.
    package func checkShops(
        _ shops: [Partition: Set<Name>], _ partitioning: Partitioning, _ findings: inout AuditFindings
    ) throws {
        for (partition, names) in shops.sorted(by: { $0.key < $1.key }) {
            for shop in names.sorted() where partitioning.partition(ofShop: shop.text) != partition {
                findings.differ(
                    .ledger, in: partition.number, "shop \(shop)",
                    expected: "partition \(partitioning.partition(ofShop: shop.text))", found: "partition \(partition)")
            }
        }
        try snapshot.forEachRow(Self.stockOfNobody, [.texts(shops.values.flatMap { $0.map(\.text) })]) { row in
            findings.differ(
                .stockInPostgres, in: nil, "\(try row.requireString(0)) \(try row.requireString(1))",
                expected: "no such SKU", found: "\(try row.requireInt64(2))")
        }
    }

    private static func text(_ field: String, _ value: String?) -> String {
        field == "row" ? value ?? "" : "\(field) \(value ?? "null")"
    }

    private static let stockOfNobody = """
        SELECT s.shop, sku, on_hand FROM stock AS s
        WHERE NOT EXISTS (SELECT FROM unnest($1::text[]) AS known (shop) WHERE known.shop = s.shop) ORDER BY 1, 2
        """

    private static let places = """
        SELECT partition, count(*), max(seq) FROM (
            SELECT partition, seq FROM ledger
            UNION ALL SELECT partition, seq FROM dead_letters WHERE seq IS NOT NULL
        ) AS a GROUP BY partition
        """

    private static let holes = """
        SELECT s FROM generate_series(1::bigint, $2::bigint) AS s
        WHERE NOT EXISTS (SELECT FROM ledger WHERE partition = $1 AND seq = s)
            AND NOT EXISTS (SELECT FROM dead_letters WHERE partition = $1 AND seq = s)
        ORDER BY s
        """

    private static let beyond = """
        SELECT seq, id FROM ledger WHERE partition = $1 AND (seq > $2 OR seq < 1)
        UNION ALL SELECT seq, id FROM dead_letters WHERE partition = $1 AND (seq > $2 OR seq < 1)
        ORDER BY seq
        """

    private static let twice = """
        SELECT partition, seq, l.id FROM dead_letters AS d JOIN ledger AS l USING (partition, seq) ORDER BY 1, 2
        """

    private static let counts = """
        SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM ledger WHERE type = 'order.placed'),
            (SELECT count(*) FROM order_lines)
        """

    /// The sums of the lines in a text, in one order.
    private static func summed(_ lines: String) -> String {
        """
        (SELECT string_agg(sku || ':' || quantity, ' ' ORDER BY sku) FROM (
            SELECT split_part(word, ':', 1) AS sku, sum(split_part(word, ':', 2)::bigint) AS quantity
            FROM unnest(string_to_array(\(lines), ' ')) AS word GROUP BY 1) AS s)
        """
    }

    /// Each order against the entry at its place, which must be the first that placed it (see ``missing``).
    ///
    /// - Parameter hasReturns: Whether lines say what came back.
    /// - Returns: A query.
    private static func orders(_ hasReturns: Bool) -> String {
        """
        WITH lined AS (
            SELECT shop, order_id, string_agg(\(LinesSQL.encoded("sku")) || ':' || quantity, ' ') AS lines,
                \(hasReturns ? "bool_and(returned >= quantity)" : "false") AS is_back
            FROM order_lines GROUP BY shop, order_id
        ),
        -- An order is cancelled by a cancellation that came after it; one that came before found no order.
        cancelled AS (
            SELECT partition, shop, order_id, max(seq) AS seq FROM ledger WHERE type = 'order.cancelled'
            GROUP BY partition, shop, order_id
        ),
        compared AS (
            SELECT o.*, a.lines, l.id IS NULL AS is_alone, l.customer AS l_customer, l.attributes::jsonb AS l_attributes,
                l.appended_at, l.lines AS l_lines,
                CASE WHEN c.seq > o.seq THEN 'cancelled' WHEN a.is_back THEN 'returned' ELSE 'placed' END AS l_status
            FROM orders AS o
            LEFT JOIN ledger AS l ON l.partition = o.partition AND l.seq = o.seq AND l.type = 'order.placed'
                AND l.shop = o.shop AND l.id = o.id
            LEFT JOIN lined AS a ON a.shop = o.shop AND a.order_id = o.id
            LEFT JOIN cancelled AS c ON c.partition = o.partition AND c.shop = o.shop AND c.order_id = o.id
        ),
        differing AS MATERIALIZED (
            SELECT * FROM compared
            WHERE is_alone OR customer <> l_customer OR status <> l_status OR placed_at <> appended_at
                OR attributes IS DISTINCT FROM l_attributes
                -- The same words, a SKU once each: the same lines. The sums are for what isn't written like that.
                OR lines IS NULL OR lines <> l_lines
                    AND NOT (string_to_array(l_lines, ' ') @> string_to_array(lines, ' ')
                        AND cardinality(string_to_array(l_lines, ' ')) = cardinality(string_to_array(lines, ' ')))
                    AND \(summed("l_lines")) IS DISTINCT FROM \(summed("lines"))
        )
        SELECT partition, seq, shop, id, field, expected, found
        FROM differing, LATERAL (VALUES
            ('row', is_alone, 'an entry at this place that placed it', 'none'),
            ('customer', customer <> l_customer, l_customer, customer),
            ('status', NOT is_alone AND status <> l_status, l_status, status),
            ('attributes', NOT is_alone AND attributes IS DISTINCT FROM l_attributes, l_attributes::text, attributes::text),
            ('placed_at', placed_at <> appended_at, appended_at::text, placed_at::text),
            ('lines', NOT is_alone AND \(summed("lines")) IS DISTINCT FROM \(summed("l_lines")), l_lines, lines)
        ) AS f (field, differs, expected, found)
        WHERE differs ORDER BY partition, seq
        """
    }

    /// What came back of each line against the returns behind its order; of what wasn't ordered nothing is kept there.
    private static let returned = """
        WITH back AS (
            SELECT l.shop, l.order_id, \(LinesSQL.decoded("split_part(word, ':', 1)")) AS sku,
                sum(split_part(word, ':', 2)::bigint)::bigint AS quantity
            FROM ledger AS l
            JOIN orders AS o ON o.partition = l.partition AND o.shop = l.shop AND o.id = l.order_id AND o.seq < l.seq,
                LATERAL unnest(string_to_array(l.lines, ' ')) AS word
            WHERE l.type = 'order.returned' GROUP BY 1, 2, 3
        )
        SELECT shop, order_id, sku, coalesce(b.quantity, 0), coalesce(a.returned, 0)
        FROM (SELECT shop, order_id, sku, returned FROM order_lines WHERE returned <> 0) AS a
        FULL JOIN back AS b USING (shop, order_id, sku)
        WHERE coalesce(a.returned, 0) <> coalesce(b.quantity, 0) AND EXISTS (
            SELECT FROM order_lines AS l WHERE (l.shop, l.order_id, l.sku) = (
                coalesce(a.shop, b.shop), coalesce(a.order_id, b.order_id), coalesce(a.sku, b.sku)))
        ORDER BY 1, 2, 3
        """

    private static let missing = """
        SELECT l.partition, l.seq, l.shop, l.id FROM ledger AS l
        WHERE type = 'order.placed' AND NOT EXISTS (
            SELECT FROM orders AS o
            WHERE o.shop = l.shop AND o.id = l.id AND o.partition = l.partition AND o.seq <= l.seq)
        ORDER BY 1, 2
        """

    private static let linesWithoutOrder = """
        SELECT shop, order_id, sku FROM order_lines AS a
        WHERE NOT EXISTS (SELECT FROM orders AS o WHERE o.shop = a.shop AND o.id = a.order_id)
        """
}
