/// What was asked for can't be: the question has to change.
package struct WrongQuestion: Error, CustomStringConvertible {
    /// What is wrong, for people.
    package let message: String

    package init(_ message: String) { self.message = message }

    package var description: String { message }
}
