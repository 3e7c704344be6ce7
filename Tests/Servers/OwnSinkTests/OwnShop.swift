import Foundation
import Logging
import Onewrite
import PostgresClient
import PrivateServers
import RedisClient
import Synchronization
import Testing
import TestSupport
import ThreadedIO

/// A log with the product's own workers, and a group of the test's own.
final class OwnShop: Sendable {
    static let partitions = 8
    static let shops = 5

    let servers: TestServers
    private let submitted = Mutex(0)
    private let lines = Mutex("")

    init(_ servers: TestServers) async throws {
        self.servers = servers
        let made = try await BuiltExecutable.run("init", on: servers)
        try #require(made.status == .exited(0), "\(made.errors)")
    }

    /// What the test's own workers have logged.
    var log: String { lines.withLock { $0 } }

    func run(_ arguments: String...) async throws -> ChildProcess.Completed {
        try await ChildProcess.run([BuiltExecutable.path] + arguments, environment: servers.environment, in: "/tmp")
    }

    /// Submits so many orders, of several shops.
    func submit(_ count: Int) async throws {
        let first = submitted.withLock { submitted in
            defer { submitted += count }
            return submitted
        }
        let rows = (first..<first + count).map {
            #"{"id":"order-\#($0)","shop":"shop-\#($0 % Self.shops)","customer":"c","lines":[{"sku":"TEA","quantity":1}]}"#
        }
        let file = FileManager.default.temporaryDirectory.appending(path: "own-\(UUID().uuidString).ndjson")
        try (rows.joined(separator: "\n") + "\n").write(to: file, atomically: true, encoding: .utf8)
        let done = try await run("submit", file.path)
        try FileManager.default.removeItem(at: file)
        try #require(done.status == .exited(0), "\(done.errors)")
    }

