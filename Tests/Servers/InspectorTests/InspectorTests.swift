import Connections
import Foundation
import Onewrite
import OrderLog
import PrivateServers
import RedisClient
import RedisLog
import Testing
import TestSupport
import ThreadedIO

@Suite("Inspector")
struct InspectorTests {
    @Test("every answer's JSON is what the command prints")
    func answers() async throws {
        try await withServers { servers in
            let inspector = Inspector(try await makeShop(servers))
            try await expect(inspector.status(), equals: "status", on: servers)
            try await expect(
                inspector.order("ord-1", shop: "main"), equals: "order", "ord-1", "--shop", "main", on: servers)
            try await expect(inspector.stock(shop: "main"), equals: "stock", "show", "--shop", "main", on: servers)
            let pending = try await inspector.pending(group: .stock)
            #expect(pending.total == 1 && pending.missing.isEmpty)
            try await expect(try #require(pending.entries.first), equals: "pending", "--group", "stock", on: servers)
            let letters = try await inspector.deadLetters()
            #expect(letters.map(\.change) == ["ord-9"] && letters.map(\.groups) == [[.stock]])
            try await expect(try #require(letters.first), equals: "dead", "list", on: servers)
            try await expect(inspector.audit(), equals: "audit", on: servers)
        }
    }

    @Test("an order that isn't there is a no")
    func noOrder() async throws {
        try await withServers { servers in
            let inspector = Inspector(try await makeShop(servers))
            #expect(await kind { _ = try await inspector.order("ord-2", shop: "main") } == .no)
        }
    }

    @Test("without a log every question is to be tried again")
    func missingLog() async throws {
        try await withServers { servers in
            let inspector = Inspector(try configuration(servers))
            #expect(await kind { _ = try await inspector.status() } == .tryAgain)
            #expect(await kind { _ = try await inspector.order("ord-1", shop: "main") } == .tryAgain)
            #expect(await kind { _ = try await inspector.audit() } == .tryAgain)
        }
    }

    @Test("a server that can't be reached is told as such")
    func unreachable() async throws {
        let inspector = Inspector(try LogConfiguration(redis: "unix:///nowhere/redis.sock"))
        #expect(await kind { _ = try await inspector.status() } == .unreachable)
        #expect(await kind { _ = try await inspector.stock(shop: "main") } == .unreachable)
        #expect(await kind { _ = try await inspector.deadLetters() } == .unreachable)
    }

    private func configuration(_ servers: TestServers) throws -> LogConfiguration {
        try LogConfiguration(
            redis: servers.redis.url, postgres: servers.postgres.url, namespace: servers.namespace,
            schema: servers.namespace)
    }

    /// A log with an order that is pending, some stock, and a dead letter.
    private func makeShop(_ servers: TestServers) async throws -> LogConfiguration {
        let created = try await BuiltExecutable.run("init", "--partitions", "2", on: servers)
        try #require(created.status == .exited(0), "\(created.errors)")
        let configuration = try configuration(servers)
        try await CommandLane().run { _ in
            let servers = Servers(configuration, name: "test")
            let redis = try servers.master()
            let keys = servers.keys
            let identity = try servers.identity(redis)
            let partition = identity.partitioning.partition(ofShop: "main")
            let order = try Change(
                ChangeDraft(id: "ord-1", shop: "main", customer: "c-1", lines: .items([("TEA", "2")])))
            _ = try Appender(redis, keys: keys, identity: identity, window: .seconds(3600))
                .append([order], to: partition, until: .after(.seconds(5)))
            for command in [
                RedisCommand("XREADGROUP", "GROUP", "stock", "gone", "STREAMS", keys.log(partition), ">"),
                RedisCommand("HSET", keys.stock(partition, shop: "main"), "MUG", 7),
                RedisCommand(
                    "XADD", keys.dead(partition, .stock), "*", "id", "ord-9", "entry", "1-0", "reason",
                    "added-by-hand", "error", "no place"),
            ] {
                _ = try redis.call(command, until: .after(.seconds(5)))
            }
        }
        return configuration
    }

    /// Compares an answer with the command's, but for what changes from moment to moment.
    private func expect(
        _ answer: some Encodable, equals arguments: String..., on servers: TestServers
    ) async throws {
        let ran = try await ChildProcess.run(
            [BuiltExecutable.path] + arguments + ["--json"], environment: servers.environment, within: .seconds(60))
        let lines = ran.output.split(separator: "\n")
        #expect(lines.count == 1, "\(arguments): \(ran.errors)")
        let printed = try JSONSerialization.jsonObject(with: Data(try #require(lines.first).utf8))
        let told = try JSONSerialization.jsonObject(with: try JSONEncoder().encode(answer))
        let (left, right) = (steady(told) as? NSDictionary, steady(printed) as? NSDictionary)
        #expect(left != nil && left == right, "\(arguments): \(told) is not \(printed)")
    }

    private func steady(_ value: Any) -> Any {
        let passing: Set = [
            "at", "age_ms", "idle_ms", "oldest_pending_ms", "oldest_unapplied_ms", "append_per_second", "seconds",
            "used", "log_growth_per_day", "days_left",
        ]
        if let object = value as? [String: Any] {
            return object.filter { !passing.contains($0.key) }.mapValues(steady) as NSDictionary
        }
        if let list = value as? [Any] { return list.map(steady) as NSArray }
        return value
    }

    private func kind(_ body: () async throws -> Void) async -> LogError.Kind? {
        do { try await body() } catch { return (error as? LogError)?.kind }
        return nil
    }
}
