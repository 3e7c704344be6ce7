import Foundation
import Harness
import PrivateServers
import TestSupport
import Testing

@Suite("A log that lost its tail under running workers", .serialized)
struct LostTailTests {
    @Test("four power cuts: what Postgres had is back, what is new is not skipped, the sinks are equal")
    func cutAOF() async throws {
        try await Site.open { site in
            try await site.startWorkers()
            var submissions = try await site.submit(20)
            var lost = 0
            for entries in [1, 17, 200, 500] {
                submissions += try await site.submit(entries + 10)
                try await site.drained()
                await site.redis.kill()
                let cut = try site.redis.cutAOF(losing: entries)
                try await site.redis.restart()
                lost += cut
                // While the log is being healed.
                submissions += try await site.submit(10)
                try await site.drained()
                #expect(site.healed == lost)
                print("lost \(cut) entries, put back \(site.healed) in all")
            }
            try await site.expectAgreement(submissions)
        }
    }

    @Test("an AOF cut anywhere, in the middle of a write too", arguments: [1, 333, 20_001])
    func cutBytes(_ bytes: Int) async throws {
        try await Site.open { site in
            try await site.startWorkers()
            var submissions = try await site.submit(60)
            try await site.drained()
            await site.redis.kill()
            #expect(try site.redis.cutAOF(bytes: bytes) == bytes)
            try await site.redis.restart()
            submissions += try await site.submit(10)
            try await site.drained()
            try await site.expectAgreement(submissions)
        }
    }

    @Test("a crash while the rewrite behind half a transaction runs: the server refuses once, and all is there")
    func secondCrash() async throws {
        // Half a second a key: a rewrite takes seconds.
        try await Site.open(redisOptions: ["rdb-key-save-delay 500000"]) { site in
            try await site.startWorkers()
            var submissions = try await site.submit(20)
            try await site.drained()
            await site.redis.kill()
            let old = try site.redis.aofPath()
            let bytes = try #require(try LostTail.bytesBackIntoTransaction(site.redis))
            try #require(try LostTail.cut(site.redis, bytes: bytes).isInTransaction)
            try await site.redis.restart()
            submissions += try await site.submit(10)
            try await site.drained()
            #expect(try await site.redis.ask("INFO", "persistence").contains("aof_rewrite_in_progress:1"))
            await site.redis.kill()
            // Some servers took it out of the file when they loaded it.
            let isThereStill = LostTail.isInTransaction(
                [UInt8](try Data(contentsOf: URL(filePath: old))), atEnd: true)
            #expect(try await LostTail.restart(site.redis) == isThereStill)
            submissions += try await site.submit(10)
            try await site.drained()
            try await site.expectAgreement(submissions)
        }
    }

    @Test("a promoted replica that lacks applied orders, one with its clock behind", arguments: [1, 40, 500])
    func promoted(lost: Int) async throws {
        let isSlow = lost == 40
        try await Site.open { site in
            try await site.startWorkers()
            var submissions = try await site.submit(20)
            let replica = try await site.replica(clockBehind: isSlow ? 5 : 0)
            try await replica.cutOff()
            let tail = try await site.submit(lost)
            try await site.drained()
            await site.redis.kill()
            try await replica.promote()
            try site.lead(to: replica)
            let new = try await site.submit(30)
            try await site.drained()
            #expect(site.healed == lost)
            submissions += tail + new
            try await site.expectAgreement(submissions)
            if isSlow {
                let ends = (new.compactMap(\.milliseconds).min() ?? .max, tail.compactMap(\.milliseconds).max() ?? 0)
                #expect(ends.0 < ends.1, "no new entry has an ID below a lost one: the clock was not behind")
            }
            await replica.stop()
        }
    }

    @Test("roles swapped and swapped back: the log shrank behind connections that stay open")
    func swapped() async throws {
        try await Site.open { site in
            try await site.startWorkers()
            var submissions = try await site.submit(20)
            try await site.drained()
            let replica = try await site.replica()
            let runID = try await site.redis.runID()
            try await replica.cutOff()
            submissions += try await site.submit(15)
            try await site.drained()

            try await replica.promote()
            try await site.redis.follow(replica)
            #expect(try await site.redis.runID() == runID)
            try await site.redis.promote()
            try await replica.follow(site.redis)
            #expect(try await site.redis.runID() == runID, "what must not be relied on")

            submissions += try await site.submit(15)
            try await site.drained()
            #expect(site.healed == 15)
            try await site.expectAgreement(submissions)
            await replica.stop()
        }
    }

    @Test("an opening that is killed at any step is taken up by the next", arguments: [1, 1500])
    func crashed(lost: Int) async throws {
        try await Site.open { site in
            var submissions: [Submission] = []
            for point in ["afterReserve", "afterCompare", "afterHeal", "beforeConfirm"] {
                try await site.startWorkers()
                submissions += try await site.submit(lost + 5)
                try await site.drained()
                await site.stopWorkers()
                await site.redis.kill()
                let cut = try site.redis.cutAOF(losing: lost)
                try await site.redis.restart()

                // The nth pass: some partitions are opened before it, some after.
                let worker = try await site.startWorker(
                    of: "postgres", environment: ["ONEWRITE_FAULT": "\(point):kill:2"])
                #expect(try await worker.exit(within: .seconds(60)) == .killed(signal: SIGKILL), "\(point)")
                #expect(site.log(of: "postgres").contains("fault: \(point)"))
                let before = site.healed
                try await site.startWorkers()
                submissions += try await site.submit(10)
                try await site.drained()
                print("\(point): \(cut) lost, \(site.healed - before) put back after the crash")
                try await site.expectAgreement(submissions)
                await site.stopWorkers()
            }
        }
    }
}

extension Submission {
    /// When its entry was appended, by the server's clock.
    fileprivate var milliseconds: Int? { receipt.entry?.split(separator: "-").first.flatMap { Int($0) } }
}

extension PrivateRedis {
    fileprivate func runID() async throws -> String {
        let lines = try await ask("INFO", "server").split(whereSeparator: \.isNewline)
        return try #require(lines.first { $0.hasPrefix("run_id:") }.map(String.init))
    }
}
