/// Which pending entries are wanted with a snapshot.
package struct PendingQuery: Sendable, Equatable {
    /// The group whose entries are shown; `nil` when no group is known yet.
    package var group: String?
    /// Only this partition's entries; `nil` for all.
    package var partition: Int?
    /// The most entries to read, oldest first.
    package var limit: Int

    /// Makes a query.
    package init(group: String?, partition: Int?, limit: Int) {
        self.group = group
        self.partition = partition
        self.limit = limit
    }
}
