import Logging
import PrivateServers
import Testing
import TestSupport

@testable import Onewrite

@Suite("Producer: changes, one by one and together")
struct ProducerTests {
    @Test("a thousand callers at once: each gets its own receipt, and the log has each change once")
    func manyCallers() async throws {
        try await withProducer { servers, producer in
            let receipts = try await withThrowingTaskGroup(of: Receipt.self) { tasks in
                for number in 0..<1000 {
                    tasks.addTask { try await producer.submit(try placed(number, shop: "shop-\(number % 50)")) }
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

    @Test("callers share calls to Redis: what came while one was under way goes together with the next")
    func sharing() async throws {
        try await withOwnServers { servers in
            let producer = try await producer(on: servers)
            async let run: Void = producer.run()
            #expect(try await producer.submit(try placed(0, shop: "main")).outcome == .accepted)
            let before = try appendCalls(servers)
            // A call is under way, and its answer doesn't come.
            servers.redis.pause()
            let begun = Count()
            try await withThrowingTaskGroup(of: Receipt.self) { tasks in
                for number in 1...1000 {
                    tasks.addTask {
                        begun.up()
                        return try await producer.submit(try placed(number, shop: "shop-\(number % 50)"))
                    }
                }
                try await eventually("all have begun") { begun.value == 1000 }
                servers.redis.resume()
                for try await receipt in tasks { #expect(receipt.outcome == .accepted) }
            }
            // One for each of 8 partitions would do, and one that was under way; the last callers may come late.
            let calls = try appendCalls(servers) - before
            #expect(calls < 300, "\(calls) calls for 1000 changes")
            producer.shutDown()
            try await run
        }
    }

    @Test("changes that are submitted together keep their order, and a repeat is a duplicate at the same place")
    func order() async throws {
        try await withProducer { servers, producer in
            let changes = try (0..<1200).map { try placed($0, shop: "main") }
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
            let waiting = Task { try await producer.submit(try placed(1, shop: "main")) }
            let other = Task { try await producer.submit(try placed(2, shop: "main")) }
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
            let changes = try (0..<3000).map { try placed($0, shop: "shop-\($0 % 9)") }
            async let receipts = producer.submit(changes)
            async let run: Void = producer.run()
            #expect(try await producer.submit(try placed(9999, shop: "main")).outcome == .accepted)
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

    @Test("one that is shut down without having run refuses what waits")
    func neverRun() async throws {
        let producer = Producer(try LogConfiguration(redis: "redis://127.0.0.1:1/0"), logger: Logger(label: "test"))
        let changes = try (0..<3).map { try placed($0, shop: "main") }
        async let receipts = producer.submit(changes)
        try await eventually("they wait to be sent") { !producer.levels.inbox(.server).isEmpty }
        async let receipt = producer.submit(try placed(9, shop: "main"))
        producer.shutDown()
        #expect(try await receipts.allSatisfy { $0.outcome == .unsent("shut down") })
        #expect(try await receipt.outcome == .unsent("shut down"))
    }

    @Test("without a server in time nothing is sent, and the producer goes on")
    func noServer() async throws {
        var configuration = try LogConfiguration(redis: "redis://127.0.0.1:1/0")
        configuration.timeout = .milliseconds(200)
        let producer = Producer(configuration, logger: Logger(label: "test"))
        async let run: Void = producer.run()
        for number in 0..<2 {
            let receipt = try await producer.submit(try placed(number, shop: "main"))
            guard case .unsent = receipt.outcome else {
                Issue.record("\(receipt)")
                continue
            }
        }
        producer.shutDown()
        try await run
    }
}
