import Foundation
import Harness
import PrivateServers
import Testing
import TestSupport

@testable import OnewriteCommand

@Suite("Servers that fail under load", .serialized)
struct ServerFaultTests {
    /// Submits orders from three submitters while `body` does its harm, then expects all stores to agree.
    ///
    /// With one long file each they run through it all; a submit that starts while Redis is down waits for it.
    private func flow(
        _ shop: Shop, orders: Int = 1500, files: Int = 20, _ body: @Sendable () async throws -> Void
    ) async throws {
        var generator = SeededGenerator(seed: 11)
        let workload = Workload(orders: orders, filesEach: files, using: &generator)
        async let submitted = Submitters(servers: shop.demo, pace: .milliseconds(150)).run(workload)
        try await body()
        let submissions = try await submitted
        try await shop.drained()
        try await shop.expectAgreement(submissions, answersMayBeLost: true)
    }

    @Test("Redis killed and restarted: the log is opened anew by the workers, nothing accepted is lost")
    func redisKilled() async throws {
        try await Shop.open { shop in
            try await shop.fleet.startAll()
            try await flow(shop, orders: 12_000, files: 1) {
                try await shop.outside.ordersFlow(from: 3, of: 12_000)
                for _ in 0..<3 {
                    await shop.servers.redis.kill()
                    try await shop.servers.redis.restart()
                    let start = ContinuousClock.now
                    try await eventually("every partition is open again") {
                        try await shop.outside.closedPartitions() == 0
                    }
                    print("open again \(start.duration(to: .now)) after Redis answered")
                }
            }
        }
    }

    @Test("Postgres stopped at once and restarted: its group waits and goes on")
    func postgresStopped() async throws {
        try await Shop.open { shop in
            try await shop.fleet.startAll()
            try await flow(shop) {
                for _ in 0..<2 {
                    try await shop.servers.postgres.restart(.immediate)
                    try await Task.sleep(for: .milliseconds(300))
                }
                await shop.servers.postgres.kill()
                try await shop.servers.postgres.restart()
            }
        }
    }

    @Test("connections cut, scripts flushed, a group destroyed in mid-load: the work goes on")
    func disturbed() async throws {
        try await Shop.open { shop in
            try await shop.fleet.startAll()
            try await flow(shop, orders: 12_000, files: 1) {
                try await shop.outside.ordersFlow(from: 3, of: 12_000)
                for round in 0..<6 {
                    let group = StoreContents.groups[round % 3]
                    try await shop.outside.redis("CLIENT", "KILL", "TYPE", "normal")
                    try await shop.outside.redis("SCRIPT", "FLUSH")
                    try await shop.outside.redis(
                        "XGROUP", "DESTROY", "{onewrite:\(round)}:log", group)
                    try await shop.outside.sql(
                        """
                        SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
                        WHERE application_name LIKE 'onewrite-postgres%'
                        """)
                    try await Task.sleep(for: .milliseconds(250))
                }
            }
        }
    }

    @Test("a worker that was stopped past its lease, and resumed, changes nothing any more")
    func zombie() async throws {
        try await Shop.open { shop in
            try await shop.fleet.startAll()
            try await flow(shop) {
                for name in WorkerFleet.names where name.letter == "a" {
                    let process = try #require(shop.fleet.process(name))
                    process.send(SIGSTOP)
                    try await eventually("\(name)'s leases ran out, and its partitions moved") {
                        try await shop.outside.owners(of: name.group).allSatisfy { $0 == "\(name.sibling)" }
                    }
                    process.send(SIGCONT)
                }
            }
        }
    }

    @Test("Redis out of memory: submits are refused, workers drain what is there")
    func outOfMemory() async throws {
        try await Shop.open { shop in
            var generator = SeededGenerator(seed: 5)
            let submitters = Submitters(servers: shop.demo, pace: .zero)
            let submissions = try await submitters.run(Workload(orders: 300, filesEach: 1, using: &generator))
            try await shop.outside.redis("CONFIG", "SET", "maxmemory", "1mb")
            let refused = try await ChildProcess.run(
                [
                    BuiltExecutable.path, "submit", "--id", "late", "--shop", "main", "--customer", "c", "--line",
                    "TEA:1",
                    "--timeout", "300ms",
                ], environment: shop.demo.environment)
            #expect(refused.status == .exited(OnewriteCommand.ExitStatus.tryAgain.rawValue))
            #expect(refused.errors.contains("OOM") || refused.errors.contains("memory"), "\(refused.errors)")
            try await shop.fleet.startAll()
            try await shop.drained()
            try await shop.expectAgreement(submissions)
        }
    }
}
