import Foundation
import OrderLog
import RedisLog
import Testing
import TestSupport

@testable import OnewriteCommand

@Suite("onewrite repair")
struct RepairTests {
    @Test("mends counters, rows and jobs, records each with what it was and is, and audit agrees")
    func mends() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit(
                (1...9).map { order("o-\($0)") } + [cancellation("o-2"), stock("counted", "c-1", "main", "TEA:90")])
            try await shop.drained()
            let agreed = try await shop.run("repair")
            #expect(
                agreed.code == 0 && agreed.output.contains("audit: agree. There is nothing to mend"), "\(agreed.output)"
            )

            let main = shop.partition(of: "main")
            try await shop.redis("HSET", shop.keys.stock(main, shop: "main"), "TEA", "7")
            try await shop.sql(
                """
                DELETE FROM orders WHERE id = 'o-3'; UPDATE stock SET on_hand = 5 WHERE sku = 'MUG';
                DELETE FROM ledger WHERE id = 'o-6'; UPDATE order_lines SET quantity = 9 WHERE order_id = 'o-4' AND sku = 'TEA'
                """)
            let jobs = try await shop.jobs(in: main)
            try await shop.setJobs(
                [jobs[0], jobs[2], #"{"job":"dance"}"#, jobs[3].replacing("c-1", with: "c-9"), jobs[5], jobs[4]]
                    + jobs[6...], in: main)

            let plan = try await shop.run("repair")
            #expect(plan.code == 1 && plan.errors.contains("nothing was changed; --yes does it"))
            #expect(
                plan.output.contains("  stock in Redis: main TEA (partition \(main) seq 11): 7 → 90"), "\(plan.output)")
            #expect(plan.output.contains("main o-3 (partition \(main) seq 3): none → a row"), "\(plan.output)")
            #expect(plan.output.contains("can be mended, 0 can't"), "\(plan.output)")
            #expect(try await shop.run("repair", "--yes").code == 64, "without a reason")

            let done = try await shop.run("repair", "--reason", "test of hands", "--yes")
            #expect(done.code == 0 && done.output.contains("0 left · audit: agree"), "\(done.output)\(done.errors)")
            #expect(try await shop.jobs(in: main) == jobs)
            let incidents = try await shop.run("incident", "list").output
            for what in [
                "main TEA: was 7, is 90", "main o-3: was none, is a row", "was nothing, is a row of the ledger",
            ] {
                #expect(incidents.contains(what), "\(what): \(incidents)")
            }
            #expect(incidents.contains("test of hands"))
            try await shop.submit([order("o-20")])
            try await shop.drained()
            #expect(try await shop.audit().code == 0)
        }
    }

    @Test("says what nobody can know, and mends the rest")
    func unknown() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit((1...6).map { order("o-\($0)") })
            try await shop.drained()
            let main = shop.partition(of: "main")
            try await shop.redis("XDEL", shop.keys.log(main), try await shop.entry(3, in: main))
            try await shop.redis("HSET", shop.keys.stock(main, shop: "main"), "MUG", "70")
            let done = try await shop.run("repair", "--reason", "hands", "--yes", "--json")
            #expect(done.code == 1, "\(done.output)\(done.errors)")
            let rows = try #require(try done.objects().first).objects("differences")
            let log = try #require(rows.first { $0.text("subject") == "log" })
            #expect(log.text("mend") == "nothing" && log.text("advice")?.contains("incident settle \(main):3") == true)
            #expect(rows.contains { $0.text("subject") == "stock-in-redis" && $0.text("mend") == "stock" })
            let settled = try await shop.run(
                "incident", "settle", "\(main):3", "--group", "postgres", "--what", "deleted", "--reason", "hands",
                "--yes")
            #expect(settled.code == 0, "\(settled.errors)")
            #expect(try await shop.audit().code == 0)
        }
    }
}
