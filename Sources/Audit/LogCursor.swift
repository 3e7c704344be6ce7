package import OrderLog
import RedisClient
package import RedisLog

/// A partition's log, looked through in its order for one seq after the other.
///
/// Entries that were added by hand have no place in it, and are passed over.
package struct LogCursor {
    package enum Found {
        case entry(Entry)
        /// The log begins behind it.
        case trimmed
        /// The log has what comes before it or what comes after it, but not this one.
        case missing
    }

    private static let chunk = 1000

    private let log: StreamLog
    private let partition: Partition
    private let partitioning: Partitioning
    private let byHand: Set<EntryID>
    /// Up to here every entry is accounted for: nothing above may be told apart from one that was added by hand.
    private let position: Seq

    private var entries: [Entry] = []
    private var at = 0
    private var from = EntryID.zero
    private var isAtEnd = false
    private var hasBegun = false
    /// The last seq of a gap that was found to be a trimmed beginning.
    private var trimmedThrough = Seq.none
    /// Places that an entry claims which another one had before it.
    private(set) var repeated: [(seq: Seq, id: EntryID)] = []

    package init(
        _ log: StreamLog, _ partition: Partition, _ partitioning: Partitioning, byHand: Set<EntryID>, position: Seq
    ) {
        self.log = log
        self.partition = partition
        self.partitioning = partitioning
        self.byHand = byHand
        self.position = position
    }

    /// Looks for the entry at `seq`, which must be the one after the last that was looked for.
    package mutating func entry(at seq: Seq) async throws -> Found {
        while let entry = try await peek() {
            guard let place = entry.place, !byHand.contains(entry.id), isHome(entry) else {
                at += 1
                continue
            }
            if place.seq == seq {
                at += 1
                hasBegun = true
                return .entry(entry)
            }
            if place.seq < seq {
                repeated.append((place.seq, entry.id))
                at += 1
                continue
            }
            if !hasBegun { return .trimmed }
            if seq <= trimmedThrough { return .trimmed }
            // Trimming may have overtaken this reader, since it read the chunk before.
            let mayBeTrimmed = seq <= position || at == 0
            let first = mayBeTrimmed ? try await log.range(in: partition, from: .zero, limit: 1).first : nil
            guard let first, first.id >= entry.id else {
                if seq <= position { return .missing }
                // Perhaps somebody added it by hand, and no worker has judged it yet.
                at += 1
                continue
            }
            trimmedThrough = place.seq.previous
            return .trimmed
        }
        return hasBegun || seq > position ? .missing : .trimmed
    }

    /// Looks behind the last seq that was looked for, up to the next one that was appended since.
    package mutating func finish(after last: Seq) async throws {
        while let entry = try await peek() {
            if let place = entry.place, !byHand.contains(entry.id), isHome(entry) {
                if place.seq > last { return }
                repeated.append((place.seq, entry.id))
            }
            at += 1
        }
    }

    private func isHome(_ entry: Entry) -> Bool {
        guard case .change(let change) = entry.content else { return true }
        return partitioning.partition(ofShop: change.shop) == partition
    }

    private mutating func peek() async throws -> Entry? {
        if at == entries.count, !isAtEnd {
            entries = try await log.range(in: partition, from: from, limit: Self.chunk)
            at = 0
            isAtEnd = entries.count < Self.chunk
            if let last = entries.last { from = last.id.successor }
        }
        return at < entries.count ? entries[at] : nil
    }
}
