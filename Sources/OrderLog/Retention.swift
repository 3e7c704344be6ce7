/// How much of a log is kept although every group has applied it: whichever rule keeps more.
package struct Retention: Hashable, Sendable {
    /// Entries that were appended so lately.
    package var age: Duration?
    /// So many of the last entries of each partition.
    package var entries: Int?

    /// - Parameters:
    ///   - age: nil for no rule of this kind.
    ///   - entries: nil for no rule of this kind.
    package init(age: Duration? = nil, entries: Int? = nil) {
        self.age = age
        self.entries = entries
    }
}
