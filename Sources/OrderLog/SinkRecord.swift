/// What a store keeps of a partition beside its data: how far it is, and who may write.
///
/// The decisions of ``Sink`` are made here; a store reads and writes the record in the same transaction as its data.
public struct SinkRecord: Codable, Hashable, Sendable {
    /// The log's epoch when the partition was last taken over, or a batch was applied.
    public private(set) var epoch: Int64
    /// The seq of the last entry that the store has; 0 before the first.
    public private(set) var seq: Int64
    /// That entry's stream ID, a hint for finding what comes behind it; empty before the first.
    public private(set) var entry: String
    /// Raised each time that the partition is taken over.
    public private(set) var token: Int64
    /// The worker that took it over last.
    public private(set) var owner: String

    /// Takes what a store has kept.
    ///
    /// - Parameters:
    ///   - epoch: As it was kept, and so are the others.
    ///   - seq: The last entry's, 0 before the first.
    ///   - entry: The last entry's stream ID; empty before the first.
    ///   - token: The fencing token.
    ///   - owner: The worker's name.
    public init(epoch: Int64, seq: Int64, entry: String, token: Int64, owner: String) {
        self.epoch = epoch
        self.seq = seq
        self.entry = entry
        self.token = token
        self.owner = owner
    }

    /// Of a partition that the store was never asked for.
    public static let none = SinkRecord(epoch: 0, seq: 0, entry: "", token: 0, owner: "")

    /// Takes the partition over; the record is to be kept when the outcome is ``FenceOutcome/fenced(_:_:)``.
    ///
    /// - Parameters:
    ///   - partition: Which it is.
    ///   - history: The log's.
    ///   - owner: Who takes over.
    /// - Returns: What ``Sink/fence(_:under:owner:)`` returns.
    public mutating func takeOver(
        _ partition: Partition, under history: History, by owner: WorkerName
    ) -> FenceOutcome {
        guard history.epoch.number >= epoch else { return .historyChanged }
        epoch = history.epoch.number
        token += 1
        self.owner = owner.text
        let permit = Permit(partition: partition, history: history, token: Token(token), owner: owner)
        return .fenced(permit, Position(epoch: history.epoch, seq: Seq(max(0, seq)), entry: EntryID(entry)))
    }

    /// Moves the position over a batch; effects and record are to be kept when the outcome is ``ApplyOutcome/applied``.
    ///
    /// - Parameter batch: What is to be applied.
    /// - Returns: What ``Sink/apply(_:)`` returns.
    public mutating func advance(over batch: Batch) -> ApplyOutcome {
        let permit = batch.permit
        guard permit.history.epoch.number == epoch else { return .historyChanged }
        guard permit.token.number == token, permit.owner.text == owner else { return .fenced(by: owner) }
        guard batch.first.number == seq + 1 else { return .positionMoved(to: Seq(max(0, seq))) }
        seq = batch.last.number
        entry = batch.lastEntry?.description ?? ""
        return .applied
    }
}
