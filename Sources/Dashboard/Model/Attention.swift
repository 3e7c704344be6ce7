import Reports

// What needs a person. The dashboard marks it with `!`, and never by colour alone.

/// From this age on an entry isn't simply being worked on: reclaiming takes seconds.
private let oldestAlarmMilliseconds = 30_000

extension Snapshot.Group {
    var isOld: Bool { (oldestPendingMilliseconds ?? 0) >= oldestAlarmMilliseconds }
    var isBehind: Bool { (oldestUnappliedMilliseconds ?? 0) >= oldestAlarmMilliseconds }
    var hasDead: Bool { (dead ?? 0) > 0 }
    var hasNoWorker: Bool { workers?.isEmpty ?? false }
    var needsPerson: Bool {
        isOld || isBehind || hasDead || hasNoWorker || partitions.contains { $0.needsPerson(in: self) }
    }
}

extension Snapshot.Partition {
    /// A partition without a worker is taken over by itself, unless there is nobody to do it.
    func needsPerson(in group: Snapshot.Group) -> Bool {
        switch state {
        case .stalled, .halted, .closed: true
        case .unowned: group.hasNoWorker
        case .serving, nil: false
        }
    }
}

extension PendingEntry {
    /// Orphaned entries are reclaimed by themselves; a lost one is not found again.
    var needsPerson: Bool { state == .lost }
}