    /// Serves the group `search` in this process while the body runs.
    func serving(_ store: MemoryStore, _ body: () async throws -> Void) async throws {
        let configuration = try LogConfiguration(
            redis: servers.redis.url, postgres: servers.postgres.url, namespace: servers.namespace,
            schema: servers.namespace)
        let group = try #require(Group("search"))
        let logger = Logger(label: "search") { _ in LineHandler { line in self.lines.withLock { $0 += line + "\n" } } }
        let worker = try Worker(
            configuration, sinks: [SinkDefinition(group, from: .start) { MemorySink(store) }], logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await worker.run() }
            do {
                try await body()
            } catch {
                worker.stop()
                throw error
            }
            worker.stop()
            try await tasks.waitForAll()
        }
    }

    /// Serves a built-in group by a process while the body runs.
    func starting(_ group: String, _ body: () async throws -> Void) async throws {
        let process = try await BuiltExecutable.spawn("worker", "--group", group, on: servers, errors: .discarded)
        try await body()
        await process.kill()
    }

    // MARK: - What the stores hold

    func orders(_ store: MemoryStore) -> [String] {
        (0..<Self.partitions).flatMap { store.orders(in: Partition(known: $0)) }
    }

    /// Waits until the ledger has so many changes, and the store the same, in the ledger's order.
    func isEqual(_ store: MemoryStore, count: Int) async throws {
        try await settled(count)
        try await eventually(within: Self.patience(count), "the store has \(count)") {
            self.orders(store).count >= count
        }
        let expected = try ledger()
        for partition in 0..<Self.partitions {
            #expect(store.orders(in: Partition(known: partition)) == expected[partition] ?? [])
        }
    }

    func settled(_ count: Int) async throws {
        let connection = try postgres()
        try await eventually(within: Self.patience(count), "the ledger has \(count)") {
            try connection.query("SELECT count(*) FROM ledger", until: .soon)[0].requireInt64(0) == count
        }
    }

    /// A slow machine applies a thousand a second.
    private static func patience(_ count: Int) -> Duration { .seconds(30 + count / 1000) }

    private func postgres() throws -> PostgresConnection {
        var configuration = try PostgresConfiguration(url: servers.postgres.url)
        configuration.schema = servers.namespace
        return try PostgresConnection(connectingTo: configuration, until: .soon, interrupt: nil)
    }

    private func ledger() throws -> [Int: [String]] {
        var ids: [Int: [String]] = [:]
        for row in try postgres().query("SELECT partition, id FROM ledger ORDER BY partition, seq", until: .soon) {
            ids[Int(try row.requireInt64(0)), default: []].append(try row.requireString(1))
        }
        return ids
    }

    /// Every command knows the group by its name, and no other.
    func isKnownByName() async throws {
        let placed = try await run(
            "submit", "--id", "known", "--shop", "shop-1", "--customer", "c", "--line", "TEA:1", "--wait=search")
        #expect(placed.status == .exited(0), "\(placed.errors)")
        let status = try await run("status")
        #expect(status.output.contains("\nsearch"), "\(status.output)")
        let trail = try await run("order", "known", "--shop", "shop-1")
        #expect(trail.output.contains("search"), "\(trail.output)\(trail.errors)")
        for arguments in [["pending", "--group", "nobody"], ["dead", "list", "--group", "nobody"]] {
            let refused = try await ChildProcess.run(
                [BuiltExecutable.path] + arguments, environment: servers.environment, in: "/tmp")
            #expect(refused.status == .exited(64), "\(arguments)")
            #expect(refused.errors.contains("no group \"nobody\"; there are postgres, stock, delivery, search"))
        }
        let recorded = try call("HKEYS", "\(servers.namespace):groups").elements.compactMap(\.string)
        #expect(Set(recorded) == ["postgres", "stock", "delivery", "search"])
        let audit = try await run("audit")
        #expect(audit.status == .exited(0), "\(audit.output)\(audit.errors)")
    }

    /// Writes where partition 0 of a group is said to be.
    func showPosition(_ seq: Int, of group: String) throws {
        _ = try call("HSET", "{\(servers.namespace):0}:position:\(group)", "epoch", "1", "seq", "\(seq)")
    }

    func pending(_ group: String) throws -> Int64 {
        try (0..<Self.partitions).reduce(0) { sum, partition in
            sum + (try call("XPENDING", "{\(servers.namespace):\(partition)}:log", group)[0].integer ?? 0)
        }
    }

    func deadLetters(_ group: String) throws -> Int64 {
        try (0..<Self.partitions).reduce(0) { sum, partition in
            sum + (try call("XLEN", "{\(servers.namespace):\(partition)}:dead:\(group)").integer ?? 0)
        }
    }

    /// How many entries were trimmed.
    func trimmed() throws -> Int {
        try (0..<Self.partitions).reduce(0) { sum, partition in
            let first = try call("HGET", "{\(servers.namespace):\(partition)}:head", "first").string ?? "1"
            return sum + (Int(first) ?? 1) - 1
        }
    }

    /// Deletes the first half of each partition's stream.
    func deleteFirstHalf() throws {
        for partition in 0..<Self.partitions {
            let key = "{\(servers.namespace):\(partition)}:log"
            let length = try call("XLEN", key).integer ?? 0
            _ = try call("XTRIM", key, "MAXLEN", "=", "\(length / 2)")
        }
    }

    /// Deletes everything from the streams.
    func deleteAll() throws {
        for partition in 0..<Self.partitions {
            _ = try call("XTRIM", "{\(servers.namespace):\(partition)}:log", "MAXLEN", "=", "0")
        }
    }

    /// Entries that have the places behind the head of partition 0, as somebody wrote them who knows how, and no valid fields.
    func addInvalid(_ count: Int) async throws {
        let tag = "{\(servers.namespace):0}"
        for _ in 0..<count {
            let epoch = try call("HGET", "\(tag):head", "epoch").string ?? ""
            let seq = try call("HINCRBY", "\(tag):head", "seq", "1").integer ?? 0
            _ = try call(
                "XADD", "\(tag):log", "*", "epoch", epoch, "seq", "\(seq)", "type", "order.placed", "id", "bad-\(seq)",
                "shop",
                "s", "lines", "none")
        }
        try await eventually("they are set aside everywhere") { try self.deadLetters("stock") == count }
    }

    func addByHand() throws {
        _ = try call("XADD", "{\(servers.namespace):0}:log", "*", "hello", "world")
    }

    private func call(_ words: String...) throws -> RedisReply {
        let redis = try RedisConnection(
            connectingTo: RedisConfiguration(url: servers.redis.url), until: .soon, interrupt: nil)
        var command = RedisCommand(words[0])
        command.append(contentsOf: Array(words.dropFirst()))
        return try redis.call(command, until: .soon)
    }
}

/// Runs a test on a log of its own, with the built-in groups served by one process.
func withOwnShop(
    workers: [String] = [], trim: String? = nil, _ body: (OwnShop) async throws -> Void
) async throws {
    try await withServers { servers in
        let shop = try await OwnShop(servers)
        let process = try await ChildProcess.spawn(
            [BuiltExecutable.path, "worker"] + workers.flatMap { ["--group", $0] },
            environment: servers.environment.merging(["ONEWRITE_TRIM": trim]) { $1 }, in: "/tmp", output: .discarded,
            errors: .discarded)
        do {
            try await body(shop)
        } catch {
            await process.kill()
            throw error
        }
        await process.kill()
    }
}

extension Partition {
    fileprivate init(known number: Int) { self.init(number) }
}

extension Deadline {
    fileprivate static var soon: Deadline { .after(.seconds(10)) }
}

/// Hands each line on.
private struct LineHandler: LogHandler {
    let take: @Sendable (String) -> Void
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]

    init(_ take: @escaping @Sendable (String) -> Void) { self.take = take }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { take("\(event.message)") }
}
