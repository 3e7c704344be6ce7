import Foundation
import OrderLog
import PrivateServers
import RedisClient
import RedisLog
import Testing
import TestSupport

@testable import OnewriteCommand

@Suite("onewrite trim")
struct TrimCommandTests {
    /// Orders of one shop, in one partition.
    private func submit(_ numbers: ClosedRange<Int>, to shop: AuditedShop) async throws {
        try await shop.submit(numbers.map { order("o-\($0)") } + [cancellation("o-\(numbers.lowerBound)")])
    }

    private func partition(_ ran: Ran, in shop: AuditedShop) throws -> [String: Any] {
        let number = shop.partition(of: "main").number
        return try #require(try ran.object().objects("partitions").first { $0.int("partition") == number })
    }

    @Test("plans, drops what all groups have applied with --yes, and everything else goes on")
    func trims() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...20, to: shop)
            try await shop.drained()
            let kept = try await shop.run("trim")
            #expect(kept.code == 0, "\(kept.errors)")
            #expect(kept.output.contains("4 partitions: 0 entries can go, 0 B; 21 stay"), "\(kept.output)")
            let plan = try await shop.run("trim", "--keep", "0s")
            #expect(plan.output.contains("seq 1 to 20 (20 entries, "), "\(plan.output)")
            #expect(plan.errors.contains("nothing was changed; --yes does it"))
            #expect(try await partition(shop.run("trim", "--keep-entries", "5", "--json"), in: shop).int("last") == 16)
            let dry = try await shop.run("trim", "--keep", "0s", "--yes", "--dry-run", "--json")
            #expect(try partition(dry, in: shop)["dropped"] is NSNull? && partition(dry, in: shop).int("last") == 20)

            let done = try await shop.run("trim", "--keep", "0s", "--yes")
            #expect(done.code == 0, "\(done.errors)")
            #expect(done.output.contains("20 of 20 entries dropped"), "\(done.output)")
            #expect(try await shop.text("HGET", shop.keys.head(shop.partition(of: "main")), "first") == "21")
            #expect(try await shop.audit().code == 0)
            #expect(try await shop.run("order", "o-7").code == 0)
            #expect(try await shop.run("trim", "--keep", "0s", "--yes").output.contains("nothing to drop"))

            try await shop.replaceWorker(.stock)
            try await submit(30...35, to: shop)
            try await shop.drained()
            let audit = try await shop.audit()
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
        }
    }

    @Test("names the group that holds the rest back, and a log that is not open")
    func held() async throws {
        try await AuditedShop.open { shop in
            try await submit(1...5, to: shop)
            try await shop.drained()
            await shop.stopWorkers([.stock])
            try await submit(11...14, to: shop)
            try await shop.reaches(11, .postgres)
            try await shop.reaches(11, .delivery)
            let plan = try await shop.run("trim", "--keep", "0s")
            #expect(plan.output.contains("seq 1 to 5 (5 entries, "), "\(plan.output)")
            #expect(plan.output.contains("held back by stock, which is at seq 6 since 20"), "\(plan.output)")
            let row = try await partition(shop.run("trim", "--keep", "0s", "--yes", "--json"), in: shop)
            #expect(row.int("dropped") == 5 && row.int("stays") == 6)
            #expect((row["held_by"] as? [String: Any])?.text("group") == "stock")

            await shop.stopWorkers([.postgres, .delivery])
            try await shop.redis("HSET", shop.keys.head(shop.partition(of: "main")), "replid", "another")
            let closed = try await shop.run("trim", "--keep", "0s")
            #expect(closed.code == 75)
            #expect(closed.output.contains("its log is not open"), "\(closed.output)")
            try await shop.startWorkers()
            try await shop.drained()
            #expect(try await shop.audit().code == 0)
        }
    }

    @Test("a worker of group postgres does it by itself, when it is told so")
    func byItself() async throws {
        try await AuditedShop.open { shop in
            await shop.stopWorkers([.postgres])
            try await submit(1...30, to: shop)
            let worker = try await ChildProcess.spawn(
                [BuiltExecutable.path, "worker", "--group", "postgres"],
                environment: shop.servers.environment.merging(["ONEWRITE_TRIM": "1s"]) { $1 }, output: .discarded,
                errors: .discarded)
            let head = shop.keys.head(shop.partition(of: "main"))
            try await eventually(within: .seconds(60), "the log is trimmed to its last entry") {
                let status = try await shop.run("status", "--json").object().objects("groups")
                guard status.allSatisfy({ $0.int("lag") == 0 }) else { return false }
                guard case .string = try await shop.redis("HGET", head, "first") else { return false }
                return try await shop.text("HGET", head, "first") == "31"
            }
            #expect(try await shop.audit().code == 0)
            await worker.stop()
        }
    }

    @Test(
        "is told what it can't mean",
        arguments: [["--keep", "often"], ["--keep-entries", "-1"], ["--partition", "-2"]])
    func wrong(_ arguments: [String]) async throws {
        let ran = try await ChildProcess.run([BuiltExecutable.path, "trim"] + arguments, within: .seconds(30))
        #expect(ran.status == .exited(64) && ran.errors.contains(arguments[0]))
    }
}
