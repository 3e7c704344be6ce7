package import PrivateServers

/// Why a run could not be brought to its end; what is wrong in the stores is a finding, not an error.
package enum HarnessError: Error, CustomStringConvertible {
    /// A program ended in another way than it should.
    case ended(String, with: ChildProcess.ExitStatus, saying: String)
    /// `onewrite submit` gave another number of receipts than it got changes.
    case receipts(Int, changes: Int)
    /// Something did not come about in time.
    case notInTime(String, within: Duration)

    package var description: String {
        switch self {
        case .ended(let program, let status, let words):
            "\(program) ended with \(status)" + (words.isEmpty ? "" : ": \(words)")
        case .receipts(let receipts, let changes): "onewrite submit gave \(receipts) receipts for \(changes) changes"
        case .notInTime(let what, let limit): "\(what) within \(limit)"
        }
    }
}

/// Waits until a condition holds, looking again every 10 ms.
///
/// - Parameters:
///   - limit: How long to wait.
///   - message: What to say when the time is up, such as `not everything was applied`.
///   - condition: The condition; what it throws ends the wait.
/// - Throws: ``HarnessError/notInTime(_:within:)``; what the condition throws; `CancellationError`.
package func waiting(
    upTo limit: Duration, _ message: String, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw HarnessError.notInTime(message, within: limit) }
        try await Task.sleep(for: .milliseconds(10))
    }
}
