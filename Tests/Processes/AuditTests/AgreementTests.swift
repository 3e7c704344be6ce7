import Foundation
import OrderLog
import PrivateServers
import RedisLog
import Testing
import TestSupport

@Suite("audit agrees")
struct AgreementTests {
    @Test("with what workers applied: counts, receptions, cancellations, an order whose cancellation came first")
    func idle() async throws {
        try await AuditedShop.open { shop in
            #expect(try await shop.audit().code == 0, "an empty log")
            try await shop.submit([
                stock("counted", "count-1", "main", "TEA:100 MUG:50"), cancellation("ord-3"),
                order("ord-1", attributes: #"{"gift":true,"note":"a \"b\" ☕"}"#), order("ord-2"), order("ord-3"),
                cancellation("ord-2"), stock("received", "in-1", "main", "POT:5"),
                stock("counted", "count-2", "main", "TEA:7"), order("ord-1", "left", "TEA:1 TEA:2 POT:3"),
            ])
            try await shop.drained()
            let audited = try await shop.audit("--json")
            let report = try audited.report()
            #expect(audited.code == 0 && report.verdict == "agree" && report.differences.isEmpty, "\(audited.output)")
            #expect(report.compared("log") == 9 && report.compared("ledger") == 9 && report.compared("orders") == 4)
            #expect(report.compared("order-lines") == 8 && report.compared("deliveries") == 6)
            #expect(report.compared("stock-in-postgres") == 5 && report.compared("stock-in-redis") == 5)
            let text = try await shop.audit()
            #expect(text.code == 0 && text.output.contains("agree · 4 partitions"))
        }
    }

    @Test("again and again under load: submitters, workers that are killed, and a delivery service that takes jobs")
    func load() async throws {
        try await AuditedShop.open { shop in
            let shops = (1...6).map { "shop-\($0)" }
            try await shop.submit(shops.map { stock("counted", "count-\($0)", $0, "TEA:9000 MUG:9000") })
            let rounds = 8
            async let submitted: Void = {
                for round in 0..<rounds {
                    try await shop.submit(
                        (0..<1500).flatMap { number -> [String] in
                            let name = shops[number % shops.count]
                            let id = "ord-\(round)-\(number)"
                            if number % 50 == 0 { return [stock("counted", id, name, "TEA:\(number)")] }
                            return [order(id, name)] + (number % 20 == 1 ? [cancellation(id, name)] : [])
                        })
                }
            }()
            var behind = 0
            for round in 0..<10 {
                for partition in shop.partitioning.all {
                    try await shop.redis("LPOP", shop.keys.deliveries(partition), "40")
                }
                if round % 2 == 1 { try await shop.replaceWorker(Group.builtIn[round % 3]) }
                let audited = try await shop.audit("--json")
                #expect(audited.code == 0, "\(audited.output) \(audited.errors)")
                let report = try audited.report()
                if report.compared("log") > report.compared("ledger") { behind += 1 }
            }
            try await submitted
            #expect(behind > 0, "Postgres was never behind: nothing was joined")
            try await shop.drained()
            let report = try await shop.audit("--json").report()
            #expect(report.verdict == "agree" && report.compared("orders") == rounds * 1470)
        }
    }

    @Test("when a group's worker is not running at all, at its own position")
    func lagging() async throws {
        for group in Group.builtIn {
            try await AuditedShop.open { shop in
                try await shop.submit([stock("counted", "count-1", "main", "TEA:100"), order("ord-1"), order("ord-2")])
                try await shop.drained()
                await shop.stopWorkers([group])
                try await shop.submit([
                    order("ord-3"), stock("counted", "count-2", "main", "TEA:55 CUP:1"), order("ord-4", "new-shop"),
                ])
                let others = Group.builtIn.filter { $0 != group }
                try await eventually("the others go on") {
                    let done = try await BuiltExecutable.run("status", "--json", on: shop.servers).output
                    let status = try #require(
                        try JSONSerialization.jsonObject(with: Data(done.utf8)) as? [String: Any])
                    return try #require(status["groups"] as? [[String: Any]]).allSatisfy {
                        ($0["lag"] as? Int) == (others.map(\.name).contains($0["name"] as? String ?? "") ? 0 : 3)
                    }
                }
                let audited = try await shop.audit()
                #expect(audited.code == 0, "\(group): \(audited.output)")
            }
        }
    }

    @Test("with dead letters that every sink set aside, and names one that only some did")
    func deadLetters() async throws {
        try await AuditedShop.open { shop in
            let partition = shop.partition(of: "main")
            let (log, head) = (shop.keys.log(partition), shop.keys.head(partition))
            try await shop.submit([stock("counted", "count-1", "main", "TEA:100"), order("ord-1")])
            try await shop.redis("XADD", log, "*", "hello", "world")
            // At once: workers that saw the entry before the head reached it would take it for a lost tail's.
            try await shop.redis(
                "EVAL",
                """
                redis.call('XADD', KEYS[1], '*', 'epoch', 1, 'seq', 3,
                    'type', 'order.placed', 'id', 'ord-2', 'shop', 'main')
                return redis.call('HSET', KEYS[2], 'seq', 3)
                """, "2", log, head)
            try await shop.submit([order("ord-3")])
            try await shop.drained()
            let audited = try await shop.audit("--json")
            #expect(audited.code == 0, "\(audited.output)")
            #expect(try audited.report().explained.isEmpty)

            // What taking an entry out of the way in one sink leaves behind.
            await shop.stopWorkers()
            try await shop.submit([order("ord-4"), stock("counted", "count-5", "main", "MUG:9")])
            for (group, seq) in [(Group.stock, 5), (.delivery, 5), (.stock, 6)] {
                try await shop.redis(
                    "XADD", shop.keys.dead(partition, group), "*", "epoch", "1", "seq", "\(seq)", "entry", "1-1",
                    "reason", "taken", "error", "by hand")
                try await shop.redis("HSET", shop.keys.position(partition, group), "seq", "\(seq)")
            }
            try await shop.startWorkers()
            try await shop.submit([order("ord-6")])
            try await shop.drained()
            let taken = try await shop.audit("--json")
            let explained = try taken.report().explained
            #expect(taken.code == 0, "\(taken.output)")
            #expect(explained.map(\.name) == ["main ord-4", "main count-5"])
            #expect(explained.map(\.groups) == [["stock", "delivery"], ["stock"]])
            #expect(try await shop.audit().output.contains("explained by dead letter"))
        }
    }
}
