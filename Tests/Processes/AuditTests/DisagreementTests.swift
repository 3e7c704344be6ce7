import OrderLog
import PrivateServers
import RedisLog
import TestSupport
import Testing

@Suite("audit disagrees, and names it")
struct DisagreementTests {
    /// Something that somebody changes by hand, and how to undo it.
    private struct Damage: Sendable {
        let what: String
        let subject: String
        let name: String
        let inflict: @Sendable (AuditedShop) async throws -> Void
        let undo: @Sendable (AuditedShop) async throws -> Void
    }

    private static func sql(
        _ what: String, _ subject: String, _ name: String, _ statement: String, undo: String
    ) -> Damage {
        Damage(what: what, subject: subject, name: name) {
            try await $0.sql(statement)
        } undo: {
            try await $0.sql(undo)
        }
    }

    private static let inPostgres = [
        sql(
            "a stock row changed", "stock-in-postgres", "main TEA",
            "UPDATE stock SET on_hand = on_hand + 1 WHERE sku = 'TEA'",
            undo: "UPDATE stock SET on_hand = on_hand - 1 WHERE sku = 'TEA'"),
        sql(
            "a stock row too many", "stock-in-postgres", "main CUP", "INSERT INTO stock VALUES ('main', 'CUP', 1)",
            undo: "DELETE FROM stock WHERE sku = 'CUP'"),
        sql(
            "stock of a shop that nobody knows", "stock-in-postgres", "nobody CUP",
            "INSERT INTO stock VALUES ('nobody', 'CUP', 1)", undo: "DELETE FROM stock WHERE sku = 'CUP'"),
        sql(
            "an order deleted", "orders", "main ord-2",
            "CREATE TABLE kept AS SELECT * FROM orders WHERE id = 'ord-2'; DELETE FROM orders WHERE id = 'ord-2'",
            undo: "INSERT INTO orders SELECT * FROM kept; DROP TABLE kept"),
        sql(
            "an order too many", "orders", "main ord-x",
            "INSERT INTO orders VALUES ('main', 'ord-x', 'c', 'placed', NULL, now(), 0, 1)",
            undo: "DELETE FROM orders WHERE id = 'ord-x'"),
        sql(
            "another customer", "orders", "main ord-2", "UPDATE orders SET customer = 'c-2' WHERE id = 'ord-2'",
            undo: "UPDATE orders SET customer = 'c-1' WHERE id = 'ord-2'"),
        sql(
            "other attributes", "orders", "main ord-2",
            "UPDATE orders SET attributes = '{\"gift\":true}' WHERE id = 'ord-2'",
            undo: "UPDATE orders SET attributes = '{}' WHERE id = 'ord-2'"),
        sql(
            "a status flipped", "orders", "main ord-2", "UPDATE orders SET status = 'cancelled' WHERE id = 'ord-2'",
            undo: "UPDATE orders SET status = 'placed' WHERE id = 'ord-2'"),
        sql(
            "a cancellation undone", "orders", "main ord-1", "UPDATE orders SET status = 'placed' WHERE id = 'ord-1'",
            undo: "UPDATE orders SET status = 'cancelled' WHERE id = 'ord-1'"),
        sql(
            "a line changed", "order-lines", "main ord-2",
            "UPDATE order_lines SET quantity = 3 WHERE order_id = 'ord-2' AND sku = 'TEA'",
            undo: "UPDATE order_lines SET quantity = 2 WHERE order_id = 'ord-2' AND sku = 'TEA'"),
        sql(
            "a line deleted", "order-lines", "main ord-2",
            "DELETE FROM order_lines WHERE order_id = 'ord-2' AND sku = 'TEA'",
            undo: "INSERT INTO order_lines VALUES ('main', 'ord-2', 'TEA', 2)"),
        sql(
            "a line too many", "order-lines", "main ord-2",
            "INSERT INTO order_lines VALUES ('main', 'ord-2', 'CUP', 1)",
            undo: "DELETE FROM order_lines WHERE sku = 'CUP'"),
        sql(
            "a line of no order", "order-lines", "main ord-x",
            "INSERT INTO order_lines VALUES ('main', 'ord-x', 'TEA', 1)",
            undo: "DELETE FROM order_lines WHERE order_id = 'ord-x'"),
        sql(
            "a row of the ledger deleted", "ledger", "seq 3",
            "CREATE TABLE kept AS SELECT * FROM ledger WHERE id = 'ord-2'; DELETE FROM ledger WHERE id = 'ord-2'",
            undo: "INSERT INTO ledger SELECT * FROM kept; DROP TABLE kept"),
        sql(
            "a row of the ledger changed", "log", "main ord-2",
            "UPDATE ledger SET customer = 'c-2' WHERE id = 'ord-2'",
            undo: "UPDATE ledger SET customer = 'c-1' WHERE id = 'ord-2'"),
        sql(
            "a digest changed", "log", "main ord-2",
            "ALTER TABLE ledger ADD kept text; UPDATE ledger SET kept = digest, digest = 'x' WHERE id = 'ord-2'",
            undo: "UPDATE ledger SET digest = kept WHERE id = 'ord-2'; ALTER TABLE ledger DROP kept"),
        sql(
            "lines that can't be read", "ledger", "a row's lines or attributes",
            "UPDATE ledger SET attributes = '{' WHERE id = 'ord-2'",
            undo: "UPDATE ledger SET attributes = '{}' WHERE id = 'ord-2'"),
        sql(
            "the position put back", "ledger", "ord-5", "UPDATE partitions SET seq = seq - 1 WHERE seq > 0",
            undo: "UPDATE partitions SET seq = seq + 1 WHERE seq > 0"),
    ]

