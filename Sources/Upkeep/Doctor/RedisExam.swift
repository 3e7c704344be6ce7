import Foundation
import Inspection
import OrderLog
import RedisClient
import RedisLog
import ThreadedIO

/// What is to be said of the Redis server and its settings.
struct RedisExam {
    private static let slowMilliseconds = 20.0
    private static let skewSeconds = 2.0

    let redis: RedisSession
    let keys: Keys
    /// The log's; that of new logs where there is none yet.
    let format: LogFormat
    /// The way there.
    let way: WayExam
    private(set) var findings: [Finding]
    /// What it calls itself.
    let server: String
    /// Of one round trip, in milliseconds.
    private(set) var milliseconds = 0.0

    /// Of a cluster each finding says whose it is.
    private let isOneOfMany: Bool

    init(_ redis: RedisSession, _ keys: Keys, of format: LogFormat, isOneOfMany: Bool) {
        (self.redis, self.keys, self.format, self.isOneOfMany) = (redis, keys, format, isOneOfMany)
        way = WayExam(to: redis)
        findings = way.findings
        server = "\(redis.serverName) \(redis.serverVersion)"
    }

    private func ask(_ words: String...) throws(RedisError) -> RedisReply {
        try redis.pipeline(
            [RedisCommand(words[0], arguments: RedisArguments(Array(words.dropFirst())))], until: .after(.seconds(5)))[
                0]
    }

    private mutating func note(_ code: String, _ what: String, fix: String? = nil) {
        findings.append(Check.of(code).finding(isOneOfMany ? "\(redis.address): \(what)" : what, fix: fix))
    }

    mutating func run() throws(RedisError) {
        try lookAtClock()
        var info: [Substring: Substring] = [:]
        for section in ["server", "memory", "persistence", "replication"] {
            let reply = try ask("INFO", section)
            if reply.error == nil { info.merge(try reply.requireInfo()) { _, last in last } }
        }
        let isValkey = redis.serverName == "valkey"
        if let major = redis.serverVersion.split(separator: ".").first.flatMap({ Int($0) }), major < 7, !isValkey {
            note("redis-version", "\(server)")
        }
        lookAtMemory(info)
        lookAtPersistence(info)
        let settings = try settings()
        lookAtSettings(settings, info)
        try lookAtRights()
        do throws(RedisError) {
            if try FunctionLibrary.state(on: redis, for: format) == .different {
                note("functions", "the functions are another version's")
            }
        } catch .reply {
            // Who may not list them isn't who loads them.
        }
    }

    private mutating func lookAtClock() throws(RedisError) {
        var fastest = Duration.seconds(60)
        var skew = 0.0
        // The fastest of a few: the first finds caches cold.
        for _ in 0..<5 {
            let begin = ContinuousClock.now
            let reply = try ask("TIME")
            let took = begin.duration(to: .now)
            guard took < fastest, reply.error == nil, let now = reply.count == 2 ? reply[0].wholeNumber : nil else {
                continue
            }
            fastest = took
            skew = Double(now) + Double(reply[1].wholeNumber ?? 0) / 1e6 - Date().timeIntervalSince1970
        }
        milliseconds = fastest / .milliseconds(1)
        if milliseconds > Self.slowMilliseconds {
            note("redis-latency", "Redis takes \(Int(milliseconds)) ms to answer")
        }
        if abs(skew) > Self.skewSeconds {
            note("clock", "Redis's clock is \(Int(abs(skew))) s \(skew < 0 ? "behind" : "ahead of") this machine's")
        }
    }

    private mutating func lookAtMemory(_ info: [Substring: Substring]) {
        if let policy = info["maxmemory_policy"], policy != "noeviction" {
            note("eviction", "maxmemory-policy is \(policy)")
        }
        guard let used = info["used_memory"].flatMap({ Double($0) }),
            let max = info["maxmemory"].flatMap({ Double($0) })
        else {
            return
        }
        guard max > 0 else {
            let total = info["total_system_memory_human"].map { ", and the machine has \($0)" } ?? ""
            note("no-maxmemory", "maxmemory is 0: no limit\(total)")
            return
        }
        let percent = Int(used / max * 100)
        if percent >= 95 {
            note("memory-full", "\(percent) % of maxmemory are used")
        } else if percent >= 80 {
            note("memory-high", "\(percent) % of maxmemory are used")
        }
    }

    private mutating func lookAtPersistence(_ info: [Substring: Substring]) {
        if info["aof_enabled"] == "0" { note("no-aof", "appendonly is no") }
        if info["aof_last_write_status"] == "err" || info["aof_last_bgrewrite_status"] == "err" {
            note("aof-failing", "Redis could not write its append-only file")
        } else if let file = AppendOnlyFile(info), file.keepsOldTail {
            note("aof-tail", "the append-only file has not been rewritten since Redis was started")
        }
        if info["rdb_last_bgsave_status"] == "err" { note("save-failing", "Redis's last snapshot failed") }
    }

