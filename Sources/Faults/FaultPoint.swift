/// A place at which a test build can be made to fail, stop or lose its connections: `ONEWRITE_FAULT=point:action:nth`.
package enum FaultPoint: String, CaseIterable, Sendable {
    // submit
    case beforeSend, afterSend, afterReply, afterWait
    // worker
    case afterRead, beforeBegin, commitSent, afterCommit, beforeScript, scriptSent, afterScript, beforeAck, ackSent,
        afterAck
    // takeover
    case afterLease, afterFence, afterReclaim
    // open
    case afterReserve, afterCompare, afterHeal, beforeConfirm
}

package enum Faults {
    /// Passes a point; does what the test asked for, if it asked for something here.
    ///
    /// - Parameter point: Which.
    /// - Throws: ``InjectedFault`` for the action `error`.
    @inline(__always)
    package static func pass(_ point: FaultPoint) throws {
        #if DEBUG
        try FaultPlan.current?.pass(point)
        #endif
    }
}

/// The action `error`.
package struct InjectedFault: Error {
    package let point: FaultPoint
}

#if DEBUG
/// What this process was told to do: filled in with the harness.
struct FaultPlan: Sendable {
    static let current: FaultPlan? = nil

    func pass(_ point: FaultPoint) throws {}
}
#endif
