public import OrderLog

/// What takes changes for the log: a ``Producer``, or in an application's unit tests a log in memory.
public protocol ChangeSubmitting: Sendable {
    /// Submits a change, and waits for what became of it.
    ///
    /// - Parameters:
    ///   - change: Whose ID makes submitting it again harmless.
    ///   - durability: What makes it accepted; nil for the default.
    /// - Returns: Its receipt.
    /// - Throws: `CancellationError` when it was not handed over.
    func submit(_ change: Change, durability: Durability?) async throws(CancellationError) -> Receipt

    /// Submits changes together, and waits for what became of all of them.
    ///
    /// - Parameters:
    ///   - changes: In the order that they are to have within a shop.
    ///   - durability: What makes them accepted; nil for the default.
    /// - Returns: A receipt for each, in order.
    /// - Throws: `CancellationError` when none of them was handed over.
    func submit(_ changes: [Change], durability: Durability?) async throws(CancellationError) -> [Receipt]

    /// Waits until groups have applied what was submitted: for reading one's own writes.
    ///
    /// - Parameters:
    ///   - receipts: Of changes that are accepted, or duplicates; others are passed over.
    ///   - groups: Whose stores are to have them.
    ///   - limit: How long to wait; nil for the default.
    /// - Throws: ``LogError``; `CancellationError`.
    func wait(for receipts: [Receipt], in groups: [Group], within limit: Duration?) async throws
}

extension ChangeSubmitting {
    /// Submits a change with the default durability.
    public func submit(_ change: Change) async throws(CancellationError) -> Receipt {
        try await submit(change, durability: nil)
    }

    /// Submits changes with the default durability.
    public func submit(_ changes: [Change]) async throws(CancellationError) -> [Receipt] {
        try await submit(changes, durability: nil)
    }
}
