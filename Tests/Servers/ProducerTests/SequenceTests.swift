import Onewrite
import PrivateServers
import Testing
import TestSupport

/// Changes by number, that count how many of them were read.
private struct Source: AsyncSequence, Sendable {
    struct Failed: Error {}

    struct Iterator: AsyncIteratorProtocol {
        let source: Source
        var number = 0

        mutating func next() async throws -> Change? {
            if number == source.failing { throw Failed() }
            guard number < source.count else { return nil }
            defer { number += 1 }
            source.counted.up()
            return try placed(number, shop: "shop-\(number % 50)")
        }
    }

    let count: Int
    var failing: Int?
    let counted = Count()

    var read: Int { counted.value }

    func makeAsyncIterator() -> Iterator { Iterator(source: self) }
}

@Suite("Producer: a sequence of changes")
struct SequenceTests {
    @Test("receipts come in the sequence's order, and the log has each change once")
    func order() async throws {
        try await withProducer { servers, producer in
            let source = Source(count: 20_000)
            var number = 0
            for try await receipt in producer.submit(source) {
                #expect(receipt.id == "o-\(number)")
                #expect(receipt.outcome == .accepted)
                number += 1
            }
            #expect(number == 20_000)
            let ids = try logged(servers)
            #expect(ids.count == 20_000)
            // Within a shop the log has the sequence's order.
            for (shop, changes) in Dictionary(grouping: ids, by: \.shop) {
                let numbers = changes.compactMap { Int($0.id.dropFirst(2)) }
                #expect(numbers == numbers.sorted(), "\(shop)")
            }
        }
    }

    @Test("while receipts aren't taken no more is read than the window holds, and ending early ends the reading")
    func backPressure() async throws {
        try await withProducer { servers, producer in
            let source = Source(count: 1_000_000)
            do {
                var receipts = producer.submit(source).makeAsyncIterator()
                _ = try await receipts.next()
                try await eventually("the window is full") { source.read >= 16 * 1024 }
                // Nobody takes any: the log gets what the window holds, and it stays there.
                try await eventually("all of them are in the log") { try logged(servers).count >= 16 * 1024 }
                #expect(source.read <= 2 * 16 * 1024 + 1)
            }
            let read = source.read
            #expect(try await producer.submit(try placed(2_000_000, shop: "late")).outcome == .accepted)
            #expect(source.read <= read + 1)
        }
    }

    @Test("what the sequence throws comes behind the receipts of what it gave before")
    func throwing() async throws {
        try await withProducer { servers, producer in
            var taken = 0
            await #expect(throws: Source.Failed.self) {
                for try await receipt in producer.submit(Source(count: 9, failing: 7)) {
                    #expect(receipt.outcome == .accepted)
                    taken += 1
                }
            }
            #expect(taken == 7)
            let ids = try logged(servers)
            #expect(ids.count == 7)
        }
    }

    @Test("whoever takes the receipts can be cancelled while it waits for one")
    func cancelled() async throws {
        try await withServers { servers in
            // It doesn't run, so no receipt comes.
            let producer = try await producer(on: servers)
            let source = Source(count: 3)
            let task = Task { for try await _ in producer.submit(source) {} }
            try await eventually("all are handed over") { source.read == 3 }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test("Redis killed under it, and started again: every receipt tells the truth, and nothing is there twice")
    func killed() async throws {
        try await withOwnServers { servers in
            // However slow the machine: an outage that is waited out.
            let producer = try await producer(on: servers, timeout: .seconds(180))
            try await serving(servers) {
                try await running(producer) { producer in
                    let source = Source(count: 30_000)
                    var outcomes: [String: Int] = [:]
                    var number = 0
                    for try await receipt in producer.submit(source) {
                        #expect(receipt.id == "o-\(number)")
                        number += 1
                        switch receipt.outcome {
                        case .accepted: outcomes["accepted", default: 0] += 1
                        case .duplicate: outcomes["duplicate", default: 0] += 1
                        default: Issue.record("\(receipt)")
                        }
                        if number == 5000 || number == 20_000 {
                            await servers.redis.kill()
                            try await servers.redis.restart()
                        }
                    }
                    #expect(number == 30_000)
                    let ids = try logged(servers).map(\.id)
                    #expect(ids.count == 30_000)
                    #expect(Set(ids).count == 30_000)
                    #expect(outcomes["accepted", default: 0] > 0)
                }
            }
        }
    }
}
