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

    /// What its sink is: `postgres`, `stock` or `delivery` for the built-in groups; for others a kind that needs no code, such
    /// as `webhook`, or `own` for one that an application brings.
    public let kind: String
    /// Where it begins.
    public let from: Start
    /// Where that is, by partition number; empty for a group that begins at the start.
    public let began: [String: Beginning]
    /// What its kind was told, by name; no secret is among them.
    public let settings: [String: String]

    package init(
        kind: String, from: Start, began: [String: Beginning] = [:], settings: [String: String] = [:]
    ) {
        self.kind = kind
        self.from = from
        self.began = began
        self.settings = settings
    }

    /// Reads a record; one that was written before there were kinds has no settings.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        kind = try container.decode(String.self, forKey: .kind)
        from = try container.decode(Start.self, forKey: .from)
        began = try container.decode([String: Beginning].self, forKey: .began)
        settings = try container.decodeIfPresent([String: String].self, forKey: .settings) ?? [:]
    }

    /// The kind of group `delivery` while it is led to another store: nobody serves it.
    package static let changing = "changing"
    /// The kind of sinks that applications bring.
    package static let own = "own"

    /// Where a partition of the group begins.
    package func beginning(of partition: Partition) -> Beginning? { began[partition.description] }
}
