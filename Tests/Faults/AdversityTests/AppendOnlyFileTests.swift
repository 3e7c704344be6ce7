import Foundation
import Harness
import PrivateServers
import TestSupport
import Testing

@Suite("Redis's append-only file when a log is opened")
struct AppendOnlyFileTests {
    @Test("a log is opened only when the server writes to a file that it began since it was started")
    func newFile() async throws {
        try await withOwnServers { servers in
            try await Trial.open(servers) { trial in
                try await trial.allWorkers()
                try await trial.submit(3)
                try await trial.drained()
                let old = try servers.redis.aofPath()
                try await servers.redis.restart()
                try await trial.submit(2)
                try await trial.drained()
                #expect(try servers.redis.aofPath() != old)
                #expect(try await !trial.warnsOfOldFile())
                try await trial.expectAgreement()
            }
        }
    }

    @Test("a rewrite that waits for an RDB save is waited for: until then the log stays closed, and says why")
    func scheduled() async throws {
        try await withOwnServers { servers in
            try await Trial.open(servers) { trial in
                try await trial.submit(3)
                try await servers.redis.restart()
                // Three seconds a key.
                try await trial.redis("CONFIG", "SET", "rdb-key-save-delay", "3000000")
                try await trial.redis("BGSAVE")
                try await trial.redis("CONFIG", "SET", "rdb-key-save-delay", "0")
                try await trial.allWorkers()
                try await eventually("postgres waits, and says for what") {
                    try await trial.status("postgres").error?.contains("new append-only file") == true
                }
                #expect(try await trial.attempt("early", timeout: "200ms").status == .exited(75))
                try await trial.drained(within: .seconds(90))
                try await trial.submit(2)
                try await trial.expectAgreement()
            }
        }
    }

    @Test("where the server refuses to rewrite its file the log is opened all the same, with a warning until it has")
    func refused() async throws {
        try await withOwnServers(redisOptions: ["user default on nopass ~* &* +@all -bgrewriteaof"]) { servers in
            try await Trial.open(servers) { trial in
                try await trial.allWorkers()
                try await trial.submit(3)
                try await trial.drained()
                #expect(try await trial.warnsOfOldFile())
                try await trial.redis("ACL", "SETUSER", "default", "+bgrewriteaof")
                try await trial.redis("BGREWRITEAOF")
                try await eventually("the warning is gone") { try await !trial.warnsOfOldFile() }
                try await trial.expectAgreement()
            }
        }
    }

    @Test("a rewrite that fails, since no new file can be made, doesn't keep the log closed; the warning stays")
    func failing() async throws {
        try await withOwnServers { servers in
            try await Trial.open(servers) { trial in
                try await trial.allWorkers()
                try await trial.submit(3)
                try await trial.drained()
                await servers.redis.kill()
                let next = try servers.redis.nextAOFPath()
                try FileManager.default.createDirectory(atPath: next, withIntermediateDirectories: false)
                try await servers.redis.restart()
                try await trial.submit(2)
                try await trial.drained()
                #expect(try await trial.warnsOfOldFile())
                try FileManager.default.removeItem(atPath: next)
                try await trial.redis("BGREWRITEAOF")
                try await eventually("the warning is gone") { try await !trial.warnsOfOldFile() }
                try await trial.expectAgreement()
            }
        }
    }

    @Test("a server without an append-only file is warned of as such, and opened")
    func none() async throws {
        try await withOwnServers(redisOptions: ["appendonly no"]) { servers in
            try await Trial.open(servers) { trial in
                try await trial.allWorkers()
                try await trial.submit(2)
                try await trial.drained()
                let warnings = try await trial.status("postgres").warnings
                #expect(warnings.count == 1 && warnings[0].contains("keeps no append-only file"))
                try await trial.expectAgreement()
            }
        }
    }
}

