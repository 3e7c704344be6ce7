import ChangeInput
public import OrderLog
import RedisLog
package import Submission

/// What became of one change that was submitted: the values of a receipt `onewrite/submit/v1`.
public struct Receipt: Sendable, Hashable {
    /// What became of it.
    public enum Outcome: Sendable, Hashable {
        /// It is in the log, as durable as wanted.
        case accepted
        /// It was in the log already, with this payload.
        case duplicate
        /// Its ID is in the log with another payload.
        case conflict
        /// Admission is on for its shop, and stock doesn't cover the order: it is not in the log. What it lacks; later it may be
        /// accepted.
        case refused([Shortage])
        /// It can't be taken as it is.
        case rejected(String)
        /// It was sent, and may be in the log, or is there and not as durable as wanted: submit the same again.
        case unknown(String)
        /// It is not in the log: submit the same again.
        case unsent(String)
    }

    /// The change's.
    public let id: String
    /// The change's.
    public let shop: String
    /// What became of it.
    public let outcome: Outcome
    /// Where the log has it; nil unless the log answered.
    public let partition: Partition?
    /// The log's when it answered; nil unless it did.
    public let epoch: Epoch?
    /// Its place; nil unless the log answered.
    public let seq: Seq?
    /// The stream's ID of it; nil unless the log answered.
    public let entry: EntryID?
    /// The last place that the log had when it was refused.
    package let after: Seq?
    /// What it has reached; nil when no more was asked for than the server's answer.
    public let durability: Durability?

    package init(_ row: RowReceipt, of change: Change) {
        (id, shop) = (change.id, change.shop)
        guard case .answered(let result, let partition, let epoch) = row.outcome else {
            (self.partition, self.epoch, seq, entry, after, durability) = (nil, nil, nil, nil, nil, nil)
            outcome =
                switch row.outcome {
                case .rejected(let error): .rejected(error.error.description)
                case .unknown(let reason): .unknown(reason)
                case .unsent(let reason): .unsent(reason)
                case .answered: preconditionFailure("looked at above")
                }
            return
        }
        (self.partition, self.epoch) = (partition, epoch)
        let isRefused = result.outcome == .refused
        (seq, entry, after) = isRefused ? (nil, nil, result.seq) : (result.seq, result.entry, nil)
        switch result.outcome {
        case .accepted: outcome = .accepted
        case .duplicate: outcome = .duplicate
        case .conflict: outcome = .conflict
        case .refused: outcome = .refused(result.shortages)
        }
        durability = result.isInLog ? row.durability : nil
    }

    package init(unsent change: Change, _ reason: String) {
        self.init(id: change.id, shop: change.shop, outcome: .unsent(reason))
    }

    /// Of a change that the log has not answered about.
    init(id: String, shop: String, outcome: Outcome) {
        (self.id, self.shop, self.outcome) = (id, shop, outcome)
        (partition, epoch, seq, entry, after, durability) = (nil, nil, nil, nil, nil, nil)
    }

    /// Of a change that the log has answered about.
    package init(
        _ outcome: Outcome, of change: Change, partition: Partition, epoch: Epoch, seq: Seq, entry: EntryID,
        durability: Durability?
    ) {
        (id, shop, self.outcome) = (change.id, change.shop, outcome)
        (self.partition, self.epoch, self.seq, self.entry, after) = (partition, epoch, seq, entry, nil)
        self.durability = durability
    }

    /// Of a change that may be in the log.
    package init(unknown change: Change, _ reason: String) {
        self.init(id: change.id, shop: change.shop, outcome: .unknown(reason))
    }
}
