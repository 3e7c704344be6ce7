/// Which rows are wanted with a snapshot.
package struct PageQuery: Sendable, Equatable {
    /// The group whose pending entries are shown; `nil` when no group is known yet.
    package var group: String?
    /// Only this partition's entries; `nil` for all.
    package var partition: Int?
    /// The most entries and dead letters to read, oldest first.
    package var limit: Int
    /// Whether dead letters are wanted too.
    package var withDead: Bool

    /// Makes a query.
    package init(group: String?, partition: Int?, limit: Int, withDead: Bool = false) {
        self.group = group
        self.partition = partition
        self.limit = limit
        self.withDead = withDead
    }
}
