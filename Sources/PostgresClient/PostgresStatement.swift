/// A statement that each connection prepares once and then executes by name.
///
/// SQL with `$1` … for its parameters. Their types are Postgres's to infer: write `$1::text[]` where it can't.
package struct PostgresStatement: Sendable {
    /// What tells it apart from the other statements of a connection, at most 63 bytes.
    package let name: String
    /// One statement, never built from anybody's input.
    package let sql: String

    package init(name: String, sql: String) {
        precondition(!name.isEmpty && name.utf8.count < 64, "Postgres keeps 63 bytes of a name")
        self.name = name
        self.sql = sql
    }

    /// A table's, column's or schema's name, quoted for use within SQL.
    package static func quoted(identifier: String) -> String {
        "\"" + identifier.replacing("\"", with: "\"\"") + "\""
    }
}
