package import OrderLog
package import RedisClient
package import RedisLog
import ThreadedIO

/// Finds when entries were appended: the milliseconds of their stream IDs, which Redis's clock gave them.
///
/// One round trip for all of them, as a rule: each lies behind the entry that its sink applied last. Where it doesn't (the
/// stored ID is of a history that was lost, or somebody added entries by hand), the log is searched by halves.
package struct AppendTimes {
    /// An entry to find.
    package struct Wanted: Hashable {
        package let partition: Partition
        package let seq: Seq
    }

    /// Entries that are searched for at a time; a search takes up to 64 round trips, for all of them together.
    private static let searchesMax = 64
    /// Entries that a probe reads: some may have been added by hand.
    private static let probeEntries = 3

    package let redis: RedisConnection
    package let keys: Keys

    /// Finds entries by their seq.
    ///
    /// - Parameters:
    ///   - wanted: Each with the ID of the entry before it: a hint.
    ///   - heads: The last seq of each partition.
    /// - Returns: Milliseconds since 1970; what the log doesn't hold is left out.
    /// - Throws: `RedisError`.
    package func find(_ wanted: [Wanted: EntryID], heads: [Seq]) throws(RedisError) -> [Wanted: UInt64] {
        var found: [Wanted: UInt64] = [:]
        let hinted = Array(wanted)
        let next = try probe(hinted.map { ($0.key.partition, $0.value.successor) }, entries: Self.probeEntries)
        for (wanted, entries) in zip(hinted.map(\.key), next) {
            found[wanted] = entries?.first { $0.seq == wanted.seq }?.id.milliseconds
        }
        let missing = hinted.map(\.key).filter { found[$0] == nil }
        var searches = missing.prefix(Self.searchesMax).map { Search($0, head: heads[$0.partition.number]) }
        while searches.contains(where: { !$0.isDone }) {
            let open = searches.indices.filter { !searches[$0].isDone }
            let probes = try probe(
                open.map { (searches[$0].wanted.partition, searches[$0].middle) }, entries: Self.probeEntries)
            for (index, entries) in zip(open, probes) { searches[index].note(entries) }
        }
        for search in searches { found[search.wanted] = search.found?.milliseconds }
        return found
    }

    /// An entry of the log: by whom it was written it doesn't say.
    package struct Probed {
        package let id: EntryID
        /// nil when it has none, and so was added by hand.
        package let seq: Seq?

        /// Decodes an entry of XRANGE; nil when it is something else.
        package init?(_ reply: RedisReply) {
            guard reply.count == 2, let id = reply[0].string.flatMap({ EntryID($0) }) else { return nil }
            self.id = id
            seq = EntryFields(ofEntry: reply).seq.map { Seq(Int64($0)) }
        }
    }

    /// The first entries from an ID on, each time; nil where the key can't be read.
    private func probe(_ places: [(Partition, EntryID)], entries: Int) throws(RedisError) -> [[Probed]?] {
        guard !places.isEmpty else { return [] }
        let replies = try redis.pipeline(
            places.map { RedisCommand("XRANGE", keys.log($0), $1.description, "+", "COUNT", entries) },
            until: .after(SnapshotReader.timeout))
        return replies.map { $0.error == nil ? $0.elements.compactMap(Probed.init) : nil }
    }

    /// A search by halves: seqs rise with IDs.
    private struct Search {
        let wanted: Wanted
        private let head: Seq
        /// The first entry from here on has the seq, or a lower one.
        private var low: UInt64 = 0
        /// The first entry from here on has a higher seq.
        private var high = UInt64.max
        private(set) var found: EntryID?
        private(set) var isDone = false

        /// IDs as one number: 22 bits of counter below the milliseconds, enough for years to come.
        private static let counterBits: UInt64 = 22

        init(_ wanted: Wanted, head: Seq) {
            self.wanted = wanted
            self.head = head
        }

        private var place: UInt64 { low + (high - low) / 2 }

        var middle: EntryID {
            EntryID(milliseconds: place >> Self.counterBits, counter: place & ((1 << Self.counterBits) - 1))
        }

        mutating func note(_ entries: [Probed]?) {
            let real = entries?.first { $0.seq.map { $0 <= head } ?? false }
            guard let entries, entries.isEmpty || real != nil else {
                // Nothing but entries that were added by hand, or no log.
                isDone = true
                return
            }
            if let real, let seq = real.seq, seq <= wanted.seq {
                if seq == wanted.seq { found = real.id }
                low = place
            } else {
                high = place
            }
            isDone = found != nil || high - low <= 1
        }
    }
}
