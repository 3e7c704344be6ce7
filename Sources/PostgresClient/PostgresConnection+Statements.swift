import CLibpq
package import ThreadedIO

extension PostgresConnection {
    /// Executes one statement.
    ///
    /// Outside a transaction it commits by itself; when the connection is lost meanwhile the outcome is unknown.
    ///
    /// - Parameters:
    ///   - sql: One statement, with `$1` … for the parameters.
    ///   - parameters: At most 65 535.
    ///   - deadline: When to have it cancelled.
    /// - Returns: Its rows, or how many it changed.
    /// - Throws: ``PostgresError/server(_:)`` for a refusal; the connection stays usable then, and after a confirmed cancelling.
    ///
    /// libpq: <https://www.postgresql.org/docs/15/libpq-async.html#LIBPQ-PQSENDQUERYPARAMS>
    @discardableResult
    package func query(
        _ sql: String, _ parameters: [PostgresValue] = [], until deadline: Deadline
    ) throws(PostgresError) -> PostgresRows {
        try send(sql, parameters, until: deadline)
        return try receive(until: deadline)
    }

    /// Makes the statement known to this connection, so that its first execution needs no round trip more.
    ///
    /// - Parameters:
    ///   - statement: Does nothing when it is known already.
    ///   - deadline: When to give up.
    /// - Throws: What ``query(_:_:until:)`` throws.
    package func prepare(_ statement: PostgresStatement, until deadline: Deadline) throws(PostgresError) {
        if let known = prepared[statement.name] {
            precondition(known == statement.sql, "two statements are named \(statement.name)")
            return
        }
        try start(mayCommit: false, until: deadline) { PQsendPrepare($0, statement.name, statement.sql, 0, nil) }
        try receive(until: deadline)
        prepared[statement.name] = statement.sql
    }

    /// Executes a prepared statement; prepares it when this connection doesn't know it yet.
    ///
    /// - Parameters:
    ///   - statement: What to execute.
    ///   - parameters: As many as the statement has.
    ///   - deadline: When to have it cancelled.
    /// - Returns: Its rows, or how many it changed.
    /// - Throws: What ``query(_:_:until:)`` throws.
    @discardableResult
    package func execute(
        _ statement: PostgresStatement, _ parameters: [PostgresValue] = [], until deadline: Deadline
    ) throws(PostgresError) -> PostgresRows {
        try sendExecute(statement, parameters, until: deadline)
        return try receive(until: deadline)
    }

    /// Sends a prepared statement; ``receive(until:)`` must follow before any other call.
    ///
    /// In between the server works, and the thread is free for something else.
    ///
    /// - Parameters:
    ///   - statement: What to execute; prepared first, with a round trip, when this connection doesn't know it yet.
    ///   - parameters: As many as the statement has.
    ///   - deadline: When to give up; the connection is closed when that comes in the middle of sending.
    /// - Throws: What ``query(_:_:until:)`` throws; there is nothing to receive then.
    package func sendExecute(
        _ statement: PostgresStatement, _ parameters: [PostgresValue] = [], until deadline: Deadline
    ) throws(PostgresError) {
        let buffer = try ParameterBuffer(parameters)
        try prepare(statement, until: deadline)
        try start(mayCommit: nil, until: deadline) { handle in
            buffer.withPointers { PQsendQueryPrepared(handle, statement.name, $0, $1, $2, $3, 0) }
        }
    }

    /// Receives what ``sendExecute(_:_:until:)`` began.
    ///
    /// - Parameter deadline: When to have the statement cancelled.
    /// - Returns: Its rows, or how many it changed.
    /// - Throws: What ``query(_:_:until:)`` throws.
    @discardableResult
    package func receive(until deadline: Deadline) throws(PostgresError) -> PostgresRows {
        try finish(until: deadline)
    }

    /// Executes several statements without parameters, such as a schema, in one transaction.
    ///
    /// - Parameters:
    ///   - sql: The statements, parted by semicolons.
    ///   - deadline: When to have them cancelled.
    /// - Throws: The first error; none of them has taken effect then, unless the script itself commits.
    package func script(_ sql: String, until deadline: Deadline) throws(PostgresError) {
        try start(mayCommit: true, until: deadline) { PQsendQuery($0, sql) }
        try receive(until: deadline)
    }

    /// Executes one statement and passes its rows on as they come, however many they are: memory stays bounded.
    ///
    /// - Parameters:
    ///   - sql: One statement, with `$1` … for the parameters.
    ///   - parameters: At most 65 535.
    ///   - deadline: When to have it cancelled; the time spent in `body` counts.
    ///   - body: Takes a row. It can't use this connection. What it throws cancels the statement, and is thrown on.
    /// - Throws: What `body` throws, or what ``query(_:_:until:)`` throws; rows passed on before are then not all.
    ///
    /// libpq: <https://www.postgresql.org/docs/15/libpq-single-row-mode.html>
    package func forEachRow(
        _ sql: String, _ parameters: [PostgresValue] = [], until deadline: Deadline,
        _ body: (PostgresRow) throws -> Void
    ) throws {
        try send(sql, parameters, rowByRow: true, until: deadline)
        var failure: (any Error)?
        do {
            _ = try finish(until: deadline) { row in
                do { try body(row) } catch { failure = error }
                return failure == nil
            }
        } catch {
            throw failure ?? error
        }
        if let failure { throw failure }
    }

    private func send(
        _ sql: String, _ parameters: [PostgresValue], rowByRow: Bool = false, until deadline: Deadline
    ) throws(PostgresError) {
        let buffer = try ParameterBuffer(parameters)
        try start(mayCommit: nil, until: deadline) { handle in
            let isSent = buffer.withPointers { PQsendQueryParams(handle, sql, $0, nil, $1, $2, $3, 0) }
            return isSent == 1 && rowByRow ? PQsetSingleRowMode(handle) : isSent
        }
    }
}
