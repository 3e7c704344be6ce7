import CLibpq
package import ThreadedIO

extension PostgresConnection {
    /// Opens a transaction.
    ///
    /// - Parameters:
    ///   - modes: What stands behind BEGIN, such as `ISOLATION LEVEL REPEATABLE READ`; such a transaction sees what was
    ///     committed when this returns.
    ///   - deadline: When to give up.
    /// - Throws: What ``query(_:_:until:)`` throws; the outcome is never unknown.
    package func begin(_ modes: String = "", until deadline: Deadline) throws(PostgresError) {
        precondition(!isInTransaction, "a transaction is open already")
        try command("BEGIN \(modes); \(prelude.sql)", until: deadline)
    }

    /// Rolls back what is open, and stops a statement under way; closes the connection when that fails.
    ///
    /// It passes over the interrupt, and takes at most a few seconds.
    package func rollback() {
        abandon()
        guard isInTransaction else { return }
        do throws(PostgresError) {
            try command("ROLLBACK", isInterruptible: false, until: .after(Self.cancelPatience))
        } catch {
            // The server rolls back what a closed connection leaves open.
            close()
        }
    }

    private func command(
        _ sql: String, isInterruptible: Bool = true, until deadline: Deadline
    ) throws(PostgresError) {
        try start(mayCommit: false, isInterruptible: isInterruptible, until: deadline) { PQsendQuery($0, sql) }
        _ = try finish(until: deadline)
    }
}
