import Faults
package import OrderLog

/// Opens a partition's log after its server was restarted or replaced.
///
/// New file, reserve, compare, open, confirm: a crash anywhere leaves a closed log, or one that the next opener opens again. No
/// two openings share an epoch, and none opens what it didn't compare. What the log lost and the ledger has is put back.
package struct LogOpener {
    package enum Outcome: Hashable, Sendable {
        /// Open, after this many entries that it had lost were put back.
        case opened(healed: Int)
        /// Something moved meanwhile: start over.
        case again
        /// Not yet, and why: try again later.
        case waiting(String)
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
    ///   - takesSuperseded: Whether a server is opened although another was opened since: only on a person's word.
    /// - Returns: How it ended.
    /// - Throws: ``StoreError``; the partition is then closed, or open under an epoch that the row has.
    package func open(
        _ partition: Partition, createsMissing: Bool = false, takesSuperseded: Bool = false
    ) async throws -> Outcome {
        let row = try await ledger.row(of: partition)
        var look = try await log.look(at: partition)
        let state = LogState(look, row: row, identity: identity)
        // A connection may outlive its server's mastership; a new one leads to the server that took its place.
        if !state.isOpen, try await !log.isAuthoritative(for: partition) {
            throw StoreError(.redis, .unavailable, Self.replaced)
        }
        switch state {
        case .open:
            // An opening that ended behind the opening itself: what it healed lies elsewhere than the ledger says.
            guard !row.isConfirmed else { return .opened(healed: 0) }
            return try await confirm(partition, epoch: row.epoch, row, hint: nil) ? .opened(healed: 0) : .again
        case .mismatch(let why): return .halted(why)
        case .superseded where !takesSuperseded: return .halted(Self.superseded(look, row))
        case .missing:
            guard row.position.seq == .none else { return .halted(Self.missing(row)) }
            guard createsMissing else { return .halted("there is no log here. Run: onewrite init") }
        case .closed, .superseded: break
        }
        guard look.isMaster else { return .halted(Self.replica) }
        // New file. Whatever is written from here on must not come behind half a transaction.
        if let reason = try await log.beginNewFile(for: partition) { return .waiting(reason) }

        // What a person has to mend is said before anything is changed; only the comparison below, after the reservation,
        // is one to rely on.
        var measured: Head?
        if let head = look.head {
            let isShut = look.history == nil
            if let difference = try await difference(
                partition, head, row, hint: row.position.entry, measuresLength: isShut)
            {
                return try await isStill(look, row, partition) ? .halted(difference) : .again
            }
            measured = isShut ? head : nil
        }

        // Reserve. From the commit on, no older worker commits anything: the ledger stands still without a lock.
        if let head = look.head, look.history != nil {
            guard try await log.shut(partition, epoch: head.epoch) else { return .again }
        }
        let reserved = try await ledger.reserve(
            partition, row: row, headEpoch: look.head?.epoch, replid: look.replid, owner: owner)
        guard let epoch = reserved else { return .again }
        try Faults.pass(.afterReserve)

        // Compare.
        let frozen = try await ledger.row(of: partition)
        let replid = look.replid
        look = try await log.look(at: partition)
        guard frozen.epoch == epoch, look.replid == replid else { return .again }
        // A later opening may have come between row and look: its epoch must not be taken back.
        let isLater = look.head.map { $0.epoch >= epoch } ?? false
        guard !isLater else { return .again }
        if let head = look.head,
            let difference = try await difference(
                partition, head, frozen, hint: row.position.entry,
                measuresLength: look.history == nil && head != measured)
        {
            return try await isStill(look, frozen, partition) ? .halted(difference) : .again
        }
        try Faults.pass(.afterCompare)

        // Open.
        let admitted = try await ledger.admittedShops(in: partition)
        switch try await heal(partition, from: look, to: frozen.position.seq, epoch: epoch, admitted) {
        case .changed: return .again
        case .orphaned:
            return .halted("the log of partition \(partition) has entries but no head: it was deleted by hand")
        case .opened: break
        }
        try Faults.pass(.afterHeal)

        // Confirm.
        guard try await confirm(partition, epoch: epoch, frozen, hint: row.position.entry) else { return .again }
        let lost = look.head.map { max(0, frozen.position.seq.number - $0.seq.number) } ?? 0
        return .opened(healed: Int(lost))
    }

    // MARK: - Steps

    /// What keeps the log from being opened.
    ///
    /// Log and ledger have another change at the last place that both have; or the log, which must be shut for that,
    /// isn't as long as its seqs say.
    private func difference(
        _ partition: Partition, _ head: Head, _ row: LedgerRow, hint: EntryID?, measuresLength: Bool
    ) async throws -> String? {
        if let fork = try await fork(partition, head, row, hint: hint) { return fork }
        guard measuresLength else { return nil }
        let length = LogLength(log: log, ledger: ledger, partition: partition, partitioning: identity.partitioning)
        return try await length.difference(head)
    }

    private func fork(
        _ partition: Partition, _ head: Head, _ row: LedgerRow, hint: EntryID?
    ) async throws -> String? {
        let common = min(head.seq, row.position.seq)
        // A head that was planted anew stands before the first entry: there is nothing to compare yet.
        guard common > .none, head.first <= head.seq else { return nil }
        let search = EntrySearch(log: log, partition: partition)
        guard let entry = try await search.entry(at: common, hint: hint) else {
            guard common < head.first else {
                return "partition \(partition): the log lacks the entry at seq \(common), which it must still hold"
            }
            return
                "partition \(partition): the log begins with seq \(head.first), since what all groups had applied was "
                + "trimmed, and Postgres is at seq \(row.position.seq): it was restored from an older copy. A copy from which "
                + "it can go on reaches to seq \(head.first) at least"
        }
        let recorded = try await ledger.changeIDs(in: partition, at: [common])
        guard case .change(let change) = entry.content, let id = recorded[common] ?? nil, id != change.id else {
            return nil
        }
        return "partition \(partition): the log forked at or before seq \(common): the log (epoch "
            + "\(head.epoch)) has \(change.id) there, the ledger (epoch \(row.epoch)) has \(id)"
    }

    /// Whether server and ledger are in the lives in which they were read: else what was read in between may be of others.
    private func isStill(_ look: LogLook, _ row: LedgerRow, _ partition: Partition) async throws -> Bool {
        let now = try await log.look(at: partition)
        let epoch = try await ledger.row(of: partition).epoch
        // The seq of a log that is open moves by itself; that of one that is shut only when another opener heals it.
        let isSameHead = look.history == nil ? now.head == look.head : now.head?.epoch == look.head?.epoch
        return now.replid == look.replid && isSameHead && epoch == row.epoch
    }

    /// Appends what the ledger has above the head, in chunks; the log is open after the last.
    private func heal(
        _ partition: Partition, from look: LogLook, to last: Seq, epoch: Epoch, _ admitted: [String]
    ) async throws -> OpenOutcome {
        var seen = look
        while true {
            var lost: [LedgerEntry] = []
            if let head = seen.head, head.seq < last {
                lost = try await ledger.entries(in: partition, after: head.seq, limit: EntrySearch.chunk)
                for (index, entry) in lost.enumerated() where entry.seq.number != head.seq.number + Int64(index) + 1 {
                    lost.removeSubrange(index...)
                    break
                }
                guard !lost.isEmpty else {
                    throw StoreError(
                        .postgres, .malformed,
                        "partition \(partition): the ledger lacks seq \(head.seq.next), although it has \(last)")
                }
            }
            let end = lost.last?.seq ?? last
            let outcome = try await log.open(
                partition, seen: seen, epoch: epoch, identity: identity, admitted: admitted, healing: lost,
                isLast: end >= last)
            guard outcome == .opened, end < last, let head = seen.head else { return outcome }
            seen = LogLook(
                replid: seen.replid, isMaster: true,
                head: Head(
                    epoch: epoch, seq: end, replid: "", partitions: head.partitions, log: head.log, first: head.first))
        }
    }

    /// Re-reads from the log where the healed entries and the position's lie, whether or not this opening healed them.
    ///
    /// Healing always replaces a tail, and a tail is recorded from its beginning on: so the first entry, seen from the
    /// end, that the ledger knows right ends the search, also after a crash in the middle.
    ///
    /// - Returns: false when another opening has begun.
    private func confirm(
        _ partition: Partition, epoch: Epoch, _ row: LedgerRow, hint: EntryID?
    ) async throws -> Bool {
        let last = row.position.seq
        guard last > .none else { return try await ledger.confirm(partition, epoch: epoch, entry: nil) }
        let search = EntrySearch(log: log, partition: partition)
        var entry = try await search.entry(at: last, hint: hint)
        if let found = entry, var beginning = try await firstMoved(partition, back: found) {
            var next = beginning.seq
            while next <= last {
                let entries = try await log.range(in: partition, from: beginning.entry, limit: EntrySearch.chunk)
                var moved: [EntryLocation] = []
                for found in entries {
                    guard let place = found.place, place.seq == next, next <= last else { continue }
                    moved.append(EntryLocation(place: place, entry: found.id))
                    if next == last { entry = found }
                    next = next.next
                }
                guard let end = entries.last else { break }
                guard try await ledger.relocate(partition, epoch: epoch, to: moved) else { return false }
                beginning.entry = end.id.successor
            }
        }
        try Faults.pass(.beforeConfirm)
        return try await ledger.confirm(partition, epoch: epoch, entry: entry?.id)
    }

    /// The first entry of the tail that lies elsewhere in the log than the ledger says; nil when there is none.
    private func firstMoved(_ partition: Partition, back last: Entry) async throws -> (seq: Seq, entry: EntryID)? {
        guard var expected = last.place?.seq else { return nil }
        var first: (seq: Seq, entry: EntryID)?
        var entries = [last]
        while let end = entries.last {
            var found: [EntryLocation] = []
            for entry in entries {
                guard let place = entry.place, place.seq == expected else { continue }
                found.append(EntryLocation(place: place, entry: entry.id))
                expected = expected.previous
                if expected == .none { break }
            }
            let known = try await ledger.locations(in: partition, at: found.map(\.place.seq))
            for location in found {
                guard known[location.place.seq] != location else { return first }
                first = (location.place.seq, location.entry)
            }
            guard expected > .none, let before = end.id.predecessor else { break }
            entries = try await log.lastEntries(in: partition, through: before, limit: EntrySearch.chunk)
        }
        return first
    }

    static let replaced = "this Redis server is no longer the master: the Sentinels name another"
    static let replica = "this Redis server is a replica. Point Onewrite at its master"

    private static func superseded(_ look: LogLook, _ row: LedgerRow) -> String {
        "this Redis server is superseded: its log has epoch \(look.head?.epoch.description ?? "?"), and epoch "
            + "\(row.epoch) was opened on another server (replid \(row.replid.prefix(8))). Point Onewrite at that one; if it is "
            + "gone for good: onewrite open --force"
    }

    private static func missing(_ row: LedgerRow) -> String {
        "there is no log here, although Postgres has applied up to seq \(row.position.seq): Redis lost everything, or this "
            + "is the wrong server. The log is not created anew by itself, since orders would be numbered twice. To make it anew "
            + "from the ledger: onewrite rebuild log"
    }
}
