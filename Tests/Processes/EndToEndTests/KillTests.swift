import Foundation
import Harness
import PrivateServers
import Testing
import TestSupport

@testable import OnewriteCommand

@Suite("Workers killed at random moments", .serialized)
struct KillTests {
    private static let orders = 6000
    private static let kills = 40

    @Test("6 000 orders, a tenth submitted twice, 40 kills: every store is what the accepted orders give")
    func killed() async throws {
        let seed =
            ProcessInfo.processInfo.environment["ONEWRITE_TEST_SEED"].flatMap { UInt64($0) }
            ?? .random(in: 0..<1_000_000)
        print("seed \(seed): repeat with ONEWRITE_TEST_SEED=\(seed)")
        try await Shop.open { shop in
            var generator = SeededGenerator(seed: seed)
            try await shop.fleet.startAll()
            let workload = Workload(orders: Self.orders, filesEach: 40, using: &generator)
            async let submitted = Submitters(servers: shop.demo, pace: .milliseconds(200)).run(workload)
            for _ in 0..<Self.kills {
                let name = try #require(WorkerFleet.names.randomElement(using: &generator))
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...300, using: &generator)))
                let status = await shop.fleet.process(name)?.kill()
                #expect(status == .killed(signal: SIGKILL), "\(name) had not ended by itself")
                try await shop.fleet.start(name)
            }
            let submissions = try await submitted
            #expect(workload.submittedTwice == Self.orders / 10)
            #expect(submissions.count { $0.receipt.outcome == "duplicate" } >= workload.submittedTwice)
            try await shop.drained()
            try await shop.expectAgreement(submissions)
        }
    }

    @Test("the partitions of a killed worker are taken over without waiting for its leases to end")
    func takenOver() async throws {
        try await Shop.open { shop in
            try await shop.fleet.startAll()
            try await eventually("the grace that follows a start of the server is over") {
                let info = try await shop.outside.redis("INFO", "server") ?? ""
                let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("uptime_in_seconds:") }
                return try #require(line?.split(separator: ":").last.flatMap { Int($0) }) >= 3
            }
            var durations: [Duration] = []
            for round in 0..<12 {
                let name = WorkerFleet.names[round % WorkerFleet.names.count]
                await shop.fleet.process(name)?.kill()
                let start = ContinuousClock.now
                try await eventually("\(name)'s partitions have another holder, and it has raised the token") {
                    try await shop.outside.owners(of: name.group).allSatisfy { $0 == "\(name.sibling)" }
                }
                durations.append(start.duration(to: .now))
                try await shop.fleet.start(name)
                try await eventually("\(name) has its share again") {
                    try await shop.outside.owners(of: name.group).contains("\(name)")
                }
            }
            durations.sort()
            print("taken over: median \(durations[6]), worst \(durations[11]) of 12; leases last 3 s")
            #expect(durations[6] < .seconds(2), "leases of 3 s were not waited for")
        }
    }

    @Test("SIGTERM: the batch in hand is finished, the leases are given back, and the other worker goes on")
    func stopped() async throws {
        try await Shop.open { shop in
            try await shop.fleet.startAll()
            var generator = SeededGenerator(seed: 7)
            let workload = Workload(orders: 600, filesEach: 4, using: &generator)
            async let submitted = Submitters(servers: shop.demo, pace: .milliseconds(100)).run(workload)
            for name in WorkerFleet.names where name.letter == "a" {
                let status = await shop.fleet.process(name)?.stop()
                #expect(status == .exited(0))
                let holders = try await shop.probe.holders(of: name.group)
                #expect(!holders.contains("\(name)"), "its leases are given back")
                let log = try String(contentsOfFile: shop.demo.logPath("\(name)"), encoding: .utf8)
                #expect(log.contains("stopped · "))
            }
            let submissions = try await submitted
            try await shop.drained()
            try await shop.expectAgreement(submissions)
        }
    }
}
