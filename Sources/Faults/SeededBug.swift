#if DEBUG
import Foundation
#endif

/// A mistake that a test build can be told to make, to see that the harness or the simulation catches it.
///
/// One at a time: `ONEWRITE_BUG=<name>` for a process, ``active`` for a task. Release builds have none of it.
package enum SeededBug: String, CaseIterable, Sendable {
    // The session.
    case acknowledgeBeforeApply
    case duplicateBelowOnly
    case failedCommitTrusted
    case gapsJumped
    case reclaimStopsEarly
    case noLookAtHead
    case comparedByEntryID
    // The state of the log.
    case runIDForReplid
    case supersededReopened
    case epochsNotCompared
    // Opening it.
    case oldFileKept
    case reservedAfterOpening
    case reservedWithoutComparing
    case openWithoutComparing
    case epochTakenBack
    case comparedAtLedgersEnd
    case healingSkipsDeadLetters
    case healingStopsShort
    case healedWhileOpen
    case seenNotRebuilt
    // Scripts and statements.
    case appendUnguarded
    case repeatsInCallAccepted
    case seenNotWritten
    case sinkIgnoresHistory
    case sinkIgnoresToken
    case acknowledgesBare
    case postgresIgnoresToken

    #if DEBUG
    /// The bug that is on in this task; nil for none.
    @TaskLocal package static var active: SeededBug? = named(ProcessInfo.processInfo.environment["ONEWRITE_BUG"])

    package var isOn: Bool { Self.active == self }

    private static func named(_ name: String?) -> SeededBug? {
        guard let name else { return nil }
        guard let bug = SeededBug(rawValue: name) else { preconditionFailure("ONEWRITE_BUG: no bug \(name)") }
        return bug
    }
    #else
    @inline(__always)
    package var isOn: Bool { false }
    #endif
}
