package import ChangeInput
package import OrderLog
import RedisLog
package import Submission
import Synchronization

/// Rows of an input that are submitted while they are read, and their receipts, in the rows' order.
///
/// At most some thousands are under way: while their receipts aren't taken, no more rows are read. Ends with whoever holds it.
package final class RowReading: Sendable {
    /// What of a row its receipt shows.
    private struct Mark {
        let line: Int
        let id: String?
        let error: RowError?
    }

    private final class Marks: Sendable {
        private let marks = Mutex<[Mark]>([])

        func add(_ row: InputRow) {
            let error: RowError? = if case .failure(let error) = row.result { error } else { nil }
            marks.withLock { $0.append(Mark(line: row.line, id: row.id, error: error)) }
        }

        func take(_ count: Int) -> [Mark] {
            marks.withLock { marks in
                defer { marks.removeFirst(count) }
                return Array(marks.prefix(count))
            }
        }
    }

    private let reading: Reading
    private let marks = Marks()

    init<Rows: AsyncSequence & Sendable>(_ rows: Rows, _ inbox: Inbox, capacity: Int) where Rows.Element == InputRow {
        let window = ReceiptWindow(capacity: capacity)
        let task = Task { [marks] in
            do {
                for try await row in rows {
                    guard await Self.put(row, window, inbox, marks) else { return }
                }
                window.end(nil)
            } catch {
                window.end(error)
            }
        }
        reading = Reading(window, task)
    }

    /// Hands a row over as soon as there is room; false when nobody wants its receipt any more.
    private static func put(_ row: InputRow, _ window: ReceiptWindow, _ inbox: Inbox, _ marks: Marks) async -> Bool {
        while true {
            switch window.admit() {
            case .number(let number):
                marks.add(row)
                switch row.result {
                case .success(let change): inbox.put(change, window, number)
                case .failure(let error): window.take([(number, Receipt(rejected: row.id, error))])
                }
                return true
            case .full: await window.waitForRoom()
            case .abandoned: return false
            }
        }
    }

    /// The receipts that have come by now, at least one.
    ///
    /// - Returns: nil behind the last.
    /// - Throws: What the rows threw, behind the receipts of those before; `CancellationError`.
    package func next() async throws -> [RowReceipt]? {
        guard let receipts = try await reading.next() else { return nil }
        return zip(receipts, marks.take(receipts.count)).map { receipt, mark in
            RowReceipt(receipt, line: mark.line, id: mark.id, error: mark.error)
        }
    }
}

extension Producer {
    /// Submits the rows of an input while they are read.
    ///
    /// - Parameters:
    ///   - rows: In the order that they are to have within a shop.
    ///   - durability: What makes them accepted; nil for what the configuration says.
    /// - Returns: Their receipts.
    package func submit<Rows: AsyncSequence & Sendable>(
        rows: Rows, durability: Durability? = nil
    ) -> RowReading where Rows.Element == InputRow {
        RowReading(rows, inbox(durability), capacity: Limits.submitChangesMax)
    }
}

extension RowReceipt {
    /// The receipt as `--json` prints it.
    ///
    /// - Parameters:
    ///   - receipt: What became of it.
    ///   - line: Where it is in its input; nil for a change by itself.
    ///   - id: Its ID; nil when it has none that could be one.
    ///   - error: Why it was rejected.
    package init(_ receipt: Receipt, line: Int?, id: String?, error: RowError? = nil) {
        let outcome: Outcome
        if let error {
            outcome = .rejected(error)
        } else if case .refused(let shortages) = receipt.outcome, let partition = receipt.partition,
            let epoch = receipt.epoch
        {
            outcome = .answered(
                Appender.Result(refusedFor: shortages, behind: receipt.after ?? .none), in: partition, epoch: epoch)
        } else if let partition = receipt.partition, let epoch = receipt.epoch, let seq = receipt.seq,
            let entry = receipt.entry
        {
            let word: Appender.Result.Outcome =
                switch receipt.outcome {
                case .duplicate: .duplicate
                case .conflict: .conflict
                default: .accepted
                }
            outcome = .answered(
                Appender.Result(outcome: word, seq: seq, entry: entry), in: partition, epoch: epoch)
        } else {
            outcome =
                switch receipt.outcome {
                case .unknown(let reason): .unknown(reason)
                case .unsent(let reason): .unsent(reason)
                case .rejected(let reason): .rejected(RowError(line: line ?? 1, error: FieldError("change", reason)))
                case .accepted, .duplicate, .conflict, .refused: .unknown("no place is known")
                }
        }
        self.init(
            line: line, id: id, shop: receipt.shop, input: nil, outcome: outcome, durability: receipt.durability)
    }
}

extension Receipt {
    fileprivate init(rejected id: String?, _ error: RowError) {
        self.init(id: id ?? "", shop: "", outcome: .rejected(error.error.description))
    }
}
