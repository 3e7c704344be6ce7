/// A dead letter as a line of the dashboard.
package struct DeadLetterLine: Sendable, Equatable {
    /// Its name, `5:118`.
    package var letter: String
    /// How long ago the first group set it aside.
    package var ageMilliseconds: Int
    /// The groups that set it aside.
    package var groups: [String]
    /// Why the first of them did, `invalid` for example; `nil` when nothing says it.
    package var reason: String?
    /// The same for people.
    package var error: String?
    /// Its change's shop, as far as it names one.
    package var shop: String?
    /// Its change's ID, as far as it names one.
    package var id: String?

    /// Makes a line.
    package init(
        letter: String, ageMilliseconds: Int, groups: [String], reason: String?, error: String?, shop: String?,
        id: String?
    ) {
        self.letter = letter
        self.ageMilliseconds = ageMilliseconds
        self.groups = groups
        self.reason = reason
        self.error = error
        self.shop = shop
        self.id = id
    }
}
