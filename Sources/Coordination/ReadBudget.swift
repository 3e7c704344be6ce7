import OrderLog

/// How many entries a lane reads at once: fewer when they are large, so that memory stays bounded.
package struct ReadBudget {
    /// What a read should come to, in bytes of the entries' text.
    private static let bytes = 4 << 20
    /// The first read, while nothing is known of the entries.
    private static let firstEntries = 200
    /// What is read of each of very many partitions, mostly without any, so that few need another read.
    private static let fewEntries = 16

    /// How many of the last ones' size would come to what a read should.
    private var fitting: Int

    /// The most entries of a read from few partitions.
    package var entries: Int { min(Limits.readEntriesMax, fitting) }

    package init() { fitting = Self.firstEntries }

    /// A budget of so many entries.
    package init(entries: Int) { fitting = max(1, entries) }

    /// The most entries of each, in a read that asks so many partitions.
    package func share(of partitions: Int) -> Int {
        let partitions = max(1, partitions)
        return max(1, min(fitting / partitions, max(Self.fewEntries, entries / partitions)))
    }

    /// Learns from what was read.
    mutating func note(_ read: [Entry]) {
        guard !read.isEmpty else { return }
        let size = read.reduce(0) { $0 + $1.approximateBytes } / read.count
        fitting = max(1, Self.bytes / max(1, size))
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
