/// What a person wants to have changed; planned first, and done when it is confirmed.
package enum Deed: Sendable, Equatable {
    /// A dead letter is appended again.
    case retry(letter: String)
    /// A dead letter is given up.
    case drop(letter: String, reason: String)
    /// The entry on which a group's sink is stalled is set aside.
    case take(group: String, partition: Int, reason: String)

    /// What a deed would do, or has done.
    package struct Outcome: Sendable, Equatable {
        /// A line each of what would be changed, or was.
        package var lines: [String]
        /// What confirms it; `nil` when there is nothing to confirm: it is refused, or done.
        package var plan: String?

        /// Makes an outcome.
        package init(lines: [String], plan: String? = nil) {
            self.lines = lines
            self.plan = plan
        }
    }
}
