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

    @Test("of Postgres where it can't be asked; what Redis alone can tell is compared all the same")
    func withoutPostgres() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit([order("ord-1"), order("ord-2", "left"), order("ord-3")])
            try await shop.drained()
            await shop.stopWorkers()
            func audit(_ url: String?) async throws -> ChildProcess.Completed {
                try await ChildProcess.run(
                    [BuiltExecutable.path, "audit"],
                    environment: shop.servers.environment.merging(["DATABASE_URL": url]) { $1 })
            }
            let partition = shop.partition(of: "main")
            // An entry by hand, which no sink applied, changes nothing.
            try await shop.redis(
                "XADD", shop.keys.log(partition), "*", "epoch", "1", "seq", "9", "type", "stock.received", "id", "x",
                "shop",
                "main", "lines", "TEA:1")
            for url in [nil, "postgres://u:hush@127.0.0.1:1/db"] {
                let ran = try await audit(url)
                #expect(ran.status == .exited(75), "\(ran.output)\(ran.errors)")
                #expect(ran.output.contains("? Postgres was not compared: ") && !ran.output.contains("hush"))
                #expect(ran.output.contains("nothing differs in what could be compared"))
            }
            let (stock, key) = (shop.keys.stock(partition, shop: "main"), shop.keys.log(partition))
            try await shop.redis("HINCRBY", stock, "TEA", "1")
            let differs = try await audit(nil)
            #expect(
                differs.status == .exited(1) && differs.output.contains("stock in Redis: main TEA"), "\(differs.output)"
            )
            try await shop.redis("DEL", stock)
            let gone = try await audit(nil)
            #expect(
                gone.status == .exited(1) && gone.output.contains("stock in Redis: main (partition"), "\(gone.output)")
            try await shop.redis("XTRIM", key, "MAXLEN", "1")
            let trimmed = try await audit(nil)
            #expect(
                trimmed.status == .exited(75) && trimmed.output.contains("its log doesn't begin with seq 1"),
                "\(trimmed.output)")
        }
    }

    @Test("of a position that can't be read")
    func unreadable() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit([order("ord-1")])
            try await shop.drained()
            await shop.stopWorkers()
            let partition = shop.partition(of: "main")
            try await shop.redis("HSET", shop.keys.position(partition, .stock), "seq", "many")
            let audited = try await shop.audit()
            #expect(audited.code == 75 && audited.output.contains("position of stock"), "\(audited.output)")
        }
    }
}
