import Foundation
import OrderLog
import PostgresClient
import PrivateServers
import RedisClient
import RedisLog
import Testing
import TestSupport
import ThreadedIO

/// An initialised log of one partition, with connections to set things up and to look at what became of them.
actor Shop {
    static let name = "main"
    static let partition = Partition(0)

    private let executor = ThreadExecutor(name: "test")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    nonisolated let servers: TestServers
    nonisolated let keys: Keys
    private let redis: RedisConnection
    private let postgres: PostgresConnection

    /// Runs `onewrite init`.
    static func open(_ servers: TestServers) async throws -> Shop {
        let created = try await BuiltExecutable.run("init", "--partitions", "1", on: servers)
        try #require(created.status == .exited(0), "\(created.errors)")
        return try Shop(servers)
    }

    private init(_ servers: TestServers) throws {
        self.servers = servers
        keys = try #require(Keys(namespace: servers.namespace))
        redis = try RedisConnection(
            connectingTo: RedisConfiguration(url: servers.redis.url), until: .after(.seconds(5)), interrupt: nil)
        var database = try PostgresConfiguration(url: servers.postgres.url)
        database.schema = servers.namespace
        postgres = try PostgresConnection(connectingTo: database, until: .after(.seconds(5)), interrupt: nil)
    }

    // MARK: - Setting up

    /// Appends an order of two of one SKU.
    func order(_ id: String, sku: String = "TEA", of shop: String = Shop.name) async throws {
        let ran = try await run("submit", "--id", id, "--shop", shop, "--customer", "c-1", "--line", "\(sku):2")
        try #require(ran.code == 0, "\(ran.errors)")
    }

    /// Adds an entry by hand, and returns its ID.
    @discardableResult
    func addByHand(_ fields: String...) throws -> String {
        var command = RedisCommand("XADD", keys.log(Self.partition), "*")
        command.append(contentsOf: fields)
        return try #require(try redis.call(command, until: .after(.seconds(5))).string)
    }

    /// Adds an order by hand that has no place.
    @discardableResult
    func addOrderByHand(_ id: String) throws -> String {
        try addByHand(
            "type", "order.placed", "id", id, "shop", Self.name, "customer", "c-1", "lines", "TEA:2")
    }

    /// Appends an entry as the log's own whose fields are no change, at the next seq.
    func addInvalid() throws {
        let seq = try #require(try call("HINCRBY", keys.head(Self.partition), "seq", "1").integer)
        try addByHand("epoch", "1", "seq", "\(seq)", "type", "order.shipped", "id", "bad-\(seq)", "shop", Self.name)
    }

    /// A worker that runs until it is stopped or let go of.
    nonisolated func worker(_ group: Group) async throws -> ChildProcess {
        try await BuiltExecutable.spawn(
            "worker", "--group", group.name, "--name", "\(group.name)-a", on: servers, errors: .discarded)
    }

    /// Runs workers until their groups have applied and acknowledged everything.
    nonisolated func settle(_ groups: [Group] = Group.builtIn) async throws {
        var workers: [ChildProcess] = []
        for group in groups { workers.append(try await worker(group)) }
        for group in groups { try await applied(group) }
        for worker in workers { await worker.stop() }
    }

    /// Waits until a group has nothing left to do.
    nonisolated func applied(_ group: Group) async throws {
        try await eventually(within: .seconds(20), "\(group.name) has applied all") { try await self.isDone(group) }
    }

    private func isDone(_ group: Group) throws -> Bool {
        let log = keys.log(Self.partition)
        guard let last = try call("XREVRANGE", log, "+", "-", "COUNT", "1").elements.first?[0].string else {
            return true
        }
        let groups = try call("XINFO", "GROUPS", log).elements.map { $0.elements.map { $0.string ?? "" } }
        let own = try #require(groups.first { $0[1] == group.name })
        let pending = try call("XPENDING", log, group.name)[0].integer
        return own[7] == last && pending == 0
    }

    /// Waits until the status shows the group's partition in a state.
    nonisolated func becomes(_ state: String, _ group: Group) async throws {
        try await eventually(within: .seconds(20), "\(group.name) is \(state)") {
            try await self.status(group).objects("partitions").first?.text("state") == state
        }
    }

    // MARK: - Looking

    nonisolated func status(_ group: Group) async throws -> [String: Any] {
        try await run("status", "--json").objects()[0].objects("groups").first { $0.text("name") == group.name }
            ?? [:]
    }

    /// The unresolved letters, or all.
    nonisolated func letters(_ arguments: String...) async throws -> [[String: Any]] {
        try await run(["dead", "list", "--json"] + arguments).objects()
    }

    /// The ID of the log's first entry.
    func firstEntry() throws -> String? {
        try call("XRANGE", keys.log(Self.partition), "-", "+").elements.first?[0].string
    }

    @discardableResult
    private func call(_ name: String, _ arguments: String...) throws -> RedisReply {
        var command = RedisCommand(name)
        command.append(contentsOf: arguments)
        return try redis.call(command, until: .after(.seconds(5)))
    }

    @discardableResult
    func redis(_ name: String, _ arguments: String...) throws -> String? {
        var command = RedisCommand(name)
        command.append(contentsOf: arguments)
        let reply = try redis.call(command, until: .after(.seconds(5)))
        return reply.integer.map { "\($0)" } ?? reply.string
    }

    /// The first column of all rows.
    @discardableResult
    func sql(_ text: String) throws -> [String] {
        try postgres.query(text, until: .after(.seconds(5))).map { $0.string(0) ?? "" }
    }

    func ledger() throws -> [String] { try sql("SELECT seq || ' ' || id FROM ledger ORDER BY seq") }

    func onHand(_ sku: String = "TEA") throws -> [String?] {
        [
            try call("HGET", keys.stock(Self.partition, shop: Self.name), sku).string,
            try sql("SELECT on_hand::text FROM stock WHERE shop = 'main' AND sku = '\(sku)'").first,
        ]
    }

    /// All that dead letters and the log are made of, to see whether anything was changed.
    func contents() throws -> [String] {
        func flat(_ reply: RedisReply) -> String {
            if reply.count > 0 { return "[" + reply.elements.map(flat).joined(separator: ",") + "]" }
            return reply.string ?? reply.integer.map { "\($0)" } ?? "-"
        }
        var all = [flat(try call("XRANGE", keys.log(Self.partition), "-", "+"))]
        for group in [Group.stock, .delivery] {
            all.append(flat(try call("XRANGE", keys.dead(Self.partition, group), "-", "+")))
            all.append(flat(try call("HGETALL", keys.deadResolved(Self.partition, group))))
            all.append(flat(try call("HGETALL", keys.position(Self.partition, group))))
        }
        all.append(flat(try call("HGETALL", keys.head(Self.partition))))
        return all + (try sql("SELECT d::text FROM dead_letters d ORDER BY entry"))
            + (try sql("SELECT p::text FROM partitions p"))
    }

    /// Forgets that dead letters were resolved, as if the command had died before it recorded that.
    func forgetResolutions() throws {
        for group in [Group.stock, .delivery] { try call("DEL", keys.deadResolved(Self.partition, group)) }
        try sql("UPDATE dead_letters SET resolution = NULL, resolved_at = NULL")
    }

    /// Takes an entry on behalf of groups that have no worker.
    nonisolated func take(_ seq: Int, by groups: [Group] = Group.builtIn) async throws {
        for group in groups {
            let ran = try await run(
                "dead", "take", "\(seq)", "--group", group.name, "--partition", "0", "--reason", "a test", "--yes")
            try #require(ran.code == 0, "\(ran.errors)")
        }
    }

    nonisolated func run(_ arguments: String..., environment: [String: String?] = [:]) async throws -> Ran {
        try await run(arguments, environment: environment)
    }

    /// Runs the real command with this log's servers.
    nonisolated func run(_ arguments: [String], environment: [String: String?] = [:]) async throws -> Ran {
        Ran(
            try await ChildProcess.run(
                [BuiltExecutable.path] + arguments,
                environment: servers.environment.merging(environment) { $1 }, within: .seconds(60)))
    }
}
