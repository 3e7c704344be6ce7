package import OrderLog
import Reports

/// Something that went wrong in the stores and that a person has dealt with: a row of the table `incidents`.
public struct Incident: Sendable, Equatable {
    /// In UTC; nil before it is recorded.
    public internal(set) var at: String?
    /// Who dealt with it.
    public let who: String
    /// The group in which it was met and settled, or, of a command that repairs, that command's own word.
    public let kind: String
    /// The partition that it is in.
    public let partition: Int?
    /// The places in it; nil when it is about none.
    public let seqs: SeqRanges?
    /// What went wrong, and what was done.
    public let what: String
    /// Why.
    public let reason: String

    package init(
        at: String?, who: String, kind: String, partition: Int?, seqs: SeqRanges?, what: String, reason: String
    ) {
        (self.at, self.who, self.kind, self.partition) = (at, who, kind, partition)
        (self.seqs, self.what, self.reason) = (seqs, what, reason)
    }

    /// Whether a person settled this place in a group.
    package func settles(_ seq: Int64, in partition: Int, of groups: [Group]) -> Bool {
        self.partition == partition && groups.contains { $0.name == kind } && seqs?.contains(seq) == true
    }
}

extension Incident: Encodable {
    private enum Key: String, CodingKey { case schema, at, who, kind, partition, seqs, what, reason }

    /// Encodes what `--json` prints.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode("onewrite/incident/v1", forKey: .schema)
        try container.encode(at, forKey: .at)
        try container.encode(who, forKey: .who)
        try container.encode(kind, forKey: .kind)
        try container.encode(partition, forKey: .partition)
        try container.encode(seqs?.description, forKey: .seqs)
        try container.encode(what, forKey: .what)
        try container.encode(reason, forKey: .reason)
    }
}
