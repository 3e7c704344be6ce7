import OrderLog
import Testing

@Suite("A verdict")
struct VerdictTests {
    private let head = Place(epoch: Epoch(2), seq: Seq(9))

    private func verdict(epoch: Int64, seq: Int64, partitions: Int = 1, partition: Int = 0) throws -> Verdict {
        let change = try Change(ChangeDraft(id: "o", shop: "main", customer: "c", lines: .text("TEA:1")))
        let entry = Entry(
            id: EntryID(milliseconds: 1, counter: 0), place: Place(epoch: Epoch(epoch), seq: Seq(seq)),
            content: .change(change))
        return Verdict(
            on: entry, after: Seq(4), head: head, in: Partition(partition),
            try #require(Partitioning(count: partitions)))
    }

    @Test("tells by seq alone what was applied, what is next and what is missing")
    func bySeq() throws {
        #expect(try verdict(epoch: 1, seq: 4) == .duplicate)
        guard case .apply = try verdict(epoch: 1, seq: 5) else {
            Issue.record("the next entry is not applied")
            return
        }
        #expect(try verdict(epoch: 2, seq: 6) == .gap)
    }

    @Test("a place that the head has not given is not believed: neither its seq nor its epoch")
    func beyondHead() throws {
        #expect(try verdict(epoch: 2, seq: 10) == .beyondHead)
        #expect(try verdict(epoch: 3, seq: 5) == .beyondHead)
    }

    @Test("an entry whose shop belongs elsewhere was added by hand, wherever it claims to be")
    func otherPartition() throws {
        let home = try #require(Partitioning(count: 8)).partition(ofShop: "main").number
        #expect(try verdict(epoch: 2, seq: 5, partitions: 8, partition: (home + 1) % 8) == .addedByHand)
        #expect(try verdict(epoch: 2, seq: 4, partitions: 8, partition: (home + 1) % 8) == .addedByHand)
    }

    @Test("a head of another log, or of another number of partitions, is not served")
    func mismatch() throws {
        let identity = LogIdentity(partitioning: try #require(Partitioning(count: 8)), log: "a")
        func isMismatch(log: String, partitions: Int?) -> Bool {
            let head = Head(epoch: Epoch(1), seq: .none, replid: "r", partitions: partitions, log: log)
            let state = LogState(LogLook(replid: "r", isMaster: true, head: head), row: nil, identity: identity)
            if case .mismatch = state { return true }
            return false
        }
        #expect(!isMismatch(log: "a", partitions: 8))
        #expect(isMismatch(log: "b", partitions: 8))
        #expect(isMismatch(log: "a", partitions: 9))
        #expect(isMismatch(log: "a", partitions: nil))
    }
}
