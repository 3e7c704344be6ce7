import Foundation
import Logging
import Onewrite
import OnewriteTesting
import Testing

/// How many orders: as many as the README says with `SEARCH_FULL=1`, some thousands without.
private let orders = ProcessInfo.processInfo.environment["SEARCH_FULL"] == nil ? 3_450 : 100_050

@Suite("The search index beside Postgres")
struct KillTests {
    @Test("workers are killed 20 times and stopped 3 times, and at the end the index is Postgres's, row by row")
    func kills() async throws {
        try await withPrivateServers { servers in
            try await withIndexFile { path in
                try await servers.run(["onewrite", "init"])
                let ledger = try await servers.start(["onewrite", "worker", "--group", "postgres"])
                let fleet = try await Fleet(index: path, servers)
                let started = ContinuousClock.now
                try await submitting(to: servers) { producer in
                    for fault in 0..<23 {
                        let changes = try Self.changes(fault, count: orders / 23)
                        let before = try fleet.indexed()
                        async let submitted = producer.submit(changes)
                        try await eventually("something of step \(fault) is in the index") {
                            try fleet.indexed() > before
                        }
                        if fault % 8 == 5 { try await fleet.stopAndResume() } else { try await fleet.killOne() }
                        let receipts = try await submitted
                        #expect(receipts.allSatisfy { $0.outcome == .accepted })
                    }
                }
                #expect((fleet.kills, fleet.stops) == (20, 3))
                try await isEqual(fleet, servers)
                let seconds = ContinuousClock.now - started
                try await fleet.endOrderly()
                print("search: \(orders) orders, \(fleet.kills) kills, \(fleet.stops) stops, compared after \(seconds)")
                await ledger.kill()
                let found = try await servers.run(
                    ["search-worker", "find", "order-0-9 customer-9 zoe", "--limit", "100000", "--index", path])
                #expect(found.contains("shop-9  order-0-9  cancelled  customer-9 Zoë  TEA:3 MUG-4:1\n"))
            }
        }
    }

    /// A step's orders, some with attributes, every tenth of them cancelled, and a stock count.
    private static func changes(_ step: Int, count: Int) throws -> [Change] {
        var changes: [Change] = []
        for number in 0..<count {
            let (id, shop) = ("order-\(step)-\(number)", "shop-\(number % 40)")
            let lines = [
                Line(sku: "TEA", quantity: Int64(number % 7 + 1)), Line(sku: "MUG-\(number % 5)", quantity: 1),
            ]
            changes.append(
                try .orderPlaced(
                    id: id, shop: shop, customer: "customer-\(number % 900) Zoë", lines: lines,
                    attributes: number % 3 == 0 ? #"{"note":"gift wrap, number \#(number)"}"# : nil))
            if number % 10 == 9 { changes.append(try .orderCancelled(order: id, shop: shop, lines: lines)) }
        }
        changes.append(
            try .stockCounted(id: "count-\(step)", shop: "shop-0", lines: [Line(sku: "TEA", quantity: 100_000)]))
        return changes
    }

    /// Runs a producer while the body submits.
    private func submitting(to servers: PrivateServers, _ body: (Producer) async throws -> Void) async throws {
        let configuration = try LogConfiguration(redis: servers.redis, postgres: servers.postgres)
        let producer = Producer(configuration, logger: Logger(label: "submit"))
        async let running: Void = producer.run()
        defer { producer.shutDown() }
        try await body(producer)
        producer.shutDown()
        try await running
    }

    /// Waits until the index has what the ledger has, and compares both.
    private func isEqual(_ fleet: Fleet, _ servers: PrivateServers) async throws {
        let count = orders / 23 * 23 + orders / 23 / 10 * 23 + 23
        try await eventually(within: .seconds(300), "the index has \(count) changes") { try fleet.applied() == count }
        func postgres(_ query: String) async throws -> [String] {
            try await servers.run(["psql", servers.postgres, "-XAt", "-F", "|", "-c", query])
                .split(separator: "\n").map(String.init)
        }
        let expected = try await postgres(
            """
            SELECT partition, seq, o.shop, o.id, o.customer, l.lines, coalesce(l.attributes, ''), o.status
            FROM onewrite.orders o JOIN onewrite.ledger l USING (partition, seq) ORDER BY partition, seq
            """)
        #expect(expected.count == orders / 23 * 23)
        let held = try fleet.rows(
            """
            SELECT partition, seq, shop, id, customer, lines, coalesce(attributes, ''), status
            FROM orders ORDER BY partition, seq
            """)
        let isSame = held == expected
        #expect(isSame, "\(zip(held, expected).first { $0 != $1 } ?? ("as many", "no more"))")
        let sold = try await postgres(
            """
            SELECT shop, split_part(line, ':', 1) COLLATE "C" AS sku,
                sum(split_part(line, ':', 2)::int * CASE type WHEN 'order.placed' THEN 1 ELSE -1 END)
            FROM onewrite.ledger, unnest(string_to_array(lines, ' ')) AS line
            WHERE type IN ('order.placed', 'order.cancelled') GROUP BY shop, sku ORDER BY shop COLLATE "C", sku
            """)
        #expect(try fleet.rows("SELECT shop, sku, units FROM sold ORDER BY shop, sku") == sold)
        let positions = try await postgres(
            "SELECT partition, max(seq) FROM onewrite.ledger GROUP BY partition ORDER BY partition")
        #expect(try fleet.rows("SELECT partition, seq FROM positions WHERE seq > 0 ORDER BY partition") == positions)
        try fleet.checkWords()
    }
}
