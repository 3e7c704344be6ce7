package import OrderLog

/// Drops from a partition's log what every group has applied and nobody will need again.
///
/// It decides by seq, and the script that drops decides once more: whatever has changed since this looked, nothing goes
/// that a group could still need. An entry's ID is the ledger's, so entries that somebody added by hand mislead nobody.
package struct LogTrim {
    /// What goes, what stays, and why.
    package struct Plan: Sendable, Equatable {
        /// Who holds back what is old enough to go.
        package struct Hold: Sendable, Equatable {
            package let group: Group
            /// The last seq that it has applied; nil where one of its pending entries is in the way.
            package let seq: Seq?
            /// When the first entry that it hasn't applied or acknowledged was appended, in milliseconds since 1970; nil when
            /// the log can't tell.
            package let since: UInt64?
        }

        package let partition: Partition
        package let history: History
        /// The first seq that is there.
        package let first: Seq
        /// The first seq to be kept; ``first`` when nothing goes.
        package let keep: Seq
        package let last: Seq
        /// nil when only the retention keeps what stays.
        package let hold: Hold?
        let standings: [GroupStanding]

        /// How many seqs go.
        package var count: Int { Int(keep.number - first.number) }
    }

    /// What came of looking.
    package enum Look: Sendable {
        case plan(Plan)
        /// Nothing can be dropped now, and why.
        case refused(String)
    }

    /// What came of dropping.
    package struct Outcome: Sendable, Equatable {
        /// Entries that are gone.
        package var dropped = 0
        /// Why less is gone than was planned; nil when all is.
        package var reason: String?

        package init(dropped: Int = 0, reason: String? = nil) {
            self.dropped = dropped
            self.reason = reason
        }
    }

    /// Entries that one call drops: well below a millisecond of the server's only thread.
    package static let sliceEntries = 1000
    /// Places that are looked up in the ledger in one statement.
    private static let placesMax = 100
    /// Entries beside each other among which somebody may have added some by hand.
    private static let probeEntries = 10

    private let log: any TrimmableLog
    private let ledger: any Ledger
    private let identity: LogIdentity
    private let slice: Int

    /// - Parameters:
    ///   - log: Any group's.
    ///   - ledger: Knows how far Postgres is, and where entries lie.
    ///   - identity: The log.
    ///   - slice: Entries that one call drops.
    package init(log: any TrimmableLog, ledger: any Ledger, identity: LogIdentity, slice: Int = Self.sliceEntries) {
        self.log = log
        self.ledger = ledger
        self.identity = identity
        self.slice = slice
    }

    /// Looks what could go.
    ///
    /// - Parameters:
    ///   - partition: Where.
    ///   - retention: What stays all the same.
    ///   - now: Redis's time, in milliseconds since 1970.
    /// - Returns: A plan; it may drop nothing.
    /// - Throws: ``StoreError``.
    package func look(at partition: Partition, keeping retention: Retention, now: UInt64) async throws -> Look {
        // Positions first: whatever moves until the head is read moves on.
        let row = try await ledger.row(of: partition)
        let standings = try await log.standings(in: partition)
        let look = try await log.look(at: partition)
        guard case .open(let history) = LogState(look, row: row, identity: identity), let head = look.head,
            row.isConfirmed
        else { return .refused("its log is not open: a worker of group postgres, or onewrite open, opens it") }
        let beginning = try await log.range(in: partition, from: .zero, limit: Self.probeEntries)
        let first = max(head.first, lowest(beginning, head) ?? head.first)
        let wanted = try await wanted(partition, retention, head, now)
        var (keep, hold) = (max(first, wanted), Plan.Hold?.none)
        // Whoever is behind holds nothing back that is too young to go.
        for standing in standings where wanted > first {
            let applied = standing.seq.map { max($0, standing.began) } ?? row.position.seq
            if applied < keep {
                keep = applied
                let hint = standing.seq == nil ? row.position.entry : standing.entry
                hold = Plan.Hold(
                    group: standing.group, seq: applied, since: try await appended(applied.next, hint, partition))
            }
            guard let pending = standing.oldestPending else { continue }
            let seq = try await place(at: pending, partition, head)
            guard seq < keep else { continue }
            keep = seq
            hold = Plan.Hold(group: standing.group, seq: nil, since: pending.milliseconds)
        }
        return .plan(
            Plan(
                partition: partition, history: history, first: first, keep: max(first, keep), last: head.seq,
                hold: hold,
                standings: standings))
    }

    /// Drops what a plan says, in slices.
    ///
    /// - Parameters:
    ///   - plan: As ``look(at:keeping:now:)`` made it.
    ///   - progress: Takes how many entries are gone, behind each slice.
    /// - Returns: What is gone, and why that is less than was planned.
    /// - Throws: ``StoreError``; what was dropped until then is gone.
    package func run(_ plan: Plan, progress: (Int) async throws -> Void = { _ in }) async throws -> Outcome {
        var outcome = Outcome()
        var places: [Seq] = []
        for number in stride(from: plan.first.number, to: plan.keep.number, by: slice) {
            places.append(Seq(min(number + Int64(slice), plan.keep.number)))
        }
        for start in stride(from: 0, to: places.count, by: Self.placesMax) {
            let some = places[start..<min(start + Self.placesMax, places.count)]
            let locations = try await ledger.locations(in: plan.partition, at: Array(some))
            for seq in some {
                guard let location = locations[seq] else {
                    outcome.reason = "Postgres has no row of seq \(seq)"
                    continue
                }
                switch try await log.trim(
                    plan.partition, before: location, under: plan.history, heeding: plan.standings)
                {
                case .trimmed(let count):
                    outcome.dropped += count
                    outcome.reason = nil
                    try await progress(outcome.dropped)
                // Somebody deleted it; the next one tells where to go on.
                case .elsewhere: outcome.reason = "the log has seq \(seq) elsewhere than Postgres says, or not at all"
                case .held(let group):
                    outcome.reason = "\(group) needs some of it by now"
                    return outcome
                case .historyChanged:
                    outcome.reason = "the log was closed or opened anew meanwhile"
                    return outcome
                }
            }
        }
        return outcome
    }

    /// The first seq that is to be kept whoever has applied it: the last one always is.
    private func wanted(
        _ partition: Partition, _ retention: Retention, _ head: Head, _ now: UInt64
    ) async throws -> Seq {
        var wanted = head.seq
        if let entries = retention.entries {
            wanted = min(wanted, Seq(max(0, head.seq.number - Int64(min(entries, Int(Int32.max))) + 1)))
        }
        if let age = retention.age {
            let milliseconds = UInt64(max(0, Int64(age / .milliseconds(1))))
            let start = EntryID(milliseconds: now - min(now, milliseconds), counter: 0)
            let young = try await log.range(in: partition, from: start, limit: Self.probeEntries)
            if let seq = lowest(young, head) { wanted = min(wanted, seq) }
        }
        return wanted
    }

    /// The lowest seq that the head has given, of entries beside each other.
    private func lowest(_ entries: [Entry], _ head: Head) -> Seq? {
        entries.compactMap { $0.place?.seq }.filter { $0 <= head.seq }.min()
    }

    /// The seq of the entry at an ID, or of the one before it; none when that was added by hand, and so were those before it.
    private func place(at id: EntryID, _ partition: Partition, _ head: Head) async throws -> Seq {
        let entries = try await log.lastEntries(in: partition, through: id, limit: Self.probeEntries)
        return entries.compactMap { $0.place?.seq }.first { $0 <= head.seq } ?? Seq.none
    }

    /// When an entry was appended, which lies behind another one.
    private func appended(_ seq: Seq, _ hint: EntryID?, _ partition: Partition) async throws -> UInt64? {
        let start = hint?.successor ?? .zero
        let entries = try await log.range(in: partition, from: start, limit: Self.probeEntries)
        return entries.first { $0.place?.seq == seq }?.id.milliseconds
    }
}
