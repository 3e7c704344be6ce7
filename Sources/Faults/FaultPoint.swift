/// A place at which a test build can be made to fail, stop or lose its connections.
///
/// `ONEWRITE_FAULT=<point>:<action>:<nth>`, several parted by commas, at the nth time that the process passes the point:
///
/// - `kill`, `stop`: the process gets SIGKILL or SIGSTOP.
/// - `error`: the call fails, with ``InjectedFault``.
/// - `delay=<n>ms`: the thread sleeps, for a minute at most.
/// - `droplink`: all connections of the process to servers break.
///
/// `ONEWRITE_FAULT_FORMATS=1-1`: the process knows these formats of a log only, as an older or a newer build would.
///
/// Release builds have none of it.
package enum FaultPoint: String, CaseIterable, Sendable {
    // submit
    case beforeSend, afterSend, afterReply, afterWait
    // worker
    case afterRead
    // worker, sink in Postgres
    case beforeBegin, commitSent, afterCommit
    // worker, sinks in Redis
    case beforeScript, scriptSent, afterScript
    // worker, acknowledging by itself
    case beforeAck, ackSent, afterAck
    // takeover
    case afterLease, afterFence, afterReclaim
    // open
    case afterReserve, afterCompare, afterHeal, beforeConfirm
    // worker, store without code: it has the batch, and the position is not moved
    case batchHandedOver
    // upgrade: Postgres has the migration, Redis not yet
    case afterMigration
}

package enum Faults {
    /// Passes a point; does what the test asked for, if it asked for something here.
    ///
    /// - Parameter point: Which.
    /// - Throws: ``InjectedFault`` for the action `error`. It is treated as a server that is unavailable.
    @inline(__always)
    package static func pass(_ point: FaultPoint) throws(InjectedFault) {
        #if DEBUG
        try FaultPlan.current?.pass(point)
        #endif
    }

    /// The formats of a log that a test wants this process to know; nil for all that it does know.
    @inline(__always)
    package static var formats: ClosedRange<Int>? {
        #if DEBUG
        return FaultPlan.formats
        #else
        return nil
        #endif
    }

    /// Makes a connection known to the action `droplink`.
    ///
    /// - Parameter descriptor: Its socket.
    @inline(__always)
    package static func register(_ descriptor: Int32) {
        #if DEBUG
        FaultPlan.current?.links.add(descriptor)
        #endif
    }

    /// To be called before the socket is closed.
    ///
    /// - Parameter descriptor: The socket.
    @inline(__always)
    package static func unregister(_ descriptor: Int32) {
        #if DEBUG
        FaultPlan.current?.links.remove(descriptor)
        #endif
    }
}

/// The action `error`.
package struct InjectedFault: Error, CustomStringConvertible {
    package let point: FaultPoint

    package var description: String { "a fault was injected at \(point)" }
}
