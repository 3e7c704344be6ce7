/// What is known of a consumer group: stored with the log, so that all workers and whoever trims agree.
public struct GroupDefinition: Codable, Hashable, Sendable {
    /// Where a group begins that is added to a log.
    public enum Start: String, Codable, Sendable, CaseIterable {
        /// With the log's first change, whatever the log still holds: the ledger has the rest.
        case start
        /// With what is appended from now on.
        case now
    }

    /// A place that a group doesn't have to apply, nor any before it.
    public struct Beginning: Codable, Hashable, Sendable {
        /// The last seq that is skipped; 0 for none.
        public let seq: Int64
        /// That entry's stream ID; a hint.
        public let entry: String

        package init(seq: Int64, entry: String) {
            self.seq = seq
            self.entry = entry
        }
    }

    /// What its sink is: `postgres`, `stock`, `delivery`, or `own` for one that an application brings.
    public let kind: String
    /// Where it begins.
    public let from: Start
    /// Where that is, by partition number; empty for a group that begins at the start.
    public let began: [String: Beginning]

    package init(kind: String, from: Start, began: [String: Beginning] = [:]) {
        self.kind = kind
        self.from = from
        self.began = began
    }

    /// The kind of sinks that applications bring.
    package static let own = "own"

    /// Whether an effect counts exactly once there, in one sentence for people.
    package var guarantee: String {
        kind == Self.own ? "exactly once, if its store keeps the position in the same transaction" : "exactly once"
    }

    /// Where a partition of the group begins.
    package func beginning(of partition: Partition) -> Beginning? { began[partition.description] }
}
