import OrderLog

/// How many entries a lane reads at once: fewer when they are large, so that memory stays bounded.
struct ReadBudget {
    /// What a read should come to, in bytes of the entries' text.
    private static let bytes = 4 << 20
    /// The first read, while nothing is known of the entries.
    private static let firstEntries = 200

    private(set) var entries = ReadBudget.firstEntries

    /// Learns from what was read.
    mutating func note(_ read: [Entry]) {
        guard !read.isEmpty else { return }
        let size = read.reduce(0) { $0 + $1.approximateBytes } / read.count
        entries = min(Limits.readEntriesMax, max(1, Self.bytes / max(1, size)))
    }
}

extension Entry {
    /// The size of the fields that can be large.
    fileprivate var approximateBytes: Int {
        switch content {
        case .change(let change): 200 + change.lines.text.utf8.count + (change.attributes?.utf8.count ?? 0)
        case .unusable(_, let fields): fields.reduce(200) { $0 + $1.name.count + $1.value.count }
        }
    }
}
