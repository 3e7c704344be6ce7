import Coordination
import OrderLog
import PostgresClient
import PrivateServers
import RedisClient
import RedisLog
import Sinks
import Testing
import TestSupport
import ThreadedIO

/// A lane of a test's own, on which its connections live.
actor TestLane {
    private let executor = ThreadExecutor(name: "test")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    func run(_ body: @Sendable (isolated TestLane) async throws -> Void) async throws {
        try await body(self)
    }
}

/// A log of one partition on real servers, and what a test does to it.
final class World {
    static let shop = "main"

    let redis: RedisConnection
    let postgres: PostgresConnection
    let keys: Keys
    let identity: LogIdentity
    let partition = Partition(0)
    let lease = Lease(term: LeaseTerm(duration: .seconds(3600)), sent: .now)
    let servers: TestServers
    private var appended = 0

    init(_ servers: TestServers) async throws {
        self.servers = servers
        keys = try #require(Keys(namespace: servers.namespace))
        redis = try Self.connectRedis(servers)
        postgres = try Self.connectPostgres(servers)
        identity = try await LogCreation(redis: redis, keys: keys, postgres: postgres, schema: servers.namespace)
            .create(try #require(Partitioning(count: 1)), mustMatch: true)
    }

    /// A session of a worker with connections of its own.
    func session(_ group: Group, _ name: String, lease: Lease? = nil) throws -> TestSession {
        let owner = try #require(WorkerName(name))
        let redis = try Self.connectRedis(servers)
        let log = StreamLog(redis, keys: keys, group: group, consumer: owner)
        let scripts = SinkScripts(redis, keys: keys, group: group)
        var ledger: PostgresSink?
        let sink: any BuiltInSink
        switch group {
        case .stock: sink = RedisSink.stock(scripts)
        case .delivery: sink = RedisSink.delivery(scripts)
        default:
            let postgres = PostgresSink(try Self.connectPostgres(servers))
            ledger = postgres
            sink = postgres
        }
        let ports = SessionPorts(
            identity: identity, owner: owner, log: log, sink: sink, ledger: ledger, pacing: TestPacing())
        return TestSession(
            session: PartitionSession(partition, ports, lease: lease ?? self.lease), log: log, sink: sink,
            partition: partition)
    }

    /// Takes over each built-in group's partition, and applies all that is there.
    func applyAll(_ name: String = "w") async throws {
        for group in Group.builtIn {
            let session = try session(group, "\(name)-\(group)")
            try await session.takeOver()
            while true {
                let entries = try await session.read()
                if entries.isEmpty { break }
                _ = try await session.session.process(entries)
            }
        }
    }

    // MARK: - Submitting

    /// Appends orders of one TEA each; returns their IDs.
    @discardableResult
    func append(_ count: Int) throws -> [String] {
        let ids = (appended..<appended + count).map { "ord-\($0)" }
        appended += count
        for id in ids {
            let reply = try append([order(id)])
            guard case .appended(_, let results) = reply, results.first?.outcome == .accepted else {
                Issue.record("\(id) was not accepted: \(reply)")
                continue
            }
        }
        return ids
    }

    func append(_ changes: [Change]) throws -> Appender.Reply {
        try Appender(redis, keys: keys, identity: identity, window: .seconds(3600))
            .append(changes, to: partition, until: .after(.seconds(5)))
    }

    func order(_ id: String, quantity: Int = 1) throws -> Change {
        try Change(
            ChangeDraft(
                id: id, shop: Self.shop, customer: "c-1", lines: .items([(sku: "TEA", quantity: "\(quantity)")])))
    }

    // MARK: - What the stores hold

    func ledger() throws -> [String] {
        try postgres.query("SELECT id FROM ledger ORDER BY seq", until: .after(.seconds(5))).compactMap { $0.string(0) }
    }

    func onHand() throws -> (redis: String?, postgres: String?) {
        let rows = try postgres.query(
            "SELECT on_hand::text FROM stock WHERE shop = $1 AND sku = 'TEA'", [.text(Self.shop)],
            until: .after(.seconds(5)))
        let redis = try call("HGET", keys.stock(partition, shop: Self.shop), "TEA").string
        return (redis, rows.first?.string(0))
    }

    func deliveries() throws -> [String] {
        try call("LRANGE", keys.deliveries(partition), "0", "-1").elements.compactMap { job in
            job.string?.split(separator: "\"order\":\"").last?.split(separator: "\"").first.map(String.init)
        }
    }

    /// What a group has applied, in order, as its store shows it.
    func applied(_ group: Group) throws -> [String] {
        switch group {
        case .postgres: try ledger()
        case .delivery: try deliveries()
        default: []
        }
    }

    func pending(_ group: Group) throws -> Int64 {
        try #require(try call("XPENDING", keys.log(partition), group.name)[0].integer)
    }

    func consumers(_ group: Group) throws -> Set<String> {
        Set(try call("XINFO", "CONSUMERS", keys.log(partition), group.name).elements.compactMap { $0[1].string })
    }

    func position(_ group: Group) throws -> Int64? {
        if group == .postgres {
            return try postgres.query("SELECT seq FROM partitions", until: .after(.seconds(5))).first?.int64(0)
        }
        return try call("HGET", keys.position(partition, group), "seq").string.flatMap { Int64($0) }
    }

    /// How many batches a group's sink refused by their token.
    func refused(_ group: Group) throws -> Int64? {
        if group == .postgres {
            return try postgres.query("SELECT refused FROM partitions", until: .after(.seconds(5))).first?.int64(0)
        }
        return Int64(try call("HGET", keys.position(partition, group), "refused").string ?? "0")
    }

    /// Reasons and seqs of a group's dead letters.
    func deadLetters(_ group: Group) throws -> [(reason: String, error: String)] {
        if group == .postgres {
            return try postgres.query(
                "SELECT reason, error FROM dead_letters ORDER BY at, entry", until: .after(.seconds(5))
            )
            .map { ($0.string(0) ?? "", $0.string(1) ?? "") }
        }
        return try call("XRANGE", keys.dead(partition, group), "-", "+").elements.map { entry in
            let fields = entry[1].elements.compactMap(\.string)
            func value(_ name: String) -> String {
                fields.lastIndex(of: name).map { fields[$0 + 1] } ?? ""
            }
            return (value("reason"), value("error"))
        }
    }

    @discardableResult
    func call(_ name: String, _ arguments: String...) throws -> RedisReply {
        var command = RedisCommand(name)
        command.append(contentsOf: arguments)
        return try redis.call(command, until: .after(.seconds(5)))
    }

    /// The idempotency window, from outside.
    var window: WindowProbe {
        let redis = redis
        return WindowProbe(keys.seen(partition)) { words in
            try redis.pipeline([RedisCommand(words: words)], until: .after(.seconds(5)))[0]
        }
    }

    static func connectRedis(_ servers: TestServers) throws -> RedisConnection {
        try RedisConnection(
            connectingTo: RedisConfiguration(url: servers.redis.url), until: .after(.seconds(5)), interrupt: nil)
    }

    static func connectPostgres(_ servers: TestServers) throws -> PostgresConnection {
        var configuration = try PostgresConfiguration(url: servers.postgres.url)
        configuration.schema = servers.namespace
        return try PostgresConnection(connectingTo: configuration, until: .after(.seconds(5)), interrupt: nil)
    }
}

/// A session with the ports under it, so that a test can read on a zombie's behalf.
struct TestSession {
    let session: PartitionSession
    let log: StreamLog
    let sink: any BuiltInSink
    let partition: Partition

    /// Takes over, and expects to serve.
    @discardableResult
    func takeOver() async throws -> PartitionSession.Progress {
        guard case .serving(let progress) = try await session.takeOver() else {
            Issue.record("did not take over")
            return PartitionSession.Progress()
        }
        return progress
    }

    func read(limit: Int = 1000) async throws -> [Entry] {
        try await log.read(from: [partition], limit: limit, wait: .zero).flatMap { try $0.entries() }
    }

    /// Reads what is new and applies it.
    @discardableResult
    func work() async throws -> PartitionSession.Progress {
        try await session.process(try await read())
    }
}

final class TestPacing: Pacing {
    var now: ContinuousClock.Instant { .now }

    func pause(until moment: ContinuousClock.Instant) async {}
}

/// Runs a test on a lane, with a log of its own.
func withWorld(_ body: @Sendable (World) async throws -> Void) async throws {
    try await withServers { servers in
        try await TestLane().run { _ in
            try await body(try await World(servers))
        }
    }
}
