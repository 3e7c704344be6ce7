import Harness
import Testing

@testable import torture

@Suite("The receipts' check, against a log")
struct ReceiptBookTests {
    private static let changes = (1...4).map { number in
        PlannedChange(
            kind: .placed, id: "o-\(number)", shop: "main", customer: "c", lines: [.init(sku: "MUG-1", quantity: 1)])
    }

    /// The entry of a change at a place.
    private func entry(_ change: PlannedChange, seq: Int, customer: String = "c") -> StoreContents.LogEntry {
        StoreContents.LogEntry(
            entry: "\(seq)-0",
            fields: [
                "epoch": "1", "seq": "\(seq)", "type": change.kind.rawValue, "id": change.id, "shop": change.shop,
                "customer": customer, "lines": change.linesText,
            ])
    }

    /// All four accepted by submitter 0, at 1 to 4.
    private func book(isApplied: Bool = false) -> ReceiptBook {
        let book = ReceiptBook()
        book.submitting(Self.changes, by: 0)
        let receipts = Self.changes.enumerated().map { index, change in
            ReceiptLine(id: change.id, outcome: "accepted", partition: 0, seq: Int64(index + 1), entry: "")
        }
        book.answered(receipts, to: Self.changes, isApplied: isApplied)
        return book
    }

    private func differences(
        _ book: ReceiptBook, _ log: [StoreContents.LogEntry], isComplete: Bool = false
    ) -> [String] {
        book.compared(with: StoreContents(log: [log]), isComplete: isComplete).differences
    }

    private var log: [StoreContents.LogEntry] {
        Self.changes.enumerated().map { entry($0.element, seq: $0.offset + 1) }
    }

    @Test("a log with every accepted change at its place is clean")
    func clean() {
        #expect(differences(book(), log, isComplete: true).isEmpty)
        #expect(book().tally.accepted == 4)
    }

