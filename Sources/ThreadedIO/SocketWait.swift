import Glibc

/// What a wait is for.
package enum Interest: Sendable {
    case reading, writing, either
}

/// How a wait ended.
package enum WaitResult: Sendable, Equatable {
    /// The socket can be read or written, or has failed: the next call on it tells.
    case ready
    case timedOut
    case interrupted
}

/// Blocks the calling thread until the socket is ready, the deadline passes, or the interrupt is signalled.
///
/// The thread is a lane's own (``ThreadExecutor``), so that blocking it starves nobody.
///
/// - Parameters:
///   - interest: What to wait for.
///   - descriptor: The socket.
///   - deadline: When to give up.
///   - interrupt: Ends the wait from outside; nil when nothing may.
/// - Returns: ``WaitResult/ready`` wins when several are true.
package func wait(
    for interest: Interest, on descriptor: Int32, until deadline: Deadline, interrupt: Interrupt?
) -> WaitResult {
    poll((descriptor, interest), until: deadline, interrupt: interrupt)
}

/// Blocks the calling thread until one of the sockets can be read, the deadline passes, or the interrupt is signalled.
///
/// - Returns: As ``wait(for:on:until:interrupt:)``.
package func wait(forReadingAnyOf descriptors: [Int32], until deadline: Deadline, interrupt: Interrupt?) -> WaitResult {
    var waits = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    waits.append(pollfd(fd: interrupt?.descriptor ?? -1, events: Int16(POLLIN), revents: 0))
    while true {
        let count = Glibc.poll(&waits, nfds_t(waits.count), deadline.pollMilliseconds)
        if count < 0 && errno == EINTR { continue }
        if waits.dropLast().contains(where: { $0.revents != 0 }) { return .ready }
        return waits.last?.revents == 0 ? .timedOut : .interrupted
    }
}

func poll(_ socket: (descriptor: Int32, interest: Interest)?, until deadline: Deadline, interrupt: Interrupt?)
    -> WaitResult
{
    // poll(2) passes over negative descriptors, so a missing one needs no second code path.
    var waits = (
        pollfd(fd: socket?.descriptor ?? -1, events: socket?.interest.events ?? 0, revents: 0),
        pollfd(fd: interrupt?.descriptor ?? -1, events: Int16(POLLIN), revents: 0)
    )
    while true {
        let count = withUnsafeMutablePointer(to: &waits) { pair in
            pair.withMemoryRebound(to: pollfd.self, capacity: 2) { Glibc.poll($0, 2, deadline.pollMilliseconds) }
        }
        if count < 0 && errno == EINTR { continue }
        if waits.0.revents != 0 { return .ready }
        if waits.1.revents != 0 { return .interrupted }
        return .timedOut
    }
}

extension Interest {
    var events: Int16 {
        switch self {
        case .reading: Int16(POLLIN)
        case .writing: Int16(POLLOUT)
        case .either: Int16(POLLIN | POLLOUT)
        }
    }
}