    /// nil when they may not be read.
    private func settings() throws(RedisError) -> [String: String]? {
        let reply = try ask("CONFIG", "GET", "*")
        guard reply.error == nil else { return nil }
        var settings: [String: String] = [:]
        for index in stride(from: 0, to: reply.count - 1, by: 2) {
            if let name = reply[index].string { settings[name] = reply[index + 1].string ?? "" }
        }
        return settings
    }

    private mutating func lookAtSettings(_ settings: [String: String]?, _ info: [Substring: Substring]) {
        guard let settings else {
            note("redis-settings-hidden", "CONFIG GET is refused")
            return
        }
        func number(_ name: String) -> Int? { settings[name].flatMap { Int($0) } }
        if settings["appendfsync"] == "no", settings["appendonly"] == "yes" {
            note("appendfsync-no", "appendfsync is no")
        }
        if let ttl = number("repl-backlog-ttl"), ttl > 0 { note("backlog-ttl", "repl-backlog-ttl is \(ttl)") }
        if let timeout = number("timeout"), timeout > 0 { note("client-timeout", "timeout is \(timeout) s") }
        let replicas = info["connected_slaves"].flatMap { Int($0) } ?? 0
        if let wanted = number("min-replicas-to-write") ?? number("min-slaves-to-write") {
            let good = info["min_slaves_good_slaves"].flatMap { Int($0) } ?? replicas
            if wanted > 0, (number("min-replicas-max-lag") ?? 1) > 0, good < wanted {
                note("min-replicas", "min-replicas-to-write is \(wanted), and \(good) replicas are there")
            } else if wanted == 0, replicas > 0 {
                note("no-min-replicas", "\(replicas) replicas are there, and min-replicas-to-write is 0")
            }
        }
    }

    /// Asks the server what this user may do; nothing of it is done.
    private mutating func lookAtRights() throws(RedisError) {
        let partition = Partition(0)
        let log = keys.log(partition)
        // Who does it: submit, workers of postgres, stock, delivery and other groups, whoever looks, operators.
        let used: [(by: String, command: [String])] = [
            ("spo", ["xadd", log, "*", "a", "b"]), ("pkdgo", ["xack", log, "postgres", "1-1"]),
            ("pkdg", ["xautoclaim", log, "postgres", "a", "0", "0-0"]), ("po", ["xtrim", log, "MINID", "0"]),
            ("pkdgo", ["xgroup", "CREATE", log, "postgres", "0"]), ("spkdgro", ["xrange", log, "-", "+"]),
            ("pkdg", ["xreadgroup", "GROUP", "postgres", "a", "STREAMS", log, ">"]),
            ("pkdgro", ["xpending", log, "postgres"]), ("pkdgro", ["xinfo", "GROUPS", log]),
            ("spo", ["hset", keys.head(partition), "a", "b"]), ("spkdgro", ["hmget", keys.head(partition), "a"]),
            ("ko", ["hincrby", keys.stock(partition, shop: "a"), "a", "1"]),
            ("ko", ["sadd", keys.shops(partition), "a"]),
            ("do", ["rpush", keys.deliveries(partition), "a"]),
            ("so", ["rename", keys.seen(partition), keys.seenBefore(partition)]),
            ("k", ["set", keys.lease(partition, .stock), "a", "PX", "1"]),
            ("k", ["pexpire", keys.lease(partition, .stock), "1"]), ("k", ["del", keys.lease(partition, .stock)]),
            ("k", ["zadd", keys.workers(.stock), "1", "a"]), ("spkdgro", ["hgetall", keys.groups]),
            ("spkdgro", ["time"]), ("spkdgro", ["info", "replication"]),
            ("pkdgro", ["pubsub", "NUMSUB", keys.presencePrefix(.stock) + "a"]),
            ("k", ["subscribe", keys.presencePrefix(.stock) + "a"]), ("pkdg", ["client", "UNBLOCK", "1"]),
            ("so", ["wait", "0", "0"]),
        ]
        var missing: [String] = []
        var permitted: [(by: String, isPermitted: Bool)] = []
        for (users, command) in used {
            var call = RedisCommand("EVAL", Self.mayDo, "0")
            for word in command { call.append(word) }
            let reply = try redis.pipeline([call], until: .after(.seconds(5)))[0]
            if let error = reply.error {
                if error.code == "NOPERM" {
                    missing = ["eval"]
                    break
                }
                continue
            }
            if reply.string == "no" { missing.append(command[0]) }
            permitted.append((users, reply.string != "no"))
        }
        if !missing.isEmpty, !RoleFit.fits(permitted) {
            note(
                "redis-rights",
                "this user may not: \(missing.joined(separator: ", ")) (on the keys of \(keys.namespace))")
        }
    }

    private static let mayDo = """
        local ok, may = pcall(function() return redis.acl_check_cmd(unpack(ARGV)) end)
        return ok and (may and 'yes' or 'no') or 'unknown'
        """
}
