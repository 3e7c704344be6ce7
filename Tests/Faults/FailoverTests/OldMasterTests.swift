import Harness
import PrivateServers
import TestSupport
import Testing

@Suite("An old master that lives on after another server was opened", .serialized)
struct OldMasterTests {
    /// Runs `body` with a replica that was promoted and opened while the old master and its workers run on.
    ///
    /// All that the old master had is in Postgres.
    private func withSuccessor(
        _ body: @Sendable (Site, PrivateRedis, [Submission]) async throws -> Void
    ) async throws {
        try await Site.open { site in
            try await site.startWorkers(at: site.redis.socketURL)
            let replica = try await site.replica()
            try await replica.cutOff()
            let submissions = try await site.submit(20)
            try await site.drained()
            try await replica.promote()
            try site.lead(to: replica)
            let opened = try await site.shop.run(["open"])
            #expect(opened.contains("\(Site.partitions) opened, 0 open already"), "\(opened)")
            try await body(site, replica, submissions)
            await replica.stop()
        }
    }

    private func open(_ site: Site, _ flags: String...) async throws -> ChildProcess.Completed {
        try await ChildProcess.run(
            [site.shop.executable, "open"] + flags,
            environment: site.shop(at: site.redis.socketURL).environment, in: site.directory.path)
    }

    @Test("its workers can't change Postgres any more, and stay away loudly; the successor's do the work")
    func superseded() async throws {
        try await withSuccessor { site, _, submissions in
            // The old master can't know: it takes what is sent to it. `min-replicas-to-write` is what makes it refuse.
            let stray = try await site.submit(20, at: site.redis.socketURL)
            #expect(stray.allSatisfy { $0.receipt.outcome == "accepted" })
            try await eventually(within: .seconds(30), "the worker says that its server is superseded") {
                site.log(of: "postgres").contains("superseded")
            }
            await site.stopWorkers()
            try await site.startWorkers()
            let new = try await site.submit(20)
            try await site.drained()
            try await site.expectAgreement(submissions + new)
            let refused = try await open(site)
            #expect(refused.status == .exited(75))
            #expect(refused.errors.contains("superseded") && refused.errors.contains("--force"), "\(refused.errors)")
        }
    }

    @Test("an old master without replicas refuses orders, where it was told to")
    func fenced() async throws {
        try await withSuccessor { site, _, _ in
            try await site.redis.ask("CONFIG", "SET", "min-replicas-to-write", "1", "min-replicas-max-lag", "1")
            let refused = try await ChildProcess.run(
                [
                    site.shop.executable, "submit", "--id", "stray", "--shop", "s", "--customer", "c", "--line",
                    "TEA:1",
                    "--timeout", "500ms",
                ], environment: site.shop(at: site.redis.socketURL).environment, in: site.directory.path)
            #expect(refused.status == .exited(75))
            #expect(refused.errors.contains("NOREPLICAS") || refused.errors.contains("replicas"), "\(refused.errors)")
        }
    }

    @Test("--force opens it again, with all that Postgres has, when the successor is gone")
    func forced() async throws {
        try await withSuccessor { site, successor, submissions in
            await site.stopWorkers()
            try await site.startWorkers()
            let only = try await site.submit(10)
            try await site.drained()
            await site.stopWorkers()
            await successor.kill()
            let forced = try await open(site, "--force")
            #expect(forced.status == .exited(0), "\(forced.errors)")
            try site.lead(to: site.redis)
            try await site.startWorkers()
            let new = try await site.submit(10)
            try await site.drained()
            try await site.expectAgreement(submissions + only + new)
        }
    }

    @Test("--force doesn't open one that took other orders at the same places: both are named")
    func forked() async throws {
        try await withSuccessor { site, successor, _ in
            await site.stopWorkers()
            _ = try await site.submit(10, at: site.redis.socketURL)
            try await site.startWorkers()
            _ = try await site.submit(10)
            try await site.drained()
            await site.stopWorkers()
            await successor.kill()
            let forced = try await open(site, "--force")
            #expect(forced.status == .exited(75))
            #expect(forced.errors.contains("forked"), "\(forced.errors)")
            #expect(forced.errors.contains("ord-2") && forced.errors.contains("ord-3"), "\(forced.errors)")
        }
    }
}

extension PrivateRedis {
    /// The server itself, wherever the site's address leads.
    var socketURL: String { "unix://\(socketPath)" }
}
