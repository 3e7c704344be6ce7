package import OrderLog

/// A worker of a group, as one look found it.
package struct Member: Hashable, Sendable {
    package let name: WorkerName
    /// How long ago its heart beat, by Redis's clock.
    package let silence: Duration
    /// Who subscribes to its channel: itself, while its process lives.
    package let subscribers: Int

    package init(name: WorkerName, silence: Duration, subscribers: Int) {
        self.name = name
        self.silence = silence
        self.subscribers = subscribers
    }
}

/// Tells which workers are there and which are gone, from looks at the members in turn.
///
/// A worker is gone when nobody subscribed to its channel in two looks that lie ``interval`` apart: its connections
/// ended with its process. This may be wrong, and safety doesn't rest on it.
package struct PresenceWatch: Sendable {
    /// How far two looks lie apart before a silent worker counts as gone.
    package static let interval: Duration = .milliseconds(100)

    /// How much longer for each member: a look costs Redis some 3 µs a member, and all members look.
    private static let intervalPerMember: Duration = .milliseconds(5)

    /// How long to wait from one look to the next, of so many members; a heartbeat has a look of its own anyway.
    package static func interval(of members: Int) -> Duration { max(interval, intervalPerMember * members) }

    private var unsubscribedSince: [WorkerName: ContinuousClock.Instant] = [:]
    private var graceUntil: ContinuousClock.Instant?

    package init() {}

    /// Counts nobody as gone until `moment`: after a restart of the server all subscriptions are gone, and come back.
    package mutating func grace(until moment: ContinuousClock.Instant) {
        graceUntil = moment
        unsubscribedSince = [:]
    }

    /// Takes a look in.
    ///
    /// - Parameters:
    ///   - members: Everybody who is registered.
    ///   - now: The moment of the look.
    ///   - patience: The silence after which even a subscribed worker counts as stuck.
    /// - Returns: Who is there to share partitions with, and who is gone.
    package mutating func observe(
        _ members: [Member], now: ContinuousClock.Instant, patience: Duration
    ) -> (present: [WorkerName], gone: Set<WorkerName>) {
        let isGrace = graceUntil.map { now < $0 } ?? false
        var since: [WorkerName: ContinuousClock.Instant] = [:]
        var gone: Set<WorkerName> = []
        var present: [WorkerName] = []
        for member in members {
            if member.subscribers == 0 && !isGrace {
                let first = unsubscribedSince[member.name] ?? now
                since[member.name] = first
                if first.duration(to: now) >= Self.interval { gone.insert(member.name) }
            }
            if !gone.contains(member.name) && member.silence < patience { present.append(member.name) }
        }
        unsubscribedSince = since
        return (present.sorted(), gone)
    }
}
