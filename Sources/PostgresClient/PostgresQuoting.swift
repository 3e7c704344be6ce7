/// Names and texts within SQL.
package enum PostgresQuoting {
    /// A table's, column's or schema's name, quoted for use within SQL.
    package static func quoted(identifier: String) -> String {
        "\"" + identifier.replacing("\"", with: "\"\"") + "\""
    }

    /// A text, quoted for use within SQL where no parameter can be, whatever `standard_conforming_strings` is.
    package static func quoted(literal: String) -> String {
        let doubled = literal.replacing("'", with: "''")
        return doubled.contains("\\") ? " E'\(doubled.replacing("\\", with: "\\\\"))'" : "'\(doubled)'"
    }
}