    @Test("an accepted change that is gone is found, unless a cut tail held it and Postgres never had it")
    func lost() {
        let short = Array(log.dropLast())
        #expect(differences(book(), short) == ["main o-4: accepted and lost"])
        let cut = book()
        cut.cut([("main", "o-4")])
        #expect(differences(cut, short).isEmpty)
        #expect(cut.missing(in: StoreContents(log: [short])).cut == [Self.changes[3]])
        #expect(differences(cut, short, isComplete: true) == ["main o-4: accepted and lost"])
        let applied = book(isApplied: true)
        applied.cut([("main", "o-4")])
        #expect(
            differences(applied, short) == ["main o-4: accepted and lost, although Postgres was said to have it"])
    }

    @Test("a change that a replica was said to have is not lost with its master, only with the replica's tail too")
    func replicated() {
        let short = Array(log.dropLast())
        let book = ReceiptBook()
        book.submitting(Self.changes, by: 0)
        let receipts = Self.changes.enumerated().map { index, change in
            ReceiptLine(id: change.id, outcome: "accepted", partition: 0, seq: Int64(index + 1), entry: "")
        }
        book.answered(receipts, to: Self.changes, isApplied: false, isReplicated: true)
        book.cut([("main", "o-4")], withReplicas: false)
        #expect(differences(book, short) == ["main o-4: accepted and lost, although a replica was said to have it"])
        #expect(book.missing(in: StoreContents(log: [short])).cut.isEmpty)
        book.cut([("main", "o-4")])
        #expect(differences(book, short).isEmpty)
    }

    @Test("a change without an answer may be there or not")
    func unanswered() {
        let book = ReceiptBook()
        book.submitting(Self.changes, by: 0)
        let open = book.answered([ReceiptLine(id: "o-1", outcome: "unknown")], to: Self.changes, isApplied: false)
        #expect(open == Self.changes)
        #expect(differences(book, Array(log.prefix(2))).isEmpty)
        #expect(
            book.missing(in: StoreContents(log: [Array(log.prefix(2))])).unanswered == Array(Self.changes.suffix(2)))
        #expect(differences(book, Array(log.prefix(2)), isComplete: true).count == 2)
    }

    @Test("twice, elsewhere, another payload, a stranger and a refusal are found")
    func corruptions() {
        #expect(differences(book(), log + [entry(Self.changes[3], seq: 5)]) == ["main o-4: 2 times in the log"])
        let moved = log.dropLast() + [entry(Self.changes[3], seq: 9)]
        #expect(differences(book(), Array(moved)) == ["main o-4: at seq 9, and the answer named another place"])
        let changed = log.dropLast() + [entry(Self.changes[3], seq: 4, customer: "d")]
        #expect(differences(book(), Array(changed)) == ["main o-4: the log has another payload under this ID"])
        let stranger = PlannedChange(kind: .placed, id: "x", shop: "main", lines: [])
        #expect(differences(book(), log + [entry(stranger, seq: 5)]) == ["main x: nobody submitted it"])
        let refused = book()
        refused.submitting([stranger], by: 0)
        refused.answered([ReceiptLine(id: "x", outcome: "conflict")], to: [stranger], isApplied: false)
        #expect(differences(refused, log) == ["main x: the answer was conflict"])
    }

    @Test("a refusal is right if the log had as little behind its place; what was sold without being there is found")
    func refusals() {
        let received = PlannedChange(
            kind: .received, id: "in", shop: "main", lines: [.init(sku: "MUG-1", quantity: 2)])
        let refused = PlannedChange(
            kind: .placed, id: "big", shop: "main", customer: "c", lines: [.init(sku: "MUG-1", quantity: 2)])
        func book(after: Int64, available: Int64, cuts: Int = 0) -> ReceiptBook {
            let book = ReceiptBook()
            let changes = [received, Self.changes[0], refused]
            #expect(book.submitting(changes, by: 0) == 0)
            var refusal = ReceiptLine(id: "big", outcome: "refused", partition: 0)
            refusal.after = after
            refusal.lacking = [.init(sku: "MUG-1", wanted: 2, available: available)]
            let open = book.answered(
                [
                    ReceiptLine(id: "in", outcome: "accepted", partition: 0, seq: 1, entry: ""),
                    ReceiptLine(id: "o-1", outcome: "accepted", partition: 0, seq: 2, entry: ""), refusal,
                ], to: changes, isApplied: false, cuts: cuts)
            #expect(open.isEmpty)
            return book
        }
        let log = [
            StoreContents.LogEntry(
                entry: "1-0",
                fields: [
                    "epoch": "1", "seq": "1", "type": "stock.received", "id": "in", "shop": "main", "lines": "MUG-1:2",
                ]), entry(Self.changes[0], seq: 2),
        ]
        let right = book(after: 2, available: 1)
        #expect(differences(right, log, isComplete: true).isEmpty)
        #expect(right.refusalsCompared == 1 && right.tally.refused == 1)
        #expect(
            differences(book(after: 1, available: 1), log) == [
                "main big: refused behind seq 1, 2 MUG-1 wanted and 1 available, where the log gives 2"
            ])
        #expect(
            differences(book(after: 9, available: 1), log) == [
                "refused behind seq 9 of partition 0, which the log lacks"
            ])
        // What was submitted before a tail was cut off may speak of places that others have by now.
        #expect(differences(book(after: 9, available: 1, cuts: 1), log).isEmpty)
        let sold = book(after: 2, available: 1)
        sold.submitting([Self.changes[1], Self.changes[2]], by: 0)
        sold.answered([], to: [Self.changes[1], Self.changes[2]], isApplied: false)
        let oversold = log + [entry(Self.changes[1], seq: 3), entry(Self.changes[2], seq: 4)]
        #expect(differences(sold, oversold) == ["o-3: more main MUG-1 is sold than there was"])
    }

    @Test("a submitter's changes of a shop in another order are found, but not those that two submitted")
    func order() {
        let book = ReceiptBook()
        book.submitting(Self.changes, by: 0)
        book.answered([], to: Self.changes, isApplied: false)
        let swapped = [entry(Self.changes[1], seq: 1), entry(Self.changes[0], seq: 2)]
        #expect(differences(book, swapped) == ["main o-2: in the log before main o-1, submitted earlier"])
        book.submitting([Self.changes[0]], by: 1)
        #expect(differences(book, swapped).isEmpty)
    }

    @Test("the same seed gives the same faults, each at least once; another seed gives others")
    func schedule() {
        for kinds in [Fault.ofServer, Fault.ofCluster] {
            func schedule(_ seed: UInt64) -> FaultSchedule {
                var generator = SeededGenerator(seed: seed)
                return FaultSchedule(length: .seconds(40), of: kinds, using: &generator)
            }
            #expect(schedule(7) == schedule(7))
            #expect(schedule(7) != schedule(8))
            #expect(Set(schedule(7).faults.map(\.fault)) == Set(kinds))
        }
    }
}