@Suite("Sums that don't share the damage")
struct SumTests {
    /// Harms a drained log, restarts Redis, and waits until the group is halted for the reason given.
    private func halted(
        _ group: String, _ reason: String, by harm: @Sendable (Trial) async throws -> Void,
        mendedBy mend: @Sendable (Trial) async throws -> Void
    ) async throws {
        try await withOwnServers { servers in
            try await Trial.open(servers) { trial in
                try await trial.allWorkers()
                try await trial.submit(5)
                try await trial.drained()
                try await harm(trial)
                try await servers.redis.restart()
                try await eventually(within: .seconds(20), "\(group) is halted") {
                    let status = try await trial.status(group)
                    return status.state == "halted" && status.error?.contains(reason) == true
                }
                try await mend(trial)
                try await eventually(within: .seconds(20), "\(group) goes on") {
                    try await trial.status(group).state == "serving"
                }
                try await trial.submit(3)
                try await trial.expectAgreement()
            }
        }
    }

    @Test("a counter that was counted twice halts the stock at the next opening, until it is put right")
    func stock() async throws {
        try await halted("stock", "the stock counters come to") { trial in
            // Two changes that cancel out in a plain sum.
            try await trial.redis("HINCRBY", "\(trial.tag):stock:\(Trial.shop)", "TEA", "-2")
            try await trial.redis("HINCRBY", "\(trial.tag):stock:\(Trial.shop)", "MUG", "2")
        } mendedBy: { trial in
            try await trial.redis("HINCRBY", "\(trial.tag):stock:\(Trial.shop)", "TEA", "2")
            try await trial.redis("HINCRBY", "\(trial.tag):stock:\(Trial.shop)", "MUG", "-2")
        }
    }

    @Test("jobs that were pushed twice halt the deliveries at the next opening, until they are taken out")
    func delivery() async throws {
        try await halted("delivery", "the list of deliveries holds 6 jobs, and 5 were pushed") { trial in
            let job = try await trial.redis("LINDEX", "\(trial.tag):deliveries", "-1") ?? ""
            try await trial.redis("RPUSH", "\(trial.tag):deliveries", job)
        } mendedBy: { trial in
            try await trial.redis("RPOP", "\(trial.tag):deliveries")
        }
    }

    @Test("an entry that stands in the log twice keeps it closed at the next opening, until one is removed")
    func log() async throws {
        try await halted("postgres", "the log holds 1 entry too many") { trial in
            try await trial.redis(
                "EVAL",
                """
                local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
                return redis.call('XADD', KEYS[1], '*', unpack(last[2]))
                """, "1", "\(trial.tag):log")
        } mendedBy: { trial in
            try await trial.redis(
                "EVAL",
                "redis.call('XDEL', KEYS[1], redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1])", "1",
                "\(trial.tag):log")
        }
    }

    @Test("jobs that were taken, and positions without a sum, halt nobody; such a position gets its sum")
    func adopted() async throws {
        try await withOwnServers { servers in
            try await Trial.open(servers) { trial in
                try await trial.allWorkers()
                try await trial.submit(5)
                try await trial.drained()
                try await trial.redis("LPOP", "\(trial.tag):deliveries", "2")
                let sum = try await trial.redis("HGET", "\(trial.tag):position:stock", "sum")
                #expect(sum != nil && sum != "0")
                try await trial.redis("HDEL", "\(trial.tag):position:stock", "sum", "counted")
                try await trial.redis("DEL", "\(trial.tag):shops")
                try await servers.redis.restart()
                for group in Trial.groups {
                    try await eventually(within: .seconds(20), "\(group) serves") {
                        try await trial.status(group).state == "serving"
                    }
                }
                try await eventually("the stock has its sum again") {
                    try await trial.redis("HGET", "\(trial.tag):position:stock", "sum") == sum
                }
                // And keeps it up to date: the next opening has nothing to say against it.
                try await trial.submit(2)
                try await trial.drained()
                try await servers.redis.restart()
                try await trial.submit(1)
                try await trial.drained()
                #expect(try await trial.redis("HGET", "\(trial.tag):position:stock", "counted") == "8")
            }
        }
    }
}

extension Trial {
    nonisolated func warnsOfOldFile() async throws -> Bool {
        try await status("postgres").warnings.contains { $0.contains("BGREWRITEAOF") }
    }
}
