import Logging
import Onewrite
import Testing
import TestSupport

@Suite("Producer: durability, waiting for sinks, cancelling orders")
struct WaitingTests {
    @Test("reading one's own writes: whoever waited for groups finds the change in their stores")
    func readYourWrites() async throws {
        try await withServers { servers in
            let producer = try await producer(on: servers)
            let inspector = Inspector(try configuration(servers))
            try await serving(servers) {
                try await running(producer) { producer in
                    let changes = try (0..<100).map { try placed($0, shop: "shop-\($0 % 9)") }
                    let receipts = try await producer.submit(changes)
                    try await producer.wait(for: receipts)
                    #expect(try await inspector.order("o-99", shop: "shop-0").stored?.status == "placed")
                    let stock = try await inspector.stock(shop: "shop-0")
                    #expect(stock.rows.first { $0.sku == "TEA-250" }?.redis == -24)
                    // Many at once, each for its own.
                    try await withThrowingTaskGroup { tasks in
                        for number in 100..<200 {
                            tasks.addTask {
                                let receipt = try await producer.submit(try placed(number, shop: "shop-\(number % 9)"))
                                try await producer.wait(for: receipt, in: [.postgres])
                                let way = try await Inspector(try configuration(servers)).order(
                                    "o-\(number)", shop: "shop-\(number % 9)")
                                #expect(way.stored?.status == "placed")
                            }
                        }
                        try await tasks.waitForAll()
                    }
                }
            }
        }
    }

    @Test("without workers the wait ends in time and names what lags; cancelling ends it, shutting down too")
    func lagging() async throws {
        try await withProducer { _, producer in
            let receipt = try await producer.submit(try placed(1, shop: "main"))
            let error = await #expect(throws: LogError.self) {
                try await producer.wait(for: receipt, in: [.stock], within: .milliseconds(300))
            }
            #expect(error?.kind == .tryAgain)
            #expect(error?.message.contains("stock has not applied partition") == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("no worker serves it") == true)
            let nobody = try #require(Group("nobody"))
            let unknown = await #expect(throws: LogError.self) {
                try await producer.wait(for: receipt, in: [nobody])
            }
            #expect(unknown?.message == "no group nobody; there are postgres, stock, delivery")
            let waiting = Task { try await producer.wait(for: receipt, in: [.postgres]) }
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            let other = Task { try await producer.wait(for: receipt, in: [.postgres]) }
            producer.shutDown()
            let closed = await #expect(throws: LogError.self) { try await other.value }
            #expect(closed?.message == "shut down")
        }
    }

    @Test("what can't be accepted has nothing to wait for")
    func nothingToWaitFor() async throws {
        try await withProducer { _, producer in
            let accepted = try await producer.submit(try placed(1, shop: "main"))
            let conflict = try await producer.submit(
                try Change.orderPlaced(
                    id: "o-1", shop: "main", customer: "another", lines: [Line(sku: "TEA", quantity: 1)]))
            #expect((accepted.outcome, conflict.outcome) == (.accepted, .conflict))
            try await producer.wait(for: conflict, within: .milliseconds(1))
        }
    }

    @Test("durability is chosen call by call, and what doesn't get that far is unknown")
    func durability() async throws {
        try await withServers { servers in
            let producer = try await producer(on: servers, timeout: .seconds(3))
            try await running(producer) { producer in
                #expect(try await producer.submit(try placed(1, shop: "main")).durability == nil)
                // Nobody applies it, and there is no replica.
                for (number, level) in [(2, Durability.applied), (3, .replicas(1))] {
                    guard
                        case .unknown = try await producer.submit(try placed(number, shop: "main"), durability: level)
                            .outcome
                    else {
                        Issue.record("\(level)")
                        continue
                    }
                }
            }
            let patient = Producer(try configuration(servers), logger: Logger(label: "test"))
            try await running(patient) { producer in
                try await serving(servers) {
                    let again = try await producer.submit(try placed(2, shop: "main"), durability: .applied)
                    #expect((again.outcome, again.durability) == (.duplicate, .applied))
                }
            }
            #expect(try logged(servers).map(\.id) == ["o-1", "o-2", "o-3"])
        }
    }

    @Test("an order is cancelled with its own lines, once; another time is a duplicate, and no order is said")
    func cancel() async throws {
        try await withServers { servers in
            let producer = try await producer(on: servers)
            try await serving(servers) {
                try await running(producer) { producer in
                    let placed = try await producer.submit(try placed(1, shop: "main"))
                    let cancelled = try await producer.cancel(order: "o-1", shop: "main")
                    #expect((cancelled.id, cancelled.outcome) == ("o-1/cancel", .accepted))
                    try await producer.wait(for: [placed, cancelled])
                    let inspector = Inspector(try configuration(servers))
                    #expect(try await inspector.order("o-1", shop: "main").stored?.status == "cancelled")
                    #expect(try await inspector.stock(shop: "main").rows.first?.redis == 0)
                    let again = try await producer.cancel(order: "o-1", shop: "main")
                    #expect((again.outcome, again.seq, again.entry) == (.duplicate, cancelled.seq, cancelled.entry))
                    let none = await #expect(throws: LogError.self) {
                        try await producer.cancel(order: "o-9", shop: "main")
                    }
                    #expect(none?.kind == .no)
                    await #expect(throws: FieldError.self) { try await producer.cancel(order: "", shop: "main") }
                }
            }
        }
    }
}
