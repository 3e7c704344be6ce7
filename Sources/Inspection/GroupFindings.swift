import Coordination
package import OrderLog
import RedisClient
package import Reports

/// All that was found about one group.
package struct GroupFindings {
    package let group: Group
    package let workforce: Workforce
    package let sinks: [SinkLook]
    package let heads: [HeadLook]
    package let shown: Snapshot.Group
    /// How many entries are pending for consumers without a live worker.
    package let orphaned: Int

    package init(
        _ group: Group, _ workforce: Workforce, _ sinks: [SinkLook], _ heads: [HeadLook], identity: LogIdentity,
        ledger: LedgerLook, appendTimes: [AppendTimes.Wanted: UInt64], appendPerSecond: Double?, now: Int
    ) {
        self.group = group
        self.workforce = workforce
        self.sinks = sinks
        self.heads = heads
        let partitions = zip(sinks, heads).map { sink, head in
            Self.partition(group, sink, head, workforce, identity, ledger, now)
        }
        orphaned = sinks.flatMap { $0.pending?.consumers ?? [] }.filter { !workforce.contains($0.name) }
            .reduce(0) { $0 + $1.count }
        shown = Snapshot.Group(
            name: group.name, lag: Self.sum(partitions.map(\.lag)), pending: Self.sum(partitions.map(\.pending)),
            oldestPendingMilliseconds: Self.oldest(sinks).map { max(0, now - Int(clamping: $0.milliseconds)) },
            oldestUnappliedMilliseconds: Self.oldestUnapplied(sinks, heads, appendTimes)
                .map { max(0, now - Int(clamping: $0)) },
            dead: Self.sum(sinks.map(\.dead)), refused: Self.sum(sinks.map(\.refused)),
            appendPerSecond: appendPerSecond,
            appliedPerSecond: workforce.appliedPerSecond(at: now), workers: workforce.names, partitions: partitions)
    }

    /// The sum of what is all known; nil where a part is not.
    package static func sum(_ numbers: [Int?]) -> Int? {
        numbers.reduce(0 as Int?) { sum, number in sum.flatMap { sum in number.map { sum + $0 } } }
    }

    /// The pending entry that was appended first.
    ///
    /// Its age counts from there, by its stream ID: an entry that is delivered again and again doesn't look young.
    private static func oldest(_ sinks: [SinkLook]) -> EntryID? {
        guard sinks.allSatisfy({ $0.pending != nil }) else { return nil }
        return sinks.compactMap { $0.pending?.oldest }.min()
    }

    /// When the entry that was appended first, of those that aren't applied, was appended.
    private static func oldestUnapplied(
        _ sinks: [SinkLook], _ heads: [HeadLook], _ times: [AppendTimes.Wanted: UInt64]
    ) -> UInt64? {
        guard zip(sinks, heads).allSatisfy({ $0.position != nil && $1.look?.head != nil }) else { return nil }
        let next = zip(sinks, heads).compactMap { $0.next(before: $1) }
        let known = next.compactMap { times[$0] }
        return known.count == next.count ? known.min() : nil
    }

    private static func partition(
        _ group: Group, _ sink: SinkLook, _ head: HeadLook, _ workforce: Workforce, _ identity: LogIdentity,
        _ ledger: LedgerLook, _ now: Int
    ) -> Snapshot.Partition {
        let seq = head.look?.head.map { Int($0.seq.number) }
        let (state, error) = state(group, sink, head, workforce, identity, ledger, now)
        return Snapshot.Partition(
            partition: sink.partition, epoch: head.look?.head.map { Int($0.epoch.number) }, head: seq,
            position: sink.position, lag: seq.flatMap { seq in sink.position.map { max(0, seq - $0) } },
            pending: sink.pending?.count, owner: sink.owner, token: sink.token, refused: sink.refused, state: state,
            error: error)
    }

    private static func state(
        _ group: Group, _ sink: SinkLook, _ head: HeadLook, _ workforce: Workforce, _ identity: LogIdentity,
        _ ledger: LedgerLook, _ now: Int
    ) -> (Snapshot.Partition.State?, String?) {
        let report = workforce.report(of: sink.partition, heldBy: sink.owner)
        if let report, report.state == .halted { return (.halted, report.error) }
        guard let look = head.look else { return (nil, head.trouble?.description) }
        switch LogState(look, row: ledger.row(sink.partition)?.ledger, identity: identity) {
        case .open: break
        case .closed:
            // Who opens it knows best what it waits for.
            if group == .postgres, let report, report.state == .stalled { return (.closed, report.error) }
            let reason =
                look.isMaster
                ? "Redis was restarted or replaced since the log was opened" : "this Redis is a replica, not the master"
            return (.closed, reason)
        case .superseded: return (.closed, "this Redis is an old master: another one was opened since")
        case .missing: return (.closed, "there is no log in this partition")
        case .mismatch(let reason): return (.closed, reason)
        }
        if let owner = sink.owner, let silence = workforce.silence(of: owner, at: now) {
            return (nil, "\(owner) holds it, and was last heard of \(silence / 1000) s ago")
        }
        if let report, report.state == .stalled { return (.stalled, report.error) }
        return (sink.owner.map(workforce.contains) == true ? .serving : .unowned, nil)
    }
}
