import CLibpq
package import ThreadedIO

extension PostgresConnection {
    /// Does several statements as one: all of them are committed, or none.
    ///
    /// The interrupt stops the statements of `body`, but not COMMIT once they are done. COMMIT is answered within
    /// ``PostgresConfiguration/commitTimeout``; when it isn't, or the connection is lost meanwhile, the error's
    /// ``PostgresError/outcomeIsUnknown`` is true, and only reading again tells. After any other error it is rolled back.
    ///
    /// - Parameters:
    ///   - deadline: When BEGIN must be done and COMMIT be sent; `body` passes its own deadlines.
    ///   - body: The statements. What it throws rolls back, and is thrown on.
    /// - Returns: What `body` returned.
    /// - Throws: What `body` throws, or why it could not be begun or committed.
    ///
    /// Postgres: <https://www.postgresql.org/docs/15/sql-begin.html>
    package func transaction<Result>(
        until deadline: Deadline, _ body: (PostgresConnection) throws -> Result
    ) throws -> Result {
        try begin(until: deadline)
        do {
            let result = try body(self)
            guard !deadline.hasPassed else { throw PostgresError.timedOut(outcomeIsUnknown: false) }
            try commit(until: .after(configuration.commitTimeout))
            return result
        } catch {
            rollback()
            throw error
        }
    }

    /// Opens a transaction.
    ///
    /// - Parameter deadline: When to give up.
    /// - Throws: What ``query(_:_:until:)`` throws; the outcome is never unknown.
    package func begin(until deadline: Deadline) throws(PostgresError) {
        precondition(!isInTransaction, "a transaction is open already")
        try command("BEGIN", mayCommit: false, until: deadline)
    }

    /// Commits the transaction.
    ///
    /// It passes over the interrupt: what was sent is read to its end.
    ///
    /// - Parameter deadline: When to give up on the answer; the connection is then closed, and the outcome unknown.
    /// - Throws: ``PostgresError/rolledBack`` when a statement in it had failed.
    package func commit(until deadline: Deadline) throws(PostgresError) {
        let answer = try command("COMMIT", mayCommit: true, isInterruptible: false, until: deadline)
        // COMMIT of a failed transaction succeeds as ROLLBACK.
        guard answer.commandTag == "COMMIT" else { throw .rolledBack }
    }

    /// Rolls back what is open, and stops a statement under way; closes the connection when that fails.
    ///
    /// It passes over the interrupt, and takes at most a few seconds.
    package func rollback() {
        abandon()
        guard isInTransaction else { return }
        do throws(PostgresError) {
            try command("ROLLBACK", mayCommit: false, isInterruptible: false, until: .after(Self.cancelPatience))
        } catch {
            // The server rolls back what a closed connection leaves open.
            close()
        }
    }

    @discardableResult
    private func command(
        _ sql: String, mayCommit: Bool, isInterruptible: Bool = true, until deadline: Deadline
    ) throws(PostgresError) -> PostgresRows {
        try start(mayCommit: mayCommit, isInterruptible: isInterruptible, until: deadline) { PQsendQuery($0, sql) }
        return try receive(until: deadline)
    }
}
