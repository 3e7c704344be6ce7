import Connections
import Coordination
import Foundation
import Onewrite
import OnewriteTesting
import OrderLog
import PostgresClient
import PrivateServers
import RedisClient
import RedisLog
import Testing
import TestSupport
import ThreadedIO

@Suite("The conformance suite for sinks of one's own")
struct ConformanceTests {
    @Test("a sink as it should be passes")
    func good() async throws {
        let store = MemoryStore()
        try await SinkConformance {
            MemorySink(store)
        } contents: {
            store.orders(in: $0)
        }.check()
    }

    @Test("each mistake is found, and by the rule that it breaks", arguments: BadSink.Mistake.allCases)
    func bad(_ mistake: BadSink.Mistake) async throws {
        let store = MemoryStore()
        let found = try await SinkConformance {
            BadSink(store, mistake)
        } contents: {
            store.orders(in: $0)
        }.findings()
        let expected: SinkConformance.Rule = mistake == .ignoresTokens ? .olderToken : .atomic
        #expect(found.contains { $0.rule == expected }, "\(found)")
    }
}

@Suite("The built-in sinks and the conformance suite, on real servers", .timeLimit(.minutes(3)))
struct BuiltInConformanceTests {
    private static let limit: Duration = .seconds(10)

    @Test("each passes as a sink of one's own does", arguments: SinkDefinition.builtIn.map(\.group))
    func builtIn(_ group: Group) async throws {
        try await withServers { servers in
            // Those of the suite's races are 100 to 159.
            let made = try await BuiltExecutable.run("init", "--partitions", "160", on: servers)
            try #require(made.status == .exited(0), "\(made.errors)")
            let definition = try #require(SinkDefinition.builtIn.first { $0.group == group })
            let owner = try #require(WorkerName("conformance"))
            let stores = Servers(
                try LogConfiguration(
                    redis: servers.redis.url, postgres: servers.postgres.url, namespace: servers.namespace,
                    schema: servers.namespace), name: "conformance")
            try await CommandLane("conformance").run { _ in
                let identity = try stores.identity(try stores.redis())
                try await SinkConformance {
                    try Self.open($0, $1, on: stores)
                } make: {
                    try await definition.ports(on: stores, of: identity, as: owner).sink
                } contents: {
                    try Self.contents(of: group, $0, on: stores)
                }.check()
            }
        }
    }

    /// Puts a partition of the log into an epoch, as an opening does, with places for what nobody appended.
    private static func open(_ partition: Partition, _ epoch: Epoch, on servers: Servers) throws -> History {
        let redis = try servers.redis()
        let replid = try #require(
            try redis.call(RedisCommand("INFO", "replication"), until: .after(limit)).string?
                .firstMatch(of: /master_replid:(\w+)/)?.1)
        try redis.call(
            RedisCommand("HSET", servers.keys.head(partition), "epoch", epoch.number, "seq", 1000, "replid", replid),
            until: .after(limit))
        try servers.primary().query(
            "UPDATE partitions SET epoch = $2 WHERE partition = $1",
            [.integer(Int64(partition.number)), .integer(epoch.number)], until: .after(limit))
        return History(epoch: epoch, replid: String(replid))
    }

    /// The IDs of the orders whose effects a sink has.
    private static func contents(of group: Group, _ partition: Partition, on servers: Servers) throws -> [String] {
        switch group {
        case .postgres:
            return try servers.primary().query(
                """
                SELECT id FROM orders JOIN order_lines ON (order_lines.shop, order_id) = (orders.shop, id)
                WHERE partition = $1 AND sku = 'TEA'
                """, [.integer(Int64(partition.number))], until: .after(limit)
            ).map { try $0.requireString(0) }
        case .stock:
            // An order takes one TEA and two MUGs, whichever it is: the first ones of the log.
            let onHand = try servers.redis().call(
                RedisCommand("HMGET", servers.keys.stock(partition, shop: "main"), "TEA", "MUG"), until: .after(limit))
            let (teas, mugs) = (onHand[0].string.flatMap { Int($0) } ?? 0, onHand[1].string.flatMap { Int($0) } ?? 0)
            guard mugs == 2 * teas else { return ["half an order: \(teas) TEA, \(mugs) MUG"] }
            return (0..<max(0, -teas)).map { "order-\(partition)-\($0 + 1)" }
        default:
            return try servers.redis().call(
                RedisCommand("LRANGE", servers.keys.deliveries(partition), 0, -1), until: .after(limit)
            ).elements.compactMap { $0.string?.firstMatch(of: /"(order-\d+-\d+)"/).map { String($0.1) } }
        }
    }
}
