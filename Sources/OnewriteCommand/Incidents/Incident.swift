import Reports
import Dashboard
import OrderLog

/// Something that went wrong in the stores and that a person has dealt with: a row of the table `incidents`.
struct Incident: Sendable, Equatable {
    /// In UTC; nil before it is recorded.
    var at: String?
    let who: String
    /// The group in which it was met and settled, or, of a command that repairs, that command's own word.
    let kind: String
    let partition: Int?
    let seqs: SeqRanges?
    /// What went wrong, and what was done.
    let what: String
    let reason: String

    /// Whether a person settled this place in a group.
    func settles(_ seq: Int64, in partition: Int, of groups: [Group]) -> Bool {
        self.partition == partition && groups.contains { $0.name == kind } && seqs?.contains(seq) == true
    }

    /// `delivery 5:15137-15138 settled by root@db1 at 2026-…: jobs pushed from the ledger (a test's XDEL)`.
    var text: String {
        let place = partition.map { " \($0)" + (seqs.map { ":\($0)" } ?? "") } ?? ""
        return sanitized("\(kind)\(place) by \(who)\(at.map { " at \($0)" } ?? ""): \(what) (\(reason))")
    }
}

extension Incident: Encodable {
    private enum Key: String, CodingKey { case schema, at, who, kind, partition, seqs, what, reason }

    func encode(to encoder: any Encoder) throws {
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
