import Testing

/// Waits until a condition holds, looking again by and by.
///
/// - Parameters:
///   - limit: How long to wait.
///   - pause: How long between two looks.
///   - what: What should hold, for the failure's message.
///   - condition: The condition; what it throws ends the wait.
/// - Throws: An issue, when the time is up.
func eventually(
    within limit: Duration = .seconds(60), every pause: Duration = .microseconds(500), _ what: Comment,
    _ condition: () throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try !condition() {
        let isInTime = ContinuousClock.now < deadline
        try #require(isInTime, "not within \(limit): \(what)")
        try await Task.sleep(for: pause)
    }
}
