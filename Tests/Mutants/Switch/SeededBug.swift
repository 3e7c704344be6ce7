import Foundation

/// A mistake that the sources make when they are told to, once all patches beside this folder are in them.
///
/// One at a time, and one for the whole process: `ONEWRITE_BUG=<name>`.
package enum SeededBug: String, Sendable {
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
    case trimUnchecked
    // What may be sold.
    case availableNotHealed
    case countingUnchecked
    case takenNotCounted
    case switchNotHealed

    /// The bug that is on; nil for none.
    package static let active = named(ProcessInfo.processInfo.environment["ONEWRITE_BUG"])

    package var isOn: Bool { Self.active == self }

    private static func named(_ name: String?) -> SeededBug? {
        guard let name else { return nil }
        guard let bug = SeededBug(rawValue: name) else { preconditionFailure("ONEWRITE_BUG: no bug \(name)") }
        return bug
    }
}
