import Foundation
import OrderLog
import PostgresClient
import PrivateServers
import RedisClient
import RedisLog
import Testing
import TestSupport
import ThreadedIO

/// An initialised log with connections to set things up with, on a thread that they may block.
actor Shop {
    static let name = "main"

    private let executor = ThreadExecutor(name: "test")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    nonisolated let servers: TestServers
    nonisolated let keys: Keys
    private let redis: RedisConnection
    private let postgres: PostgresConnection
    private let identity: LogIdentity

    /// Runs `onewrite init`.
    static func open(_ servers: TestServers, partitions: Int = 4) async throws -> Shop {
        let created = try await BuiltExecutable.run("init", "--partitions", "\(partitions)", on: servers)
        try #require(created.status == .exited(0), "\(created.errors)")
        return try Shop(servers)
    }

    private init(_ servers: TestServers) throws {
        self.servers = servers
        keys = try #require(Keys(namespace: servers.namespace))
        let configuration = try RedisConfiguration(url: servers.redis.url)
        redis = try RedisConnection(connectingTo: configuration, until: .after(.seconds(5)), interrupt: nil)
        var database = try PostgresConfiguration(url: servers.postgres.url)
        database.schema = servers.namespace
        postgres = try PostgresConnection(connectingTo: database, until: .after(.seconds(5)), interrupt: nil)
        identity = try #require(try redis.identity(keys))
    }

    func partition(of shop: String = Shop.name) -> Partition {
        identity.partitioning.partition(ofShop: shop)
    }

    /// Appends orders of a shop and returns their IDs.
    @discardableResult
    func order(_ ids: String..., of shop: String = Shop.name) throws -> [String] {
        try append(
            try ids.map {
                try Change(
                    ChangeDraft(id: $0, shop: shop, customer: "c-1", lines: .items([("TEA", "2"), ("MUG", "1")])))
            }, shop)
        return ids
    }

    func cancel(_ order: String, of shop: String = Shop.name) throws {
        let draft = ChangeDraft(
            type: "order.cancelled", shop: shop, order: order, lines: .items([("TEA", "2"), ("MUG", "1")]))
        try append([try Change(draft)], shop)
    }

    private func append(_ changes: [Change], _ shop: String) throws {
        let reply = try Appender(redis, keys: keys, identity: identity, window: .seconds(3600))
            .append(changes, to: identity.partitioning.partition(ofShop: shop), until: .after(.seconds(5)))
        guard case .appended(_, let results) = reply else {
            Issue.record("not appended: \(reply)")
            return
        }
        #expect(results.allSatisfy { $0.outcome == .accepted })
    }

    /// Reads entries as a consumer, so that they are pending with it.
    func deliver(_ count: Int, to consumer: String, of group: Group, in partition: Partition) throws {
        try call(
            RedisCommand(
                "XREADGROUP", "GROUP", group.name, consumer, "COUNT", count, "STREAMS", keys.log(partition), ">"))
    }

    /// Shows a worker as present to everybody, as long as the returned subscription lives.
    func pretendPresence(of worker: String, in group: Group, report: String? = nil) throws -> Subscriber {
        let subscriber = try Subscriber(
            RedisSubscription(
                to: keys.presencePrefix(group) + worker, at: try RedisConfiguration(url: servers.redis.url),
                until: .after(.seconds(5)), interrupt: nil))
        // Its heart doesn't beat again: however slow the machine is, it was heard of lately.
        let heartbeat = Int(Date().addingTimeInterval(600).timeIntervalSince1970 * 1000)
        try call(RedisCommand("ZADD", keys.workers(group), heartbeat, worker))
        if let report, let name = WorkerName(worker) { try call(RedisCommand("SET", keys.report(group, name), report)) }
        return subscriber
    }

    @discardableResult
    func call(_ command: RedisCommand) throws -> String? {
        try redis.call(command, until: .after(.seconds(5))).string
    }

    func sql(_ text: String) throws {
        try postgres.query(text, until: .after(.seconds(5)))
    }

    /// Runs the real command with this log's servers.
    nonisolated func run(_ arguments: String..., environment: [String: String?] = [:]) async throws -> Ran {
        Ran(
            try await ChildProcess.run(
                [BuiltExecutable.path] + arguments,
                environment: servers.environment.merging(environment) { $1 }, within: .seconds(60)))
    }
}

/// Keeps a subscription.
final class Subscriber: @unchecked Sendable {
    // Only made and let go of; nothing is called on it.
    private let subscription: RedisSubscription

    init(_ subscription: RedisSubscription) {
        self.subscription = subscription
    }
}

extension [String: Any] {
    func group(_ name: String) throws -> [String: Any] {
        try #require(try objects("groups").first { $0.text("name") == name })
    }

    func warning(_ code: String) throws -> [String: Any]? {
        try objects("warnings").first { $0.text("code") == code }
    }
}
