/// Gives dead letters up, for a reason that is recorded.
package struct DeadLetterDrop: Sendable {
    package let resolution: Resolution

    /// - Parameters:
    ///   - reason: Why.
    ///   - person: Who.
    package init(_ reason: String, by person: String = Resolution.person) {
        resolution = .dropped(reason, by: person)
    }

    /// Does it, or says what it would do.
    ///
    /// - Parameters:
    ///   - letter: Which.
    ///   - stores: Where it is recorded.
    ///   - acts: Whether to do it.
    /// - Returns: What became of it.
    /// - Throws: The servers' errors: try again.
    package func run(_ letter: DeadLetter, in stores: DeadLetterStores, acts: Bool) throws -> DeadLetterOutcome {
        if let retried = letter.retried { return .refused(.never, "it was \(retried.text)") }
        if letter.isResolved, let dropped = letter.parts.first?.resolution { return .already(dropped) }
        guard acts else { return .planned("to be dropped: \(resolution.reason ?? "")") }
        try stores.record(resolution, of: letter)
        return .done(resolution)
    }
}
