package import Testing

/// Waits until a condition holds, looking again every 5 ms.
///
/// - Parameters:
///   - limit: How long to wait.
///   - what: What should hold, for the failure's message.
///   - sourceLocation: Where a failure is shown.
///   - condition: The condition; what it throws ends the wait.
/// - Throws: An issue with the description, when the time is up; `CancellationError`.
package func eventually(
    within limit: Duration = .seconds(10), _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        let isInTime = ContinuousClock.now < deadline
        try #require(isInTime, "not within \(limit): \(what)", sourceLocation: sourceLocation)
        try await Task.sleep(for: .milliseconds(5))
    }
}
