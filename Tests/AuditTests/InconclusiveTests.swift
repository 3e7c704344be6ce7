import OrderLog
import PrivateServers
import RedisLog
import TestSupport
import Testing

@Suite("audit can't tell")
struct InconclusiveTests {
    @Test("of a partition whose log is closed; what differs in another one is told all the same")
    func closed() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit([order("ord-1"), order("ord-2", "left")])
            try await shop.drained()
            await shop.stopWorkers()
            let (closed, other) = (shop.partition(of: "main"), shop.partition(of: "left"))
            try #require(closed != other)
            try await shop.redis("HSET", shop.keys.head(closed), "replid", "")
            let audited = try await shop.audit("--json")
            let report = try audited.report()
            #expect(audited.code == 75 && report.verdict == "inconclusive" && report.differences.isEmpty)
            #expect(report.inconclusive.count == 1 && report.inconclusive[0].hasPrefix("partition \(closed): "))
            #expect(try await shop.audit().output.contains("inconclusive · 4 partitions"))
            try await shop.redis("HINCRBY", shop.keys.stock(other, shop: "left"), "TEA", "1")
            #expect(try await shop.audit().code == 1)
        }
    }

    @Test("of a position that can't be read; without Postgres it doesn't begin")
    func unreadable() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit([order("ord-1")])
            try await shop.drained()
            await shop.stopWorkers()
            let partition = shop.partition(of: "main")
            try await shop.redis("HSET", shop.keys.position(partition, .stock), "seq", "many")
            let audited = try await shop.audit()
            #expect(audited.code == 75 && audited.output.contains("position of stock"), "\(audited.output)")
            func run(_ url: String?) async throws -> ChildProcess.Completed {
                try await ChildProcess.run(
                    [BuiltExecutable.path, "audit"],
                    environment: shop.servers.environment.merging(["DATABASE_URL": url]) { $1 })
            }
            #expect(try await run(nil).status == .exited(78))
            #expect(try await run("postgres://u:hush@127.0.0.1:1/db").status == .exited(69))
        }
    }
}
