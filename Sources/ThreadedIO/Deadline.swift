/// A moment on the monotonic clock after which a wait is over.
///
/// Every wait in Onewrite takes one, so that nothing waits for ever.
package struct Deadline: Sendable, Comparable {
    /// The moment itself.
    package let instant: ContinuousClock.Instant

    package init(_ instant: ContinuousClock.Instant) {
        self.instant = instant
    }

    /// The deadline that lies `duration` from now.
    package static func after(_ duration: Duration) -> Deadline {
        Deadline(.now.advanced(by: duration))
    }

    /// What is left until the deadline; `.zero` once it has passed.
    package var remaining: Duration {
        max(.zero, ContinuousClock.Instant.now.duration(to: instant))
    }

    /// Whether the deadline has passed.
    package var hasPassed: Bool { ContinuousClock.Instant.now >= instant }

    /// The remaining time for `poll(2)`: milliseconds, rounded up so that a wait never ends early.
    var pollMilliseconds: Int32 {
        let (seconds, attoseconds) = remaining.components
        let milliseconds = seconds.multipliedReportingOverflow(by: 1000)
        guard !milliseconds.overflow, milliseconds.partialValue < Int64(Int32.max) - 1000 else { return .max }
        let part = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return Int32(milliseconds.partialValue + part)
    }

    package static func < (left: Deadline, right: Deadline) -> Bool {
        left.instant < right.instant
    }
}
