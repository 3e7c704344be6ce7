import Glibc
import Synchronization

/// Wakes the dashboard's thread: from any thread, and from signal handlers.
///
/// The self-pipe: a signal handler may do next to nothing, but it may write a byte; everything else happens on the thread
/// that reads it. Closed when it is released.
///
/// signal-safety(7): <https://man7.org/linux/man-pages/man7/signal-safety.7.html>
package final class DashboardPipe: Sendable {
    /// What woke the thread.
    package enum Event: Sendable, Equatable {
        /// Somebody called ``wake()``.
        case woken
        /// The process got this signal.
        case signal(Int32)
    }

    private let reading: Int32
    let writing: Int32

    /// Makes a pipe.
    package init() throws(DashboardError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .system(operation: "making a pipe", errno: errno) }
        (reading, writing) = (ends[0], ends[1])
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
    }

    deinit {
        close(reading)
        close(writing)
    }

    /// Ends the present wait, or the next one.
    package func wake() {
        var byte: UInt8 = 0
        // A full pipe (EAGAIN) wakes as well.
        _ = write(writing, &byte, 1)
    }

    /// Waits for an event, or for something to read.
    ///
    /// - Parameters:
    ///   - descriptor: What else to wait on.
    ///   - time: How long to wait; `nil` for as long as it takes.
    /// - Returns: The events, and whether the descriptor can be read (or has hung up).
    /// - Throws: ``DashboardError/system(operation:errno:)``.
    package func wait(
        alsoOn descriptor: Int32, for time: Duration?
    ) throws(DashboardError) -> (events: [Event], isReadable: Bool) {
        var waits = [
            pollfd(fd: reading, events: Int16(POLLIN), revents: 0),
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
        ]
        // Rounded up: poll(2) would spin through the last part of a millisecond.
        let milliseconds = time.map { Int32(min(max(0, $0.milliseconds + 1), 3_600_000)) }
        let ready = poll(&waits, nfds_t(waits.count), milliseconds ?? -1)
        if ready < 0, errno != EINTR { throw .system(operation: "waiting for the terminal", errno: errno) }
        guard ready > 0 else { return ([], false) }
        return (waits[0].revents == 0 ? [] : drain(), waits[1].revents != 0)
    }

    private func drain() -> [Event] {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = read(reading, &bytes, bytes.count)
        guard count > 0 else { return [] }
        return bytes[..<count].map { $0 == 0 ? .woken : .signal(Int32($0)) }
    }
}

/// Sends signals into a ``DashboardPipe`` instead of their usual way, until ``release()``.
///
/// A process has one set of signal handlers, so there can be one catch at a time.
struct SignalCatch {
    /// What ends the process.
    static let ending = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]
    private static let caught = ending + [SIGWINCH, SIGTSTP, SIGCONT]

    private let previous: [(signal: Int32, action: sigaction)]
    private let pipe: DashboardPipe

    /// Catches the signals.
    init(into pipe: DashboardPipe) {
        self.pipe = pipe
        let wasFree = caughtDescriptor.compareExchange(
            expected: -1, desired: pipe.writing, ordering: .sequentiallyConsistent)
        precondition(wasFree.exchanged, "one dashboard a process")
        previous = Self.caught.map { signal in
            var previous = sigaction()
            var action = Self.forwarding
            sigaction(signal, &action, &previous)
            return (signal, previous)
        }
    }

    /// Lets the signals go their usual way again.
    func release() {
        for (signal, action) in previous {
            var action = action
            sigaction(signal, &action, nil)
        }
        caughtDescriptor.store(-1, ordering: .sequentiallyConsistent)
    }

    /// Stops the process as Ctrl-Z does, and comes back when it is continued.
    ///
    /// Where nobody could continue it (an orphaned process group) the system doesn't stop it, and this comes back soon.
    func stopProcess() throws(DashboardError) {
        var standard = sigaction()
        standard.__sigaction_handler.sa_handler = SIG_DFL
        sigaction(SIGTSTP, &standard, nil)
        defer {
            var action = Self.forwarding
            sigaction(SIGTSTP, &action, nil)
        }
        kill(getpid(), SIGTSTP)
        // Any thread may take the signal, a moment from now. SIGCONT wakes the pipe.
        _ = try pipe.wait(alsoOn: -1, for: .milliseconds(500))
    }

    private static var forwarding: sigaction {
        var action = sigaction()
        action.sa_flags = SA_RESTART
        sigemptyset(&action.sa_mask)
        action.__sigaction_handler.sa_handler = { signal in
            let before = errno
            var byte = UInt8(truncatingIfNeeded: signal)
            _ = write(caughtDescriptor.load(ordering: .relaxed), &byte, 1)
            errno = before
        }
        return action
    }
}

/// Where the signal handler writes; no signal, no descriptor.
private let caughtDescriptor = Atomic<Int32>(-1)
