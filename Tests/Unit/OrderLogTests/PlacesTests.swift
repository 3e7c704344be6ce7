@testable import OrderLog
import Testing

@Suite struct PlacesTests {
    @Test("a seq has neighbours, an order, and a place before the first")
    func seqs() {
        #expect(Seq.none.next == Seq(1))
        #expect(Seq(2).previous == Seq(1))
        #expect(Seq(9) < Seq(10))
        #expect(Epoch(9) < Epoch(10))
        #expect(Token(9) < Token(10))
        #expect("\(Seq(118)) \(Epoch(2)) \(Token(7)) \(Partition(3))" == "118 2 7 3")
    }

    @Test("an entry's ID is read as Redis prints it")
    func entryIDs() throws {
        let id = try #require(EntryID("1763905351204-7"))
        #expect(id == EntryID(milliseconds: 1_763_905_351_204, counter: 7))
        #expect(id.description == "1763905351204-7")
        #expect(EntryID("18446744073709551615-18446744073709551615")?.counter == .max)
        #expect(EntryID("0-0") == .zero)
    }

    @Test(
        "what is no entry ID is not taken for one",
        arguments: [
            "", "-", "1", "1-", "-1", "1-2-3", "a-1", "1-a", "1 -1", "1--1", "+1-1", "1-+1", "18446744073709551616-0",
            "1-0\n", "*", "1-*",
        ])
    func badEntryIDs(text: String) {
        #expect(EntryID(text) == nil)
    }

    @Test("entry IDs are ordered by number, and the successor is the next one")
    func entryOrder() {
        #expect(EntryID(milliseconds: 9, counter: 9) < EntryID(milliseconds: 10, counter: 0))
        #expect(EntryID(milliseconds: 9, counter: 9) < EntryID(milliseconds: 9, counter: 10))
        #expect(EntryID(milliseconds: 9, counter: 9).successor == EntryID(milliseconds: 9, counter: 10))
        #expect(EntryID(milliseconds: 9, counter: .max).successor == EntryID(milliseconds: 10, counter: 0))
    }

    @Test("a worker's name is 1 to 64 of its alphabet")
    func workerNames() {
        #expect(WorkerName("stock-a.1_B")?.text == "stock-a.1_B")
        #expect(WorkerName(String(repeating: "x", count: 64)) != nil)
        for text in ["", "a b", "a/b", "a:b", "é", "a\n", String(repeating: "x", count: 65)] {
            #expect(WorkerName(text) == nil)
        }
    }
}

@Suite struct PartitioningTests {
    @Test("the CRC16 is Redis Cluster's")
    func crc16() {
        // The first is the specification's own check value; the others are CLUSTER KEYSLOT's on Redis 7.0.15.
        #expect(Partitioning.crc16("123456789".utf8) == 0x31C3)
        #expect(Partitioning.crc16("".utf8) == 0)
        #expect(Partitioning.crc16("foo".utf8) % 16384 == 12182)
        #expect(Partitioning.crc16("main".utf8) % 16384 == 12501)
    }

    @Test("a shop always has the same partition, within the count")
    func partitions() throws {
        let eight = try #require(Partitioning(count: 8))
        #expect(eight.all.map(\.number) == Array(0..<8))
        #expect(eight.partition(ofShop: "123456789") == Partition(0x31C3 % 8))
        let used = Set((0..<1000).map { eight.partition(ofShop: "shop-\($0)") })
        #expect(used == Set(eight.all), "a thousand shops are spread over all of them")
        #expect(Partitioning(count: 1)?.partition(ofShop: "main") == Partition(0))
    }

    @Test("a log has 1 to 1024 partitions")
    func counts() {
        #expect(Partitioning(count: 0) == nil)
        #expect(Partitioning(count: -1) == nil)
        #expect(Partitioning(count: 1024)?.count == 1024)
        #expect(Partitioning(count: 1025) == nil)
    }
}

@Suite struct DigestTests {
    private func digest(_ draft: ChangeDraft) throws -> String { Digest(of: try Change(draft)).description }

    private let order = ChangeDraft(id: "1", shop: "s", customer: "c", lines: .text("A:1"), attributes: #"{"a":1}"#)

    @Test("a digest is FNV-1a with 128 bits, and stays the same for ever: the log holds it")
    func stable() throws {
        #expect(try digest(order) == "0f66e2398e1883d51e2ee15b313b1e83")
    }

    @Test("a retry has the same digest, whatever its ID and shop are called")
    func retry() throws {
        var other = order
        other.id = "2"
        other.shop = "t"
        #expect(try digest(other) == digest(order))
    }

    @Test("any other payload has another digest")
    func differs() throws {
        var seen: Set<String> = [try digest(order)]
        let variants: [(inout ChangeDraft) -> Void] = [
            { $0.customer = "d" }, { $0.lines = .text("A:2") }, { $0.lines = .text("A:1 B:1") },
            { $0.attributes = nil }, { $0.attributes = "{}" }, { $0.attributes = #"{"a":1} "# },
            { $0.customer = "\u{E9}" }, { $0.customer = "e\u{301}" },
        ]
        for vary in variants {
            var other = order
            vary(&other)
            #expect(seen.insert(try digest(other)).inserted)
        }
        let received = ChangeDraft(type: "stock.received", id: "1", shop: "s", lines: .text("A:1"))
        var counted = received
        counted.type = "stock.counted"
        let cancelled = ChangeDraft(type: "order.cancelled", shop: "s", order: "c", lines: .text("A:1"))
        for other in [received, counted, cancelled] {
            #expect(seen.insert(try digest(other)).inserted)
        }
    }
}
