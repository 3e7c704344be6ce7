import Harness
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import ThreadedIO

/// Looks at the stores while workers work, with plain SQL and plain Redis commands.
///
/// It has a thread of its own, since its connections block.
actor StoreGauge {
    /// How far groups are, at one moment.
    struct Look: Sendable {
        /// When the stores had answered.
        let at: ContinuousClock.Instant
        /// How many entries all of the groups have applied.
        let applied: Int
        /// Whether all of the groups have acknowledged all that was delivered to them.
        let isAcknowledged: Bool
        /// How long the look took.
        let cost: Duration
    }

    /// What a command has cost the server.
    struct CommandTime: Sendable {
        var calls = 0
        var microseconds = 0
    }

    /// What Redis keeps in memory.
    struct Memory: Sendable {
        let logBytesPerEntry: Double
        /// Of the idempotency window.
        let windowBytesPerOrder: Double
    }

    private let executor = ThreadExecutor(name: "gauge")
    private let servers: Shop
    private let partitions: Int
    private var connections: (redis: RedisConnection, postgres: PostgresConnection)?

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ servers: Shop, partitions: Int) {
        self.servers = servers
        self.partitions = partitions
    }

    private var tags: [String] { (0..<partitions).map { "{\(servers.namespace):\($0)}" } }
    private var limit: Deadline { .after(.seconds(120)) }

    private func connected() throws -> (redis: RedisConnection, postgres: PostgresConnection) {
        if let connections { return connections }
        let made = (redis: try servers.redis(), postgres: try servers.postgres())
        connections = made
        return made
    }

    // MARK: - Between measurements

    /// Removes all logs from both servers, the yardstick's too, and has Redis begin a new AOF.
    func clear() async throws {
        let (redis, postgres) = try connected()
        for server in try redis.sessions(until: limit) {
            try server.call(RedisCommand("FLUSHALL", "SYNC"), until: limit)
            try server.call(RedisCommand("BGREWRITEAOF"), until: limit)
        }
        for server in try redis.sessions(until: limit) {
            while try info("persistence", on: server)["aof_rewrite_in_progress"] != "0" {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        let schema = PostgresQuoting.quoted(identifier: servers.namespace)
        try postgres.script("DROP SCHEMA IF EXISTS \(schema) CASCADE", until: limit)
    }

    /// Writes out what earlier work left in Postgres's buffers, so that no one else's turn pays for it.
    func checkpoint() throws {
        try connected().postgres.script("CHECKPOINT", until: limit)
    }

    /// The servers' versions; one that takes Redis's place says its name too.
    func versions() throws -> (redis: String, postgres: String) {
        let (redis, postgres) = try connected()
        let version = try postgres.query("SELECT current_setting('server_version')", until: limit)
        let name = redis.serverName == "redis" ? "" : redis.serverName + " "
        return (name + redis.serverVersion, try version.first?.requireString(0) ?? "?")
    }

    // MARK: - Progress

    /// How far the slowest of the groups is.
    ///
    /// - Parameters:
    ///   - groups: Whom to ask about.
    ///   - orders: How many entries there are: whether they are acknowledged is asked when all are applied.
    /// - Returns: What the stores said.
    /// - Throws: `RedisError`, `PostgresError`.
    func look(at groups: [Group], of orders: Int) throws -> Look {
        let start = ContinuousClock.now
        let (redis, postgres) = try connected()
        var applied = Int.max
        for group in groups { applied = min(applied, try self.applied(group, redis, postgres)) }
        var isAcknowledged = false
        if applied == orders {
            let commands = groups.flatMap { group in
                tags.map { RedisCommand("XPENDING", "\($0):log", group.name) }
            }
            isAcknowledged = try redis.pipeline(commands, until: limit).allSatisfy {
                try $0.requireArray(count: 4)[0].requireInteger() == 0
            }
        }
        let end = ContinuousClock.now
        return Look(at: end, applied: applied, isAcknowledged: isAcknowledged, cost: start.duration(to: end))
    }

    private func applied(_ group: Group, _ redis: RedisConnection, _ postgres: PostgresConnection) throws -> Int {
        if group == .postgres {
            return Int(try postgres.query(Self.position, until: limit).first?.requireInt64(0) ?? 0)
        }
        let commands = tags.map { RedisCommand("HGET", "\($0):position:\(group.name)", "seq") }
        return try redis.pipeline(commands, until: limit).reduce(0) { $0 + ($1.string.flatMap { Int($0) } ?? 0) }
    }

    private static let position = "SELECT coalesce(sum(seq), 0)::bigint FROM partitions"

    /// Whether every partition of the groups has a worker, and every worker has a partition, as far as there are enough.
    func isShared(_ groups: [Group], among workers: Int) throws -> Bool {
        let redis = try connected().redis
        for group in groups {
            let commands = tags.map { RedisCommand("GET", "\($0):lease:\(group.name)") }
            let holders = try redis.pipeline(commands, until: limit).map(\.string)
            if holders.contains(nil) || Set(holders).count < min(workers, partitions) { return false }
        }
        return true
    }

    /// What a group's store holds of orders, by something else than its position.
    func orders(in group: Group, of shops: Set<String>) throws -> Int {
        let (redis, postgres) = try connected()
        switch group {
        case .postgres:
            return Int(try postgres.query("SELECT count(*) FROM orders", until: limit).first?.requireInt64(0) ?? 0)
        case .delivery:
            let commands = tags.map { RedisCommand("LLEN", "\($0):deliveries") }
            return try redis.pipeline(commands, until: limit).reduce(0) { $0 + Int(try $1.requireInteger()) }
        default:
            guard let partitioning = Partitioning(count: partitions) else { return 0 }
            let commands = shops.map {
                RedisCommand("HVALS", "\(tags[partitioning.partition(ofShop: $0).number]):stock:\($0)")
            }
            let taken = try redis.pipeline(commands, until: limit).reduce(0) { sum, counts in
                try counts.requireArray().reduce(sum) { $0 - (Int(try $1.requireString()) ?? 0) }
            }
            return taken / BenchOrders.quantity
        }
    }

    // MARK: - Costs

    /// What each command has cost all of Redis since it started; a script's own time includes that of what it calls.
    ///
    /// Redis: <https://redis.io/docs/latest/commands/info/>
    func commandTimes() throws -> [String: CommandTime] {
        var times: [String: CommandTime] = [:]
        for server in try connected().redis.sessions(until: limit) {
            for (key, value) in try info("commandstats", on: server) {
                // cmdstat_xadd → calls=3,usec=41,…
                let numbers = value.split(separator: ",").map { $0.split(separator: "=") }
                func number(_ name: String) -> Int { numbers.first { $0[0] == name }.flatMap { Int($0[1]) } ?? 0 }
                let name = key.dropFirst("cmdstat_".count).replacing("|", with: " ")
                times[String(name), default: CommandTime()].calls += number("calls")
                times[String(name), default: CommandTime()].microseconds += number("usec")
            }
        }
        return times
    }

    private func info(_ section: String, on server: RedisSession) throws -> [Substring: Substring] {
        try server.call(RedisCommand("INFO", section), until: limit).requireInfo()
    }

    private func window() throws -> Double {
        guard let keys = Keys(namespace: servers.namespace) else { return 0 }
        let redis = try connected().redis
        return try (0..<partitions).reduce(0) { bytes, partition in
            try bytes + WindowMemory.bytes(keys, Partition(partition), on: redis, bucketsMax: 1024, until: limit)
        }
    }

    /// How much of Redis's memory an order takes in the log and in the idempotency window.
    func memory() throws -> Memory {
        let redis = try connected().redis
        func sum(_ commands: [RedisCommand]) throws -> Double {
            // A key that isn't there has no size.
            try redis.pipeline(commands, until: limit).reduce(0) { $0 + Double($1.integer ?? 0) }
        }
        func bytes(_ key: String) throws -> Double {
            try sum(tags.map { RedisCommand("MEMORY", "USAGE", "\($0):\(key)", "SAMPLES", 0) })
        }
        let entries = try sum(tags.map { RedisCommand("XLEN", "\($0):log") })
        return Memory(
            logBytesPerEntry: try bytes("log") / max(1, entries),
            windowBytesPerOrder: try window() / max(1, entries))
    }
}
