import Synchronization

/// How long leases last, and what follows from it.
package struct LeaseTerm: Hashable, Sendable {
    /// The time after which Redis lets a lease go.
    package let duration: Duration

    /// A term of `duration`.
    package init(duration: Duration = .seconds(10)) {
        self.duration = duration
    }

    /// How often a holder renews.
    package var renewal: Duration { duration / 3 }

    /// How long after a renewal was sent its holder still starts applies: a margin before the lease ends.
    package var usable: Duration { duration - duration / 5 }
}

/// A lease that this worker holds, shared by the lane that works under it and the coordinator that renews it.
///
/// It counts from the moment at which the renewal was *sent*, by this process's own clock: the server's can't be
/// shorter. It is for liveness; the sinks' tokens are for safety.
package final class Lease: Sendable {
    private let term: LeaseTerm
    private let renewed: Mutex<ContinuousClock.Instant>

    package init(term: LeaseTerm, sent: ContinuousClock.Instant) {
        self.term = term
        renewed = Mutex(sent)
    }

    /// Notes that a renewal which was sent at `moment` succeeded.
    package func renew(sent moment: ContinuousClock.Instant) {
        renewed.withLock { $0 = max($0, moment) }
    }

    /// Whether an apply may still be started.
    package func isUsable(at now: ContinuousClock.Instant) -> Bool {
        renewed.withLock { $0.duration(to: now) < term.usable }
    }
}
