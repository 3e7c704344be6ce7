import OrderLog

/// Whether a log is as long as its seqs say.
///
/// Half of an append, executed when the server loads an append-only file, leaves entries whose seqs are given to others,
/// too. The length tells that at once; only when it is not what first and last entry say, the log is walked.
struct LogLength {
    /// As many entries added by hand are told apart; with more, nothing is said.
    private static let byHandMax = 10_000
    private static let namedMax = 5

    let log: any LogPort
    let ledger: any Ledger
    let partition: Partition
    let partitioning: Partitioning

    /// Looks for entries that stand at a place of others, or at one that the head has not given.
    ///
    /// - Parameter head: The head of a log that is shut: nobody appends meanwhile.
    /// - Returns: What is wrong; nil when nothing is.
    /// - Throws: ``StoreError``.
    func difference(_ head: Head) async throws -> String? {
        let extent = try await log.extent(of: partition)
        guard let first = extent.first, let last = extent.last else { return nil }
        if let from = first.place?.seq, last.place?.seq == head.seq,
            Int64(extent.count) == head.seq.number - from.number + 1
        {
            return nil
        }
        let byHand = try await ledger.entriesByHand(in: partition, limit: Self.byHandMax)
        guard byHand.count < Self.byHandMax else { return nil }
        return try await walk(head, byHand)
    }

    private func walk(_ head: Head, _ byHand: Set<EntryID>) async throws -> String? {
        var last = Seq.none
        var doubled: [String] = []
        var count = 0
        var start = EntryID.zero
        while true {
            let entries = try await log.range(in: partition, from: start, limit: EntrySearch.chunk)
            for entry in entries {
                guard let place = entry.place, isOfPartition(entry), !byHand.contains(entry.id) else { continue }
                let isBeyond = place.seq > head.seq || place.epoch > head.epoch
                guard isBeyond || place.seq <= last else {
                    last = place.seq
                    continue
                }
                count += 1
                guard doubled.count < Self.namedMax else { continue }
                let how = isBeyond ? "that the head has not given" : "once more"
                doubled.append("\(entry.id) has seq \(place.seq) \(how)")
            }
            guard let end = entries.last else { break }
            start = end.id.successor
        }
        guard count > 0 else { return nil }
        return "partition \(partition): the log holds \(count) \(count == 1 ? "entry" : "entries") too many up to seq "
            + "\(head.seq) (\(doubled.joined(separator: "; "))\(count > doubled.count ? " …" : "")): half of an append was "
            + "executed when Redis loaded its append-only file, or they were added by hand. Of two with one seq the later, named here, "
            + "stays, and the one before it has to go; so has one that the head has not given"
    }

    private func isOfPartition(_ entry: Entry) -> Bool {
        guard case .change(let change) = entry.content else { return true }
        return partitioning.partition(ofShop: change.shop) == partition
    }
}
