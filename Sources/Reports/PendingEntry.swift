/// An entry that was delivered to a consumer and not acknowledged yet; a line of `pending --json`.
public struct PendingEntry: Sendable, Equatable {
    /// Who has the entry.
    public enum State: String, Sendable, Equatable, CaseIterable, Encodable {
        /// A live worker has it.
        case inFlight = "in-flight"
        /// Its consumer has no live worker.
        case orphaned
        /// It is pending but no longer in the log.
        case lost
    }

    /// The consumer group.
    public var group: String
    /// The partition's number.
    public var partition: Int
    /// The stream ID.
    public var entry: String
    /// The entry's seq; `nil` when the entry is lost or has none.
    public var seq: Int?
    /// The consumer it was last delivered to.
    public var consumer: String
    /// How long ago that was, in milliseconds.
    public var idleMilliseconds: Int
    /// How often it was delivered.
    public var deliveries: Int
    /// The change's ID; `nil` when the entry is lost.
    public var id: String?
    /// The change's type; `nil` when the entry is lost.
    public var type: String?
    /// Who has it.
    public var state: State

    /// Makes an entry.
    package init(
        group: String, partition: Int, entry: String, seq: Int?, consumer: String, idleMilliseconds: Int,
        deliveries: Int, id: String?, type: String?, state: State
    ) {
        self.group = group
        self.partition = partition
        self.entry = entry
        self.seq = seq
        self.consumer = consumer
        self.idleMilliseconds = idleMilliseconds
        self.deliveries = deliveries
        self.id = id
        self.type = type
        self.state = state
    }
}
