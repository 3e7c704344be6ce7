package import OrderLog

/// Whom the next read asks, and for how much.
///
/// Most partitions have nothing new most of the time. Those that have work share the whole of a read's budget among
/// them, a few at a time and in turn; the others are asked now and then for a small share, so that none of them waits
/// for long and asking them costs next to nothing. While nobody has work, one read asks everybody, and may wait.
package struct ReadPlan {
    /// A read to be made.
    package struct Read: Equatable {
        package let partitions: [Partition]
        /// The most entries of each.
        package let limit: Int
        /// Whether these are partitions that have work; when not, the others or everybody.
        package let isOfBusy: Bool
        /// A partition that brings so many has work: a small share might not have been all of it.
        fileprivate let worth: Int
    }

    /// How many with work one read asks: few, so that a batch of each is worth its transaction.
    static let busyPerRead = 4
    /// How long the others are left alone, for each of them: asking one costs the server and the lane some 2 µs.
    static let restPerPartition: Duration = .microseconds(100)
    /// How long they are left alone at least: asking them waits for the read that is under way, and so keeps the server and
    /// the lane from working at the same time once, some 2 ms.
    static let restMin: Duration = .milliseconds(50)

    /// Those that have work, the next to be asked first; with whether the last read left some of theirs unread.
    private var busy: [(partition: Partition, isCut: Bool)] = []
    private var othersDue: ContinuousClock.Instant?

    package init() {}

    /// Whether somebody is sure to have more than was read.
    package var hasMore: Bool { busy.contains { $0.isCut } }

    /// Whether somebody is known to have work.
    package var hasBusy: Bool { !busy.isEmpty }

    /// The next read: of those that have work, or of everybody when nobody is known to have any.
    ///
    /// - Parameters:
    ///   - served: Everybody, ascending.
    ///   - budget: What one read may bring.
    ///   - now: The time, to leave those without work alone for a while.
    /// - Returns: A read that brings the budget at most.
    package mutating func next(
        of served: [Partition], within budget: ReadBudget, now: ContinuousClock.Instant
    ) -> Read {
        let share = budget.share(of: served.count)
        guard !busy.isEmpty else { return ask(served, share, now) }
        let asked = busy.prefix(min(Self.busyPerRead, budget.entries)).map(\.partition)
        let limit = budget.entries / asked.count
        return Read(partitions: asked, limit: limit, isOfBusy: true, worth: min(limit, share))
    }

    /// The read, now due, of those that have no work while some have; nil when none is due.
    ///
    /// May be made while the ``next(of:within:now:)`` is under way: they have no partition in common.
    package mutating func others(
        of served: [Partition], within budget: ReadBudget, now: ContinuousClock.Instant
    ) -> Read? {
        guard !busy.isEmpty, othersDue.map({ now >= $0 }) ?? true else { return nil }
        let working = Set(busy.map(\.partition))
        let others = served.filter { !working.contains($0) }
        return others.isEmpty ? nil : ask(others, budget.share(of: served.count), now)
    }

    private mutating func ask(_ partitions: [Partition], _ share: Int, _ now: ContinuousClock.Instant) -> Read {
        othersDue = now.advanced(by: max(Self.restMin, Self.restPerPartition * partitions.count))
        return Read(partitions: partitions, limit: share, isOfBusy: false, worth: share)
    }

    /// Learns what a read has brought.
    ///
    /// - Parameters:
    ///   - read: As it was planned.
    ///   - counts: How many entries a partition had, of those that had any and are still served.
    package mutating func note(_ read: Read, brought counts: [(partition: Partition, count: Int)]) {
        if read.isOfBusy { busy.removeAll { read.partitions.contains($0.partition) } }
        for (partition, count) in counts where count >= read.worth { add(partition, isCut: count >= read.limit) }
    }

    /// Has a partition asked soon, since its log holds more than was read.
    package mutating func expect(_ partition: Partition) { add(partition, isCut: false) }

    /// Forgets a partition that isn't served any more.
    package mutating func forget(_ partition: Partition) { busy.removeAll { $0.partition == partition } }

    private mutating func add(_ partition: Partition, isCut: Bool) {
        guard !busy.contains(where: { $0.partition == partition }) else { return }
        busy.append((partition, isCut))
    }
}