    private static func jobs(
        _ what: String, _ name: String, _ change: @escaping @Sendable ([String]) -> [String]
    ) -> Damage {
        Damage(what: what, subject: "deliveries", name: name) { shop in
            let partition = shop.partition(of: "main")
            try await shop.setJobs(change(try await shop.jobs(in: partition)), in: partition)
        } undo: { _ in
        }
    }

    private static func stockKey(_ shop: AuditedShop) -> String {
        shop.keys.stock(shop.partition(of: "main"), shop: "main")
    }

    private static let inRedis = [
        Damage(what: "a counter changed", subject: "stock-in-redis", name: "main TEA") {
            try await $0.redis("HINCRBY", stockKey($0), "TEA", "1")
        } undo: {
            try await $0.redis("HINCRBY", stockKey($0), "TEA", "-1")
        },
        Damage(what: "a counter too many", subject: "stock-in-redis", name: "main CUP") {
            try await $0.redis("HSET", stockKey($0), "CUP", "0")
        } undo: {
            try await $0.redis("HDEL", stockKey($0), "CUP")
        },
        Damage(what: "all counters gone", subject: "stock-in-redis", name: "main MUG") {
            try await $0.redis("RENAME", stockKey($0), stockKey($0) + "-kept")
        } undo: {
            try await $0.redis("RENAME", stockKey($0) + "-kept", stockKey($0))
        },
        Damage(what: "counters of nobody", subject: "stock-in-redis", name: "nobody TEA") {
            try await $0.redis("HSET", $0.keys.stock($0.partition(of: "nobody"), shop: "nobody"), "TEA", "1")
        } undo: {
            try await $0.redis("DEL", $0.keys.stock($0.partition(of: "nobody"), shop: "nobody"))
        },
        jobs("a job taken from the middle", "main ord-2") { $0.filter { !$0.contains("\"ord-2\"") } },
        jobs("a job twice", "job 3 of the list") { [$0[0], $0[1], $0[1]] + $0[2...] },
        jobs("a job changed", "main ord-2") {
            $0.map { $0.contains("\"ord-2\"") ? $0.replacing("\"quantity\":2", with: "\"quantity\":3") : $0 }
        },
        jobs("two jobs in another order", "job 3 of the list") { [$0[0], $0[2], $0[1]] + $0[3...] },
        jobs("no job at all", "job 1 of the list") { ["hello"] + $0 },
        jobs("a job that nobody ordered", "a job of seq 99") {
            $0 + [$0[0].replacing(/"seq":\d+/, with: "\"seq\":99")]
        },
    ]

