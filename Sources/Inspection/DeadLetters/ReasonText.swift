/// A person's own words for what is done.
package enum ReasonText {
    /// Longer ones are no reason, but a document.
    package static let bytesMax = 1000

    /// Whether a text says something, and can be recorded.
    ///
    /// - Parameter text: What somebody wrote.
    /// - Returns: Whether it is 1 to ``bytesMax`` bytes, not blank, and without NUL.
    package static func isUsable(_ text: String) -> Bool {
        !text.allSatisfy(\.isWhitespace) && text.utf8.count <= bytesMax && !text.utf8.contains(0)
    }
}
