public import OrderLog
public import Reports

/// What is pending, the oldest first.
public struct PendingList: Sendable, Equatable {
    /// The oldest entries, as many as were asked for.
    public let entries: [PendingEntry]
    /// How many there are in all.
    public let total: Int
    /// The groups that are missing in some partition.
    public let missing: [Group]
}
