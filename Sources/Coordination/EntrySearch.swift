import OrderLog

/// Finds entries by their seq.
///
/// Stored stream IDs are tried first, and trusted only when the entry there has that seq.
struct EntrySearch {
    static let chunk = 500

    let log: any LogPort
    let partition: Partition

    /// The ID behind which the entries above a position lie.
    ///
    /// The position's own entry when the log still has it there; otherwise the log's beginning.
    func start(behind position: Position) async throws -> EntryID {
        guard let hint = position.entry, position.seq > .none else { return .zero }
        let found = try await log.range(in: partition, from: hint, limit: 1).first
        return found?.id == hint && found?.place?.seq == position.seq ? hint.successor : .zero
    }

    /// The entry at a seq, wherever it is; nil when the log doesn't hold it.
    ///
    /// Tries the hint, then walks back from the log's end.
    func entry(at seq: Seq, hint: EntryID?) async throws -> Entry? {
        if let hint {
            let found = try await log.range(in: partition, from: hint, limit: 1).first
            if found?.id == hint && found?.place?.seq == seq { return found }
        }
        var end: EntryID?
        while true {
            let entries = try await log.lastEntries(in: partition, through: end, limit: Self.chunk)
            if let found = entries.first(where: { $0.place?.seq == seq }) { return found }
            // One entry that claims a lower seq may have been added by hand; a whole chunk of them is the log's own.
            let seqs = entries.compactMap { $0.place?.seq }
            if seqs.count == Self.chunk && seqs.allSatisfy({ $0 < seq }) { return nil }
            guard let last = entries.last, let before = last.id.predecessor else { return nil }
            end = before
        }
    }
}
