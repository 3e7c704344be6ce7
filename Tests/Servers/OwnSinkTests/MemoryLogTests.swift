import Onewrite
import OnewriteTesting
import Testing

@Suite("The log in memory, for an application's unit tests")
struct MemoryLogTests {
    private static func order(_ id: String, customer: String = "c") throws -> Change {
        try Change.orderPlaced(id: id, shop: "main", customer: customer, lines: [Line(sku: "TEA", quantity: 1)])
    }

    /// What an application would write.
    private struct Shop {
        let log: any ChangeSubmitting

        func order(_ id: String, customer: String = "c") async throws -> Receipt.Outcome {
            try await log.submit(try MemoryLogTests.order(id, customer: customer)).outcome
        }
    }

    @Test("accepted, duplicate and conflict are as in a log, and the changes can be looked at")
    func outcomes() async throws {
        let log = MemoryLog()
        let shop = Shop(log: log)
        #expect(try await shop.order("1") == .accepted)
        #expect(try await shop.order("2") == .accepted)
        #expect(try await shop.order("1") == .duplicate)
        #expect(try await shop.order("1", customer: "another") == .conflict)
        #expect(await log.changes.map(\.id) == ["1", "2"])
        let again = await log.submit(try Self.order("2"), durability: .applied)
        #expect((again.outcome, again.seq?.number, again.durability) == (.duplicate, 2, .applied))
    }

    @Test("a lost answer is unknown and in the log, an unreachable log takes nothing: submitting again settles both")
    func trouble() async throws {
        let log = MemoryLog()
        let shop = Shop(log: log)
        await log.fail(next: 1, .lostAnswer)
        await log.fail(next: 1, .unreachable)
        #expect(try await shop.order("1") == .unknown("the answer was lost"))
        #expect(try await shop.order("2") == .unsent("nobody can be reached"))
        #expect(await log.changes.map(\.id) == ["1"])
        #expect(try await shop.order("1") == .duplicate)
        #expect(try await shop.order("2") == .accepted)
    }

    @Test("attached sinks have each change when its receipt comes, from the beginning on, each once")
    func sinks() async throws {
        let (log, store) = (MemoryLog(), MemoryStore())
        let group = try #require(Group("search"))
        _ = await log.submit(try Self.order("1"), durability: nil)
        try await log.attach(group) { MemorySink(store) }
        try await withThrowingTaskGroup { tasks in
            for number in 2...100 {
                tasks.addTask {
                    let receipt = await log.submit(try Self.order("\(number)"), durability: nil)
                    let partition = try #require(receipt.partition)
                    #expect(store.orders(in: partition).contains("\(number)"))
                    try await log.wait(for: [receipt], in: [group, .postgres], within: nil)
                }
            }
            try await tasks.waitForAll()
        }
        let ids = (0..<8).compactMap { Partition(exactly: $0) }.flatMap { store.orders(in: $0) }
        #expect(ids.count == 100)
        #expect(Set(ids) == Set(await log.changes.map(\.id)))
        let nobody = try #require(Group("nobody"))
        await #expect(throws: LogError.self) { try await log.wait(for: [], in: [nobody], within: nil) }
    }

    @Test("a sink that throws makes the change unknown, and has it with the next one", arguments: [0, 1])
    func throwing(before: Int) async throws {
        let (log, store) = (MemoryLog(partitions: 1), MemoryStore())
        try await log.attach(try #require(Group("search"))) { MemorySink(store) }
        store.fail(before: before, behind: 1 - before)
        let first = await log.submit(try Self.order("1"), durability: nil)
        guard case .unknown = first.outcome else {
            Issue.record("\(first)")
            return
        }
        #expect(await log.submit(try Self.order("2"), durability: nil).outcome == .accepted)
        #expect(store.orders(in: try #require(Partition(exactly: 0))) == ["1", "2"])
    }
}
