import Foundation
import OrderLog
import PrivateServers
import RedisClient
import RedisLog
import Synchronization
import Testing
import TestSupport

@testable import OnewriteCommand

@Suite("onewrite rebuild")
struct RebuildTests {
    private func submit(_ numbers: ClosedRange<Int>, to shop: AuditedShop) async throws {
        try await shop.submit(
            [stock("counted", "count-\(numbers.lowerBound)", "main", "TEA:500 MUG:70")]
                + numbers.flatMap { [order("o-\($0)"), order("o-\($0)", "other", "BAG:\($0 % 5 + 1)")] }
                + [cancellation("o-\(numbers.lowerBound)")])
    }

    // MARK: - The stock

    @Test("stock: counters that were changed, deleted and invented are what the ledger gives again")
    func stockAnew() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...12, to: shop)
            try await shop.drained()
            let (main, other) = (shop.partition(of: "main"), shop.partition(of: "other"))
            try await shop.redis("HSET", shop.keys.stock(main, shop: "main"), "TEA", "7", "GHOST", "3")
            try await shop.redis("DEL", shop.keys.stock(other, shop: "other"))
            try await shop.redis("HSET", shop.keys.stock(main, shop: "nobody"), "TEA", "1")
            #expect(try await shop.audit().code == 1)
            let plan = try await shop.run("rebuild", "stock")
            #expect(plan.code == 0 && plan.errors.contains("nothing was changed; --yes does it"))
            #expect(plan.output.contains("entries of the ledger to be folded; the sink is at seq"), "\(plan.output)")
            #expect(try await shop.audit().code == 1)

            let done = try await shop.run("rebuild", "stock", "--yes", "--json")
            #expect(done.code == 0, "\(done.errors)")
            #expect(try done.object().objects("partitions").allSatisfy { $0["done"] as? Bool == true })
            try await submit(21...24, to: shop)
            try await shop.drained()
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
            #expect(try await shop.run("incident", "list").output.contains("counters made anew from the ledger"))
            await #expect(throws: RedisError.self) {
                try await shop.text("HGET", shop.keys.stock(main, shop: "nobody"), "TEA")
            }
        }
    }

    @Test("stock: killed at ten moments and run again, with orders coming in: everything agrees")
    func stockKilled() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...40, to: shop)
            try await shop.drained()
            let key = shop.keys.stock(shop.partition(of: "main"), shop: "main")
            try await shop.redis("HINCRBY", key, "TEA", "100000")
            try await whileSubmitting(to: shop) {
                for _ in 0..<10 { try await killed(["rebuild", "stock", "--yes"], in: shop) }
            }
            try await eventually(within: .seconds(60), "it is done") {
                try await shop.run("rebuild", "stock", "--yes").code == 0
            }
            try await shop.drained()
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
        }
    }

    @Test("stock: a worker that halted at a counter that somebody changed goes on behind it")
    func stockHalted() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...3, to: shop)
            try await shop.drained()
            let key = shop.keys.stock(shop.partition(of: "main"), shop: "main")
            try await shop.redis("HINCRBY", key, "TEA", "1")
            // What is in Redis is counted whenever the log was opened anew.
            try await shop.redis("HSET", shop.keys.head(shop.partition(of: "main")), "replid", "")
            try await shop.becomes("halted", .stock, "come to the sum")
            try await shop.submit([order("o-9")])
            #expect(try await shop.run("rebuild", "stock", "--shop", "main", "--yes").code == 0)
            try await shop.becomes("serving", .stock)
            try await shop.drained()
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
        }
    }

    @Test("stock: what is a dead letter is left out")
    func stockWithDeadLetter() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit([order("o-1")])
            try await shop.drained()
            let main = shop.partition(of: "main")
            let key = shop.keys.stock(main, shop: "main")
            // Beyond what can be counted on.
            try await shop.redis("HSET", key, "TEA", "9007199254740993")
            try await shop.submit([order("o-2"), order("o-3")])
            try await shop.becomes("stalled", .stock)
            for _ in 0..<2 {
                try await shop.becomes("stalled", .stock)
                let taken = try await shop.run(
                    "dead", "take", "--group", "stock", "--partition", "\(main)", "--reason", "too large", "--yes")
                #expect(taken.code == 0, "\(taken.errors)")
            }
            try await shop.drained()
            let done = try await shop.run("rebuild", "stock", "--shop", "main", "--yes")
            #expect(done.code == 0, "\(done.output)\(done.errors)")
            #expect(try await shop.text("HGET", key, "TEA") == "-2")
            try await shop.submit([order("o-4")])
            try await shop.drained()
            #expect(try await shop.text("HGET", key, "TEA") == "-4")
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
        }
    }

    // MARK: - The deliveries

    @Test("delivery: jobs that were taken come again at their places, by order and by time; those that wait stay")
    func deliveries() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...8, to: shop)
            try await shop.drained()
            let main = shop.partition(of: "main")
            let all = try await shop.jobs(in: main).filter { $0.contains(#""shop":"main""#) }
            let others = try await shop.jobs(in: main).filter { !$0.contains(#""shop":"main""#) }
            #expect(all.count == 9)
            // The service took the first three, and somebody one of those behind.
            try await shop.setJobs(
                Array(try await shop.jobs(in: main).drop { $0 != all[3] }.filter { $0 != all[5] }), in: main)
            #expect(try await shop.run("rebuild", "delivery").code == 64)
            #expect(try await shop.run("rebuild", "delivery", "--shop", "main", "--order", "none").code == 1)
            let plan = try await shop.run("rebuild", "delivery", "--shop", "main", "--order", "o-2", "--order", "o-5")
            #expect(
                plan.output.contains("1 jobs to be made again; 1 of these orders' wait in it still"), "\(plan.output)")
            let file = NSTemporaryDirectory() + "/orders-\(UInt32.random(in: 0...(.max)))"
            try "o-6\n\no-2\n".write(toFile: file, atomically: true, encoding: .utf8)
            let some = try await shop.run("rebuild", "delivery", "--shop", "main", "--orders", file, "--yes")
            try FileManager.default.removeItem(atPath: file)
            #expect(
                some.code == 0 && some.output.contains("2 jobs put into the list again"), "\(some.output)\(some.errors)"
            )
            #expect(try await shop.jobs(in: main).filter { $0.contains(#""shop":"main""#) } == [all[1]] + all[3...])
            let rest = try await shop.run("rebuild", "delivery", "--since", "1h", "--yes", "--json")
            #expect(rest.code == 0, "\(rest.errors)")
            #expect(try await shop.jobs(in: main).filter { $0.contains(#""shop":"main""#) } == all)
            #expect(try await shop.jobs(in: main).count == all.count + others.count)
            let nothing = try await shop.run("rebuild", "delivery", "--since", "1h", "--yes", "--json")
            #expect(try nothing.object().objects("partitions").allSatisfy { $0.int("jobs") == 0 })
            try await submit(11...12, to: shop)
            try await shop.drained()
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
        }
    }

    @Test(
        "delivery: killed at ten moments and run again, with orders coming in: everything agrees, each job waits once")
    func deliveriesKilled() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...40, to: shop)
            try await shop.drained()
            for partition in shop.partitioning.all { try await shop.setJobs([], in: partition) }
            try await whileSubmitting(to: shop) {
                for _ in 0..<10 { try await killed(["rebuild", "delivery", "--since", "1h", "--yes"], in: shop) }
            }
            try await eventually(within: .seconds(60), "it is done") {
                try await shop.run("rebuild", "delivery", "--since", "1h", "--yes").code == 0
            }
            try await shop.drained()
            let audit = try await shop.audit("--json")
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
            #expect(try audit.report().compared("deliveries") > 80)
        }
    }

    // MARK: - The tables

    @Test("tables: rows that were deleted, changed and invented are what the ledger gives again, rights and views kept")
    func tables() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...12, to: shop)
            try await shop.drained()
            try await shop.sql("CREATE VIEW late AS SELECT id FROM orders; GRANT SELECT ON orders TO PUBLIC")
            try await shop.sql(
                """
                DELETE FROM orders WHERE id = 'o-3'; DELETE FROM order_lines WHERE order_id IN ('o-3', 'o-4');
                UPDATE orders SET customer = 'nobody', status = 'cancelled' WHERE id = 'o-5';
                INSERT INTO orders SELECT shop, 'ghost', customer, status, attributes, placed_at, partition, seq FROM orders
                WHERE id = 'o-6' AND shop = 'main';
                UPDATE stock SET on_hand = on_hand + 1 WHERE sku = 'TEA'; INSERT INTO stock VALUES ('main', 'GHOST', 1)
                """)
            #expect(try await shop.audit().code == 1)
            let plan = try await shop.run("rebuild", "tables")
            #expect(plan.output.contains("rows of the ledger are to be folded"), "\(plan.output)\(plan.errors)")
            #expect(try await shop.audit().code == 1)
            let done = try await shop.run("rebuild", "tables", "--yes")
            #expect(done.code == 0, "\(done.errors)")
            #expect(done.output.contains("orders: 23 rows; 2 added, 2 changed, 1 removed"), "\(done.output)")
            #expect(done.output.contains("stock: 4 rows; 0 added, 1 changed, 1 removed"), "\(done.output)")
            let again = try await shop.run("rebuild", "tables", "--yes", "--json")
            #expect(
                try again.object().objects("tables").allSatisfy {
                    $0.int("added") == 0 && $0.int("changed") == 0 && $0.int("removed") == 0
                }, "\(again.output)")
            try await submit(21...24, to: shop)
            try await shop.drained()
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
            try await shop.sql("SELECT id FROM late; DROP VIEW late")
        }
    }

    @Test("tables: what is applied while rows are put right waits, and is not taken for too much")
    func tablesWhileApplied() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...3, to: shop)
            try await shop.drained()
            try await shop.sql(
                """
                INSERT INTO orders SELECT shop, 'ghost', customer, status, attributes, placed_at, partition, seq FROM orders
                WHERE id = 'o-2' AND shop = 'main'
                """)
            // It has to go, and can't for now.
            try await shop.sql("BEGIN; SELECT FROM orders WHERE id = 'ghost' FOR UPDATE")
            async let rebuilt = shop.run("rebuild", "tables", "--yes")
            try await eventually("it waits for the row") { try await shop.waiting().rebuild > 0 }
            try await shop.submit([order("o-9")])
            try await eventually("the worker waits for it, or has applied the order") {
                let waits = try await shop.waiting().worker > 0
                let groups = try await shop.run("status", "--json").object().objects("groups")
                return waits || groups.allSatisfy { $0.int("lag") == 0 }
            }
            try await shop.sql("ROLLBACK")
            let done = try await rebuilt
            #expect(done.code == 0, "\(done.errors)")
            try await shop.drained()
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
        }
    }

    @Test("tables: killed at ten moments and run again, with orders coming in: everything agrees")
    func tablesKilled() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...40, to: shop)
            try await shop.drained()
            try await shop.sql("DELETE FROM orders WHERE seq % 2 = 0; UPDATE stock SET on_hand = 0")
            try await whileSubmitting(to: shop) {
                for _ in 0..<10 { try await killed(["rebuild", "tables", "--yes"], in: shop) }
            }
            try await eventually(within: .seconds(60), "it is done") {
                try await shop.run("rebuild", "tables", "--yes").code == 0
            }
            try await shop.drained()
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
        }
    }

    // MARK: - The log

    @Test("log: gone altogether, it is made anew with positions, stock, window and the jobs that are asked for")
    func logAnew() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...9, to: shop)
            try await shop.drained()
            try await shop.deleteEverything()
            for command in [
                ["status"], ["submit", "--id", "x", "--shop", "main", "--customer", "c", "--line", "TEA:1"],
            ] {
                let ran = try await shop.run(command, ["ONEWRITE_TIMEOUT": "1s"])
                #expect(ran.code != 0 && ran.errors.contains("onewrite rebuild log"), "\(command): \(ran.errors)")
            }
            #expect(try await shop.run("init").errors.contains("onewrite rebuild log"))
            #expect(try await shop.run("rebuild", "log").code == 64, "whose jobs?")
            #expect(try await shop.run("rebuild", "log", "--deliveries-since", "then").code == 64)

            let plan = try await shop.run("rebuild", "log", "--deliveries-since", "1h")
            #expect(plan.output.contains("; jobs from seq 1 on"), "\(plan.output)\(plan.errors)")
            #expect(plan.output.contains("nothing was applied: to be created"))
            #expect(try await shop.run("status").errors.contains("onewrite rebuild log"), "a plan changes nothing")
            let done = try await shop.run("rebuild", "log", "--deliveries-since", "1h", "--yes")
            #expect(done.code == 0, "\(done.output)\(done.errors)")
            #expect(done.output.contains("4 partitions: 4 rebuilt"), "\(done.output)")
            let again = try await shop.run("rebuild", "log", "--no-deliveries", "--yes")
            #expect(again.code == 0 && again.output.contains("is there already, and open"))

            try await shop.drained()
            let repeated = try await shop.run(
                "submit", "--id", "o-3", "--shop", "main", "--customer", "c-1", "--line", "TEA:2", "--line", "MUG:1",
                "--attributes", "{}", "--json")
            #expect(repeated.output.contains(#""outcome":"duplicate""#), "\(repeated.output)\(repeated.errors)")
            #expect(try await shop.jobs(in: shop.partition(of: "main")).first?.contains(#""order":"o-1""#) == true)
            try await submit(31...33, to: shop)
            try await shop.drained()
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
        }
    }

    @Test("log: without jobs, only what the window needs comes back; the delivery list begins with what is new")
    func logWithoutJobs() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...6, to: shop)
            try await shop.drained()
            try await shop.sql("UPDATE ledger SET appended_at = appended_at - interval '3 days'")
            try await shop.sql("UPDATE orders SET placed_at = placed_at - interval '3 days'")
            try await shop.deleteEverything()
            let done = try await shop.run("rebuild", "log", "--no-deliveries", "--yes", "--json")
            #expect(done.code == 0, "\(done.output)\(done.errors)")
            let rows = try done.object().objects("partitions").filter { ($0.int("last") ?? 0) > 0 }
            #expect(!rows.isEmpty && rows.allSatisfy { $0.int("first") == $0.int("last") && $0.int("healed") == 1 })
            try await submit(11...12, to: shop)
            try await shop.drained()
            #expect(try await shop.jobs(in: shop.partition(of: "main")).first?.contains(#""order":"o-11""#) == true)
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
        }
    }

    @Test("log: IDs of the window are known again, though their entries are not put back; others are forgotten")
    func logWindow() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...6, to: shop)
            try await shop.drained()
            let main = shop.partition(of: "main")
            // Accepted, and not applied by anybody when head and log were deleted.
            await shop.stopWorkers()
            try await shop.submit([order("o-7")])
            try await shop.redis("DEL", shop.keys.head(main), shop.keys.log(main))
            try await shop.startWorkers()
            let plan = try await shop.run("rebuild", "log", "--no-deliveries")
            #expect(plan.output.contains("; IDs remembered from seq 1 on; no jobs"), "\(plan.output)")
            let done = try await shop.run("rebuild", "log", "--no-deliveries", "--yes", "--json")
            #expect(done.code == 0, "\(done.output)\(done.errors)")
            let row = try #require(
                try done.object().objects("partitions").first { $0.int("partition") == main.number })
            #expect(row.int("healed") == 1 && row.int("ids") == row.int("last") && row.int("ids_from") == 1)
            func again(_ id: String) async throws -> String {
                try await shop.run(
                    "submit", "--id", id, "--shop", "main", "--customer", "c-1", "--line", "TEA:2", "--line", "MUG:1",
                    "--attributes", "{}", "--json"
                ).output
            }
            #expect(try await again("o-3").contains(#""outcome":"duplicate""#))
            #expect(try await again("o-7").contains(#""outcome":"accepted""#), "it is gone")
            try await shop.drained()
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
        }
    }

    @Test("log: killed at ten moments and run again: everything agrees")
    func logKilled() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...30, to: shop)
            try await shop.drained()
            try await shop.deleteEverything()
            let arguments = ["rebuild", "log", "--deliveries-since", "1h", "--yes"]
            for _ in 0..<10 { try await killed(arguments, in: shop) }
            try await eventually(within: .seconds(60), "it is done") { try await shop.run(arguments, [:]).code == 0 }
            try await submit(41...44, to: shop)
            try await shop.drained()
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
        }
    }

    /// Runs a command, and kills it within the time that it takes, more or less.
    private func killed(_ arguments: [String], in shop: AuditedShop) async throws {
        let process = try await ChildProcess.spawn(
            [BuiltExecutable.path] + arguments, environment: shop.servers.environment, output: .discarded,
            errors: .discarded)
        try await Task.sleep(for: .milliseconds(Int.random(in: 20...250)))
        await process.kill()
    }

    private func whileSubmitting(to shop: AuditedShop, _ body: () async throws -> Void) async throws {
        let isOver = Mutex(false)
        async let submitting: Void = {
            var number = 1000
            while !isOver.withLock({ $0 }) {
                try await submit(number...(number + 4), to: shop)
                number += 10
            }
        }()
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        isOver.withLock { $0 = true }
        try await submitting
        try result.get()
    }
}
