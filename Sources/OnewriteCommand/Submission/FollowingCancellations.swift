import ChangeInput
import OrderLog
import RedisLog
import Submission

/// The cancellations that an export has behind their orders: each is sent once its order is in the log as the export has it.
///
/// Else it would give back what was never taken: the lines of an order that the log has with other ones.
final class FollowingCancellations {
    /// How many rows the submitter was given.
    private var added = 0
    /// The number of the last order, and whether it is in the log, once that is known.
    private var last: (number: Int, isThere: Bool?)?
    /// By the numbers of the orders that they follow.
    private var waiting: [Int: InputRow] = [:]
    private var known: [(row: InputRow, isThere: Bool)] = []

    /// Takes a row of the export: an order is sent, and a cancellation kept until its order, the row before it, is known.
    ///
    /// - Parameters:
    ///   - row: Of the export.
    ///   - outcome: What is known of it, from Postgres.
    ///   - submitter: Where it goes.
    func add(_ row: InputRow, known outcome: RowReceipt.Outcome? = nil, to submitter: Submitter) {
        if case .success(let change) = row.result, change.kind == .orderCancelled, let last {
            if let isThere = last.isThere { known.append((row, isThere)) } else { waiting[last.number] = row }
        } else {
            last = (added, nil)
            added += 1
            submitter.add(row, known: outcome)
        }
        sendKnown(to: submitter)
    }

    /// Waits for what is under way, and sends the cancellations that it lets go.
    func finish(_ submitter: Submitter) {
        if !waiting.isEmpty { submitter.settle() }
        // Also those whose orders' receipts came meanwhile, with no row behind them.
        sendKnown(to: submitter)
    }

    /// Learns what became of a row.
    func note(_ receipt: RowReceipt) {
        let isThere: Bool
        switch receipt.outcome {
        case .answered(let result, _, _): isThere = result.isInLog
        case .rejected: isThere = false
        // The submission ends so: all of it is to be submitted again.
        case .unknown, .unsent: return
        }
        if let row = waiting.removeValue(forKey: receipt.number) { known.append((row, isThere)) }
        if receipt.number == last?.number { last?.isThere = isThere }
    }

    private func sendKnown(to submitter: Submitter) {
        while !known.isEmpty {
            let (row, isThere) = known.removeFirst()
            send(isThere ? row : row.rejected(Self.notThere), to: submitter)
        }
    }

    private func send(_ row: InputRow, to submitter: Submitter) {
        added += 1
        submitter.add(row)
    }

    private static let notThere = FieldError(
        "order", "is not in the log as it stands here, so it is not cancelled: look at it with onewrite order")
}
