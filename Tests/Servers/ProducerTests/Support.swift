import Logging
import Onewrite
import PrivateServers
import RedisClient
import Synchronization
import Testing
import TestSupport
import ThreadedIO

func placed(_ number: Int, shop: String) throws -> Change {
    try Change.orderPlaced(
        id: "o-\(number)", shop: shop, customer: "c", lines: [Line(sku: "TEA-250", quantity: 2)])
}

func configuration(_ servers: TestServers) throws -> LogConfiguration {
    try LogConfiguration(
        redis: servers.redis.url, postgres: servers.postgres.url, namespace: servers.namespace,
        schema: servers.namespace)
}

/// A log, and a producer for it that doesn't run yet.
func producer(on servers: TestServers, timeout: Duration? = nil) async throws -> Producer {
    let made = try await BuiltExecutable.run("init", on: servers)
    try #require(made.status == .exited(0), "\(made.errors)")
    var configuration = try configuration(servers)
    if let timeout { configuration.timeout = timeout }
    return Producer(configuration, logger: Logger(label: "test"))
}

/// Runs a producer during the body.
func running(_ producer: Producer, _ body: (Producer) async throws -> Void) async throws {
    async let run: Void = producer.run()
    do {
        try await body(producer)
    } catch {
        producer.shutDown()
        try await run
        throw error
    }
    producer.shutDown()
    try await run
}

func withProducer(_ body: (TestServers, Producer) async throws -> Void) async throws {
    try await withServers { servers in
        try await running(try await producer(on: servers)) { try await body(servers, $0) }
    }
}

/// Serves all groups in this process during the body.
func serving(_ servers: TestServers, _ body: () async throws -> Void) async throws {
    let worker = try Worker(try configuration(servers), logger: Logger(label: "test"))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await worker.run() }
        defer { worker.stop() }
        try await body()
        worker.stop()
        try await tasks.waitForAll()
    }
}

private func redis(_ servers: TestServers) throws -> RedisConnection {
    try RedisConnection(
        connectingTo: try RedisConfiguration(url: servers.redis.url), until: .after(.seconds(20)), interrupt: nil)
}

/// The log's changes, partition after partition.
func logged(_ servers: TestServers) throws -> [(id: String, shop: String)] {
    let redis = try redis(servers)
    return try (0..<8).flatMap { partition in
        let log = "{\(servers.namespace):\(partition)}:log"
        return try redis.call(RedisCommand("XRANGE", log, "-", "+"), until: .after(.seconds(20))).requireArray()
            .map { entry in
                let fields = try entry.requireArray()[1]
                return (try fields.field("id")?.string ?? "?", try fields.field("shop")?.string ?? "?")
            }
    }
}

/// Takes all partitions of a sink in Redis over, as another worker would.
func raiseTokens(of group: Group, _ servers: TestServers) throws {
    let redis = try redis(servers)
    for partition in 0..<8 {
        try redis.call(
            RedisCommand("HINCRBY", "{\(servers.namespace):\(partition)}:position:\(group.name)", "token", 1),
            until: .after(.seconds(20)))
    }
}

/// How often the server has run a script by its digest.
func appendCalls(_ servers: TestServers) throws -> Int {
    let info = try redis(servers).call(RedisCommand("INFO", "commandstats"), until: .after(.seconds(20)))
    let line = try info.requireString().split(separator: "\n").first { $0.hasPrefix("cmdstat_evalsha:calls=") }
    return line.flatMap { Int($0.dropFirst("cmdstat_evalsha:calls=".count).prefix { $0.isNumber }) } ?? 0
}

/// Counts from every thread.
final class Count: Sendable {
    private let count = Atomic(0)

    var value: Int { count.load(ordering: .relaxed) }

    func up() { count.add(1, ordering: .relaxed) }
}
