import Foundation
import Harness
import PrivateServers
import Testing
import TestSupport

@testable import OnewriteCommand

/// A log on servers of a test's own, worked on by real processes of the built executable.
struct Shop: Sendable {
    static let partitions = 8

    let servers: TestServers
    let demo: Harness.Shop
    let probe: StoreProbe
    let fleet: WorkerFleet
    let outside: Outside

    /// Runs `body` with a log that was just made; everything is removed afterwards.
    ///
    /// - Parameters:
    ///   - isEncrypted: Whether Redis and Postgres are spoken to with TLS.
    ///   - body: The test.
    /// - Throws: What the body throws; `ServerError`.
    static func open(
        isEncrypted: Bool = false, _ body: @Sendable (Shop) async throws -> Void
    ) async throws {
        try await withOwnServers(isEncrypted: isEncrypted) { servers in
            let directory = try await PrivateDirectory()
            let demo = Harness.Shop(
                redisURL: servers.redis.url, postgresURL: servers.postgres.url, executable: BuiltExecutable.path,
                directory: directory.path)
            let probe = StoreProbe(demo, partitions: partitions)
            let shop = Shop(
                servers: servers, demo: demo, probe: probe, fleet: WorkerFleet(demo, probe), outside: Outside(demo))
            try await demo.run(["init", "--partitions", "\(partitions)"])
            do {
                try await body(shop)
            } catch {
                await shop.fleet.stopAll()
                await directory.remove()
                throw error
            }
            await shop.fleet.stopAll()
            await directory.remove()
        }
    }

    /// Waits until every group has applied and acknowledged everything.
    func drained(within limit: Duration = .seconds(60)) async throws {
        try await eventually(within: limit, "everything is applied and acknowledged") {
            // A probe of its own: the servers may have been restarted.
            try await StoreProbe(demo, partitions: Self.partitions).backlog() == 0
        }
    }

    /// Expects that all stores hold exactly what the accepted changes give, in the log's order.
    func expectAgreement(_ submissions: [Submission], answersMayBeLost: Bool = false) async throws {
        let check = StoreCheck(try await demo.contents(), submissions, answersMayBeLost: answersMayBeLost)
        for finding in check.findings {
            let mustCompare = [StoreCheck.Subject.receipts, .log, .ledger].contains(finding.subject)
            #expect(finding.compared > 0 || !mustCompare, "\(finding.subject): nothing was compared")
            #expect(finding.differences.isEmpty, "\(finding.subject): \(finding.differences.prefix(5))")
        }
    }
}
