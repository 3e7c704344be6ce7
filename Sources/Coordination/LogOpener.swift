package import OrderLog

/// Opens a partition's log after its server was restarted or replaced.
///
/// Reserve, compare, open, confirm: a crash anywhere leaves a closed log, or one that the next opener opens again. No
/// two openings share an epoch, and none opens what it didn't compare.
package struct LogOpener {
    package enum Outcome: Hashable, Sendable {
        case opened
        /// Something moved meanwhile: start over.
        case again
        /// A person has to decide.
        case halted(String)
    }

    private let log: any LogPort
    private let ledger: any Ledger
    private let identity: LogIdentity
    private let owner: WorkerName

    package init(log: any LogPort, ledger: any Ledger, identity: LogIdentity, owner: WorkerName) {
        self.log = log
        self.ledger = ledger
        self.identity = identity
        self.owner = owner
    }

    /// Opens one partition.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - createsMissing: Whether a log that was never there is created: only `init` does.
    /// - Returns: How it ended.
    /// - Throws: ``StoreError``; the partition is then closed, or open under an epoch that the row has.
    package func open(_ partition: Partition, createsMissing: Bool = false) async throws -> Outcome {
        let row = try await ledger.row(of: partition)
        var look = try await log.look(at: partition)
        switch LogState(look, row: row, identity: identity) {
        case .open: return .opened
        case .mismatch(let why): return .halted(why)
        case .superseded: return .halted(Self.superseded(look, row))
        case .missing:
            guard row.position.seq == .none else { return .halted(Self.missing(row)) }
            guard createsMissing else { return .halted("there is no log here. Run: onewrite init") }
        case .closed: break
        }
        guard look.isMaster else { return .halted(Self.replica) }
        // What a person has to mend is said before anything is changed; only the comparison below, after the reservation,
        // is one to rely on.
        if let head = look.head, let difference = try await difference(partition, head, row) {
            return .halted(difference)
        }

        // Reserve. From the commit on, no older worker commits anything: the ledger stands still without a lock.
        if let head = look.head, look.history != nil {
            guard try await log.shut(partition, epoch: head.epoch) else { return .again }
        }
        let reserved = try await ledger.reserve(
            partition, row: row, headEpoch: look.head?.epoch, replid: look.replid, owner: owner)
        guard let epoch = reserved else { return .again }

        // Compare.
        let frozen = try await ledger.row(of: partition)
        let replid = look.replid
        look = try await log.look(at: partition)
        guard frozen.epoch == epoch, look.replid == replid else { return .again }
        if let head = look.head, let difference = try await difference(partition, head, frozen) {
            return .halted(difference)
        }

        // Open.
        switch try await log.open(partition, seen: look, epoch: epoch, identity: identity) {
        case .changed: return .again
        case .orphaned:
            return .halted("the log of partition \(partition) has entries but no head: it was deleted by hand")
        case .opened: break
        }

        // Confirm.
        let last = frozen.position
        let entry =
            last.seq == .none
            ? nil : try await EntrySearch(log: log, partition: partition).entry(at: last.seq, hint: last.entry)?.id
        return try await ledger.confirm(partition, epoch: epoch, entry: entry) ? .opened : .again
    }

    /// What keeps the log from being opened: it lacks what the ledger has, or both have another change at one place.
    private func difference(_ partition: Partition, _ head: Head, _ row: LedgerRow) async throws -> String? {
        let common = min(head.seq, row.position.seq)
        if common > .none {
            let search = EntrySearch(log: log, partition: partition)
            guard let entry = try await search.entry(at: common, hint: row.position.entry) else {
                return "partition \(partition): the log lacks the entry at seq \(common), which it must still hold"
            }
            let recorded = try await ledger.changeIDs(in: partition, at: [common])
            if case .change(let change) = entry.content, let id = recorded[common] ?? nil, id != change.id {
                return "partition \(partition): the log forked at or before seq \(common): the log (epoch "
                    + "\(head.epoch)) has \(change.id) there, the ledger (epoch \(row.epoch)) has \(id)"
            }
        }
        guard head.seq >= row.position.seq else {
            return "partition \(partition): the log ends at seq \(head.seq), but Postgres has applied up to seq "
                + "\(row.position.seq): Redis lost what lay between, as in a power cut or a failover. The "
                + "partition stays closed, so that nothing is skipped; bring back the Redis data that holds them"
        }
        return nil
    }

    static let replica = "this Redis server is a replica. Point Onewrite at its master"

    private static func superseded(_ look: LogLook, _ row: LedgerRow) -> String {
        "this Redis server is superseded: its log has epoch \(look.head?.epoch.description ?? "?"), and epoch "
            + "\(row.epoch) was opened on another server (replid \(row.replid.prefix(8))). Point Onewrite at that one"
    }

    private static func missing(_ row: LedgerRow) -> String {
        "there is no log here, although Postgres has applied up to seq \(row.position.seq): Redis lost everything, or this "
            + "is the wrong server. The log is not created anew, since orders would be numbered twice"
    }
}
