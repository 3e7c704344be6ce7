import CThreadedIO
import Glibc

/// Wakes a thread that waits on a socket, from any other thread.
///
/// A signal stays up until ``clear()``: one that comes before the wait is not lost. Safe from every thread and from a
/// cancellation handler, since it is one write to an eventfd.
///
/// eventfd(2): <https://man7.org/linux/man-pages/man2/eventfd.2.html>
package final class Interrupt: Sendable {
    let descriptor: Int32

    /// Makes an interrupt that is not signalled.
    ///
    /// Running out of descriptors here is fatal: without it nothing could be stopped.
    package init() {
        descriptor = onewrite_eventfd()
        precondition(descriptor >= 0, "no file descriptor left for an eventfd (errno \(errno))")
    }

    deinit {
        close(descriptor)
    }

    /// Ends the present wait, and every later one, until ``clear()``.
    package func signal() {
        var one: UInt64 = 1
        // A full counter (EAGAIN) is signalled already.
        _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// Takes the signal down.
    package func clear() {
        var count: UInt64 = 0
        // Nothing to read (EAGAIN) means that it was down already.
        _ = read(descriptor, &count, MemoryLayout<UInt64>.size)
    }

    /// Whether the signal is up.
    package var isSignalled: Bool {
        wait(until: Deadline(.now)) == .interrupted
    }

    /// Sleeps until the deadline, or until somebody signals.
    ///
    /// - Returns: ``WaitResult/timedOut`` or ``WaitResult/interrupted``.
    @discardableResult
    package func wait(until deadline: Deadline) -> WaitResult {
        poll(nil, until: deadline, interrupt: self)
    }
}
