import CThreadedIO
import Glibc

/// Sleeps that end within microseconds of their time, where ``Interrupt`` counts in milliseconds.
///
/// For measuring only: nothing but time ends them.
///
/// prctl(2), `PR_SET_TIMERSLACK`: <https://man7.org/linux/man-pages/man2/PR_SET_TIMERSLACK.2const.html>
package enum FineSleep {
    /// Has the kernel wake the calling thread on time, instead of up to 50 µs later.
    package static func prepareThread() { onewrite_wake_on_time() }

    /// Blocks the calling thread until the moment has come.
    package static func sleep(until moment: ContinuousClock.Instant) {
        while true {
            let left = ContinuousClock.now.duration(to: moment)
            guard left > .zero else { return }
            let (seconds, attoseconds) = left.components
            var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
            nanosleep(&time, nil)
        }
    }
}
