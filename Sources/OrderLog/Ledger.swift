/// What the log's permanent copy tells whoever follows it.
package protocol LedgerPast: AnyObject {
    /// A partition's row.
    func row(of partition: Partition) async throws -> LedgerRow

    /// What the ledger and its dead letters hold behind a place.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - seq: The place.
    ///   - limit: The most entries to return.
    /// - Returns: Entries by seq.
    /// - Throws: ``StoreError``.
    func entries(in partition: Partition, after seq: Seq, limit: Int) async throws -> [LedgerEntry]
}

/// The sink `postgres`: the log's permanent copy, and the record of its epochs.
package protocol Ledger: BuiltInSink, LedgerPast {
    /// Claims the next epoch for a server, and ends every older worker's right to commit.
    ///
    /// The row is not confirmed from here until ``confirm(_:epoch:entry:)``.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - row: The row as it was read: the reservation counts only if its epoch is still that one.
    ///   - headEpoch: The head's epoch; nil without a head.
    ///   - replid: The server that will be opened.
    ///   - owner: Who opens.
    /// - Returns: The new epoch; nil when somebody else was faster.
    /// - Throws: ``StoreError``.
    func reserve(
        _ partition: Partition, row: LedgerRow, headEpoch: Epoch?, replid: String, owner: WorkerName
    ) async throws -> Epoch?

    /// The change IDs that the ledger, or its dead letters, hold at places of a partition.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - seqs: The places.
    /// - Returns: An ID for each place that is accounted for; nil inside for a dead letter whose ID can't be read.
    /// - Throws: ``StoreError``.
    func changeIDs(in partition: Partition, at seqs: [Seq]) async throws -> [Seq: String?]

    /// The entries without a place that were set aside: those that somebody added by hand.
    ///
    /// - Parameters:
    ///   - partition: Where.
    ///   - limit: The most to return.
    /// - Returns: Their IDs, also of those that the log has lost since.
    /// - Throws: ``StoreError``.
    func entriesByHand(in partition: Partition, limit: Int) async throws -> Set<EntryID>

    /// Under which epoch and stream ID the ledger, or its dead letters, know entries.
    func locations(in partition: Partition, at seqs: [Seq]) async throws -> [Seq: EntryLocation]

    /// The partition's shops whose orders are admitted only as far as stock covers them.
    func admittedShops(in partition: Partition) async throws -> [String]

    /// Records where healed entries lie in the log by now.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - epoch: The epoch that was reserved.
    ///   - locations: Re-read from the log.
    /// - Returns: false when the epoch is no longer the row's: nothing was changed.
    /// - Throws: ``StoreError``.
    func relocate(_ partition: Partition, epoch: Epoch, to locations: [EntryLocation]) async throws -> Bool

    /// Ends an opening: the position's entry ID is re-read from the log, since it may be of a lost history.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - epoch: The epoch that was reserved.
    ///   - entry: The ID of the entry at the position; nil before the first.
    /// - Returns: false when the epoch is no longer the row's.
    /// - Throws: ``StoreError``.
    func confirm(_ partition: Partition, epoch: Epoch, entry: EntryID?) async throws -> Bool
}

/// A partition's row in Postgres.
package struct LedgerRow: Hashable, Sendable {
    package let epoch: Epoch
    package let replid: String
    package let position: Position
    package let token: Token
    package let owner: String

    package init(epoch: Epoch, replid: String, position: Position, token: Token, owner: String) {
        self.epoch = epoch
        self.replid = replid
        self.position = position
        self.token = token
        self.owner = owner
    }

    /// Whether the last opening was confirmed: reserving takes the position's entry ID away, and confirming sets it again.
    package var isConfirmed: Bool { position.seq == .none || position.entry != nil }
}
