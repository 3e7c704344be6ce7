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
        try send(Request(sql, parameters), until: deadline)
        return try finish(until: deadline)
    }

    /// Sends a statement; ``receive(until:)`` must follow before any other call.
    ///
    /// In between the server works, and the thread is free for something else.
    ///
    /// - Parameters:
    ///   - sql: One statement, with `$1` … for the parameters.
    ///   - parameters: At most 65 535.
    ///   - keepsPlan: Whether it comes often enough for its plan to be kept, where the session is this connection's alone.
    ///   - deadline: When to give up; the connection is closed when that comes in the middle of sending.
    /// - Throws: What ``query(_:_:until:)`` throws; there is nothing to receive then.
    package func send(
        _ sql: String, _ parameters: [PostgresValue] = [], keepsPlan: Bool = false, until deadline: Deadline
    ) throws(PostgresError) {
        try send(
            Request(sql, parameters), isNamed: keepsPlan && session.isOurs == true && !isInTransaction, until: deadline)
    }

    /// Receives what ``send(_:_:keepsPlan:until:)`` began.
    ///
    /// - Parameter deadline: When to have the statement cancelled.
    /// - Returns: Its rows, or how many it changed.
    /// - Throws: What ``query(_:_:until:)`` throws.
    @discardableResult
    package func receive(until deadline: Deadline) throws(PostgresError) -> PostgresRows {
        let request = flight?.namedRequest
        do throws(PostgresError) {
            return try finish(until: deadline)
        } catch {
            guard let request, let sqlState = error.sqlState, Session.isOtherState.contains(sqlState) else {
                throw error
            }
            session = Session(isOurs: false)
            try send(request, until: deadline)
            return try finish(until: deadline)
        }
    }

    /// Executes several statements without parameters, such as a schema, in one transaction.
    ///
    /// - Parameters:
    ///   - sql: The statements, parted by semicolons.
    ///   - deadline: When to have them cancelled.
    /// - Throws: The first error; none of them has taken effect then, unless the script itself commits.
    package func script(_ sql: String, until deadline: Deadline) throws(PostgresError) {
        let isBeginning = !isInTransaction
        let text = isBeginning ? "\(prelude.sql); \(sql)" : sql
        try start(mayCommit: isBeginning, until: deadline) { PQsendQuery($0, text) }
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
        try send(Request(sql, parameters), isRowByRow: true, until: deadline)
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

    /// Sends a statement in one round trip with the settings of its transaction: the two are executed as one.
    ///
    /// libpq: <https://www.postgresql.org/docs/15/libpq-pipeline-mode.html>
    private func send(
        _ request: Request, isNamed: Bool = false, isRowByRow: Bool = false, until deadline: Deadline
    ) throws(PostgresError) {
        let isBeginning = !isInTransaction
        var parts: [(Pipeline.Step, Request)] = [(.statement, request)]
        if isBeginning { parts.insert((.settings, prelude), at: 0) }
        if isNamed {
            parts = parts.flatMap { step, request in
                session.names.contains(request.name)
                    ? [(step, request)] : [(.preparation(name: request.name), request), (step, request)]
            }
        }
        let pipeline = Pipeline(steps: parts.map(\.0), isRowByRow: isRowByRow)
        try start(mayCommit: isBeginning, pipeline: pipeline, until: deadline) { handle in
            let isQueued =
                PQenterPipelineMode(handle) == 1
                && parts.allSatisfy { step, request in
                    if case .preparation(let name) = step {
                        return PQsendPrepare(handle, name, request.sql, 0, nil) == 1
                    }
                    return request.send(handle, isNamed: isNamed) == 1
                }
            return isQueued ? PQpipelineSync(handle) : 0
        }
        if isNamed { flight?.namedRequest = request }
        if let handle { expectRows(handle) }
    }
}

/// A statement with its parameters, as libpq takes them.
struct Request {
    let sql: String
    /// What it is called in a session that keeps its plan.
    var name: String { Session.name(of: sql) }
    private let parameters: ParameterBuffer

    init(_ sql: String, _ parameters: [PostgresValue] = []) throws(PostgresError) {
        self.sql = sql
        self.parameters = try ParameterBuffer(parameters)
    }

    /// Queues it with libpq: 1 when that worked.
    func send(_ handle: OpaquePointer, isNamed: Bool) -> Int32 {
        parameters.withPointers { count, values, lengths, formats in
            isNamed
                ? PQsendQueryPrepared(handle, name, count, values, lengths, formats, 0)
                : PQsendQueryParams(handle, sql, count, nil, values, lengths, formats, 0)
        }
    }
}
