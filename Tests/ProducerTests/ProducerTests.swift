import Logging
import Onewrite
import PrivateServers
import RedisClient
import Testing
import TestSupport
import ThreadedIO

@Suite("Producer")
struct ProducerTests {
    @Test("a thousand callers at once: each gets its own receipt, and the log has each change once")
    func manyCallers() async throws {
        try await withProducer { servers, producer in
            let receipts = try await withThrowingTaskGroup(of: Receipt.self) { tasks in
                for number in 0..<1000 {
                    tasks.addTask { try await producer.submit(try order(number, shop: "shop-\(number % 50)")) }
                }
                var receipts: [Receipt] = []
                for try await receipt in tasks { receipts.append(receipt) }
                return receipts
            }
            #expect(receipts.allSatisfy { $0.outcome == .accepted })
            #expect(Set(receipts.map(\.id)).count == 1000)
            let ids = try logged(servers).map(\.id)
            #expect(ids.count == 1000)
            #expect(Set(ids) == Set(receipts.map(\.id)))
        }
    }

    @Test("changes that are submitted together keep their order, and a repeat is a duplicate at the same place")
    func order() async throws {
        try await withProducer { servers, producer in
            let changes = try (0..<1200).map { try ProducerTests.order($0, shop: "main") }
            let receipts = try await producer.submit(changes)
            #expect(receipts.map(\.id) == changes.map(\.id))
            #expect(receipts.compactMap { $0.seq?.number } == Array(1...1200))
            #expect(try logged(servers).map(\.id) == changes.map(\.id))
            let again = try await producer.submit(changes[7])
            #expect(again.outcome == .duplicate)
            #expect((again.seq, again.entry) == (receipts[7].seq, receipts[7].entry))
            let other = try Change.orderPlaced(
                id: changes[7].id, shop: "main", customer: "another", lines: [Line(sku: "TEA", quantity: 9)])
            #expect(try await producer.submit(other).outcome == .conflict)
        }
    }

    @Test("a cancelled caller whose change was not sent gets CancellationError, and the others their receipts")
    func cancelled() async throws {
        try await withServers { servers in
            // It doesn't run yet, so nothing is sent.
            let producer = try await producer(on: servers)
            let waiting = Task { try await producer.submit(try Self.order(1, shop: "main")) }
            let other = Task { try await producer.submit(try Self.order(2, shop: "main")) }
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            async let run: Void = producer.run()
            #expect(try await other.value.outcome == .accepted)
            producer.shutDown()
            try await run
            #expect(try logged(servers).map(\.id) == ["o-2"])
        }
    }

    @Test("shutting down settles what was submitted, and refuses what comes later")
    func shutDown() async throws {
        try await withServers { servers in
            let producer = try await producer(on: servers)
            let changes = try (0..<3000).map { try Self.order($0, shop: "shop-\($0 % 9)") }
            async let receipts = producer.submit(changes)
            async let run: Void = producer.run()
            #expect(try await producer.submit(try Self.order(9999, shop: "main")).outcome == .accepted)
            // They are handed over together: one in the log says that all of them are on their way.
            try await eventually("the changes are handed over") {
                try logged(servers).contains { $0.id != "o-9999" }
            }
            producer.shutDown()
            try await run
            #expect(try await receipts.allSatisfy { $0.outcome == .accepted })
            #expect(try await producer.submit(changes[0]).outcome == .unsent("shut down"))
        }
    }

    @Test("without a server in time nothing is sent, and the producer goes on")
    func noServer() async throws {
        var configuration = try LogConfiguration(redis: "redis://127.0.0.1:1/0")
        configuration.timeout = .milliseconds(200)
        let producer = Producer(configuration, logger: Logger(label: "test"))
        async let run: Void = producer.run()
        for number in 0..<2 {
            let receipt = try await producer.submit(try Self.order(number, shop: "main"))
            guard case .unsent = receipt.outcome else {
                Issue.record("\(receipt)")
                continue
            }
        }
        producer.shutDown()
        try await run
    }

    // MARK: - What the tests work with

    static func order(_ number: Int, shop: String) throws -> Change {
        try Change.orderPlaced(
            id: "o-\(number)", shop: shop, customer: "c", lines: [Line(sku: "TEA-250", quantity: 2)])
    }

    private func order(_ number: Int, shop: String) throws -> Change { try Self.order(number, shop: shop) }

    private func producer(on servers: TestServers) async throws -> Producer {
        let made = try await BuiltExecutable.run("init", on: servers)
        try #require(made.status == .exited(0), "\(made.errors)")
        return Producer(
            try LogConfiguration(redis: servers.redis.url, namespace: servers.namespace), logger: Logger(label: "test"))
    }

    private func withProducer(_ body: (TestServers, Producer) async throws -> Void) async throws {
        try await withServers { servers in
            let producer = try await producer(on: servers)
            async let run: Void = producer.run()
            try await body(servers, producer)
            producer.shutDown()
            try await run
        }
    }

    /// The log's changes, partition after partition.
    private func logged(_ servers: TestServers) throws -> [(id: String, shop: String)] {
        let redis = try RedisConnection(
            connectingTo: try RedisConfiguration(url: servers.redis.url), until: .after(.seconds(20)), interrupt: nil)
        return try (0..<8).flatMap { partition in
            let log = "{\(servers.namespace):\(partition)}:log"
            return try redis.call(RedisCommand("XRANGE", log, "-", "+"), until: .after(.seconds(20))).requireArray()
                .map { entry in
                    let fields = try entry.requireArray()[1]
                    return (try fields.field("id")?.string ?? "?", try fields.field("shop")?.string ?? "?")
                }
        }
    }
}