    @Test("each change by hand, in Postgres and in Redis; and agrees again when it is undone")
    func changedByHand() async throws {
        try await AuditedShop.open(partitions: 1) { shop in
            try await shop.submit([
                stock("counted", "count-1", "main", "TEA:100 MUG:50"), order("ord-1"), order("ord-2"),
                cancellation("ord-1"), order("ord-3"), order("ord-4"), order("ord-5"),
            ])
            try await shop.drained()
            await shop.stopWorkers()
            let jobs = try await shop.jobs(in: Partition(0))
            for damage in Self.inPostgres + Self.inRedis {
                try await damage.inflict(shop)
                let audited = try await shop.audit("--json")
                #expect(audited.code == 1, "\(damage.what): \(audited.output)")
                let report = try audited.report()
                #expect(report.verdict == "disagree")
                #expect(
                    report.differences.contains { $0.subject == damage.subject && $0.name == damage.name },
                    "\(damage.what): \(audited.output)")
                try await damage.undo(shop)
                try await shop.setJobs(jobs, in: Partition(0))
                let undone = try await shop.audit()
                #expect(undone.code == 0, "\(damage.what), undone: \(undone.output)")
            }
            // Epochs change when a lost tail is healed; a job is the same.
            try await shop.setJobs(jobs.map { $0.replacing("\"epoch\":1", with: "\"epoch\":7") }, in: Partition(0))
            #expect(try await shop.audit().code == 0)
            // The delivery service takes from the left.
            try await shop.setJobs(Array(jobs.dropFirst(2)), in: Partition(0))
            #expect(try await shop.audit().code == 0)
            try await shop.sql("UPDATE stock SET on_hand = 7; UPDATE orders SET customer = 'c-9'")
            let text = try await shop.audit("--limit", "2")
            #expect(text.code == 1 && text.output.contains("and 3 more of orders"), "\(text.output)")
            #expect(text.output.contains("main TEA (partition 0 seq 7): expected 92, found 7"), "\(text.output)")
        }
    }

    @Test(
        "entries deleted from the log, in the middle and at its end, and one that was added under a place that is taken"
    )
    func log() async throws {
        try await AuditedShop.open(partitions: 1) { shop in
            let log = shop.keys.log(Partition(0))
            try await shop.submit([
                stock("counted", "count-1", "main", "TEA:100"), order("ord-1"), order("ord-2"), order("ord-3"),
            ])
            try await shop.drained()
            await shop.stopWorkers()
            try await shop.redis("XTRIM", log, "MINID", try await shop.entry(2, in: Partition(0)))
            #expect(try await shop.audit().code == 0, "trimmed, after all had applied it")
            try await shop.redis(
                "XADD", log, "*", "epoch", "1", "seq", "2", "type", "order.placed", "id", "ord-x", "shop", "main",
                "customer", "c", "lines", "TEA:1")
            let added = try await shop.audit("--json").report()
            #expect(added.differences.map(\.subject) == ["log"] && added.differences.map(\.seq) == [2])
            for (seq, name) in [(3, "main ord-2"), (4, "main ord-3")] {
                try await shop.redis("XDEL", log, try await shop.entry(seq, in: Partition(0)))
                let audited = try await shop.audit("--json")
                #expect(audited.code == 1)
                let differences = try audited.report().differences
                #expect(differences.contains { $0.subject == "log" && $0.name == name }, "\(audited.output)")
                #expect(differences.allSatisfy { $0.subject == "log" }, "the sinks are as they must be")
            }
        }
    }

    @Test("under load, within one run, when a counter, a row and a delivery are changed by hand")
    func load() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit([
                stock("counted", "count-1", "main", "TEA:100 POT:5"), order("ord-1"), order("ord-2"),
            ])
            try await shop.submit([order("ord-3"), order("ord-4")])
            try await shop.drained()
            async let submitted: Void = {
                for round in 0..<10 { try await shop.submit((0..<600).map { order("ord-\(round)-\($0)") }) }
            }()
            let partition = shop.partition(of: "main")
            try await shop.redis("HINCRBY", shop.keys.stock(partition, shop: "main"), "TEA", "-1")
            try await shop.sql("UPDATE orders SET status = 'cancelled' WHERE id = 'ord-3'")
            try await shop.redis("LSET", shop.keys.deliveries(partition), "1", try await shop.jobs(in: partition)[0])
            let audited = try await shop.audit("--json")
            try await submitted
            let differences = try audited.report().differences
            #expect(audited.code == 1)
            #expect(differences.contains { $0.subject == "stock-in-redis" && $0.name == "main TEA" })
            #expect(differences.contains { $0.subject == "orders" && $0.name == "main ord-3" })
            #expect(differences.contains { $0.subject == "deliveries" && $0.name == "main ord-2" })
            #expect(Set(differences.map(\.subject)) == ["stock-in-redis", "orders", "deliveries"], "\(audited.output)")
        }
    }
}
