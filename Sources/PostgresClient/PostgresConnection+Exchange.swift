import CLibpq
import ThreadedIO

/// A statement between its being sent and its answer's end.
struct Flight {
    /// Whether the statement may commit, so that its loss leaves the outcome unknown.
    let mayCommit: Bool
    /// Whether the connection's interrupt stops it.
    let isInterruptible: Bool
    /// The pipeline that it travels in; nil for the simple protocol.
    var pipeline: Pipeline?
    /// The statement, when it was sent by its name alone.
    var namedRequest: Request?
    /// The attempt to stop it.
    var cancellation: Cancellation?
}

/// What the server answers to a pipeline, as far as it isn't read.
struct Pipeline {
    enum Step {
        /// The transaction's settings.
        case settings
        /// A statement gets this name.
        case preparation(name: String)
        /// What was asked for.
        case statement
    }

    var steps: [Step]
    /// Whether the rows of what was asked for are wanted one by one.
    let isRowByRow: Bool
}

/// A statement's being stopped.
struct Cancellation {
    let reason: StopReason
    var request: CancelRequest?
    /// Until when the server may confirm.
    let deadline: Deadline
}

enum StopReason {
    case timedOut, interrupted

    func error(outcomeIsUnknown: Bool) -> PostgresError {
        switch self {
        case .timedOut: .timedOut(outcomeIsUnknown: outcomeIsUnknown)
        case .interrupted: .interrupted(outcomeIsUnknown: outcomeIsUnknown)
        }
    }
}

extension PostgresConnection {
    /// How long the server may take to confirm that a statement is cancelled.
    static let cancelPatience = Duration.seconds(1)
    /// How long before it is asked again.
    private static let cancelInterval = Duration.milliseconds(100)

    /// Sends a statement to its last byte.
    ///
    /// - Parameters:
    ///   - mayCommit: Whether losing its answer leaves its outcome unknown.
    ///   - isInterruptible: False for what must be read to its end.
    ///   - pipeline: What the server answers, where it is a pipeline that is sent.
    ///   - deadline: When to give up sending; the connection is then closed.
    ///   - send: Queues it with libpq: 1 when that worked.
    /// - Throws: When it can't have taken effect; nothing is under way then.
    func start(
        mayCommit: Bool, isInterruptible: Bool = true, pipeline: Pipeline? = nil, until deadline: Deadline,
        _ send: (OpaquePointer) -> Int32
    ) throws(PostgresError) {
        precondition(flight == nil, "the statement before it is not received yet")
        guard let handle else { throw .connectionLost(reason: "it is closed", outcomeIsUnknown: false) }
        // An interrupt that comes first stops it before anything is sent.
        if deadline.hasPassed { throw .timedOut(outcomeIsUnknown: false) }
        if isInterruptible, let interrupt, interrupt.isSignalled { throw .interrupted(outcomeIsUnknown: false) }
        guard send(handle) == 1 else { throw lost(String(cString: PQerrorMessage(handle))) }
        flight = Flight(mayCommit: mayCommit, isInterruptible: isInterruptible, pipeline: pipeline)
        try flush(handle, until: deadline, interrupt: isInterruptible ? interrupt : nil)
    }

    /// Reads the answer to its end.
    ///
    /// - Parameters:
    ///   - deadline: When to have the statement cancelled.
    ///   - each: Takes what comes row by row; false has the statement cancelled.
    /// - Returns: The last result.
    /// - Throws: The server's first error, or why the answer ended early; nothing is under way then.
    func finish(
        until deadline: Deadline, each: (PostgresRow) -> Bool = { _ in true }
    ) throws(PostgresError) -> PostgresRows {
        precondition(flight != nil, "there is nothing to receive")
        var rows: PostgresRows?
        var failure: PostgresError?
        while let result = try next(until: deadline) {
            switch PQresultStatus(result.pointer) {
            case PGRES_SINGLE_TUPLE:
                // Once it is being cancelled, what still comes is only read away.
                if flight?.cancellation == nil, !each(PostgresRow(result: result, index: 0)) { cancel(.interrupted) }
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
                rows = PostgresRows(result)
            // What is behind an error in a pipeline is not done.
            case PGRES_PIPELINE_ABORTED: break
            case PGRES_FATAL_ERROR:
                failure = failure ?? error(result)
                if handle == nil, let failure { throw failure }
            default:
                throw lost("the statement wants a COPY")
            }
        }
        if let failure {
            let stop = conclude()
            throw failure.sqlState == "57014" ? stop?.error(outcomeIsUnknown: false) ?? failure : failure
        }
        guard let rows else { throw lost("the server gave no answer") }
        _ = conclude()
        return rows
    }

    /// Stops the statement under way and reads its answer away; closes the connection where that fails.
    func abandon() {
        guard flight != nil else { return }
        if flight?.cancellation == nil { cancel(.interrupted) }
        do throws(PostgresError) {
            while try next(until: .after(Self.cancelPatience)) != nil {}
            _ = conclude()
        } catch {
            close()
        }
    }

    /// The next result of the statement under way; nil at the answer's end.
    private func next(until deadline: Deadline) throws(PostgresError) -> ResultOwner? {
        while true {
            if let result = try nextInPipeline(until: deadline) {
                guard PQresultStatus(result.pointer) == PGRES_PIPELINE_SYNC else {
                    take(result)
                    return result
                }
                guard let handle, PQexitPipelineMode(handle) == 1 else { throw lost("the answers are out of step") }
                return nil
            }
            // What separates the statements of a pipeline, and ends anything else.
            guard flight?.pipeline != nil else { return nil }
            guard let handle, isUsable else { throw lost("the answer was cut short") }
            if flight?.pipeline?.steps.isEmpty == false { flight?.pipeline?.steps.removeFirst() }
            expectRows(handle)
        }
    }

    /// Has libpq hand out the rows of what was asked for one by one, when they come next.
    func expectRows(_ handle: OpaquePointer) {
        if let pipeline = flight?.pipeline, pipeline.isRowByRow, case .statement = pipeline.steps.first {
            PQsetSingleRowMode(handle)
        }
    }

    /// Learns what a step of a pipeline says about the session.
    private func take(_ result: ResultOwner) {
        switch (flight?.pipeline?.steps.first, PQresultStatus(result.pointer)) {
        case (.settings, PGRES_TUPLES_OK):
            let process = PostgresRow(result: result, index: 0).int64(0)
            session.isOurs = session.isOurs != false && process == Int64(processID)
        case (.preparation(let name), PGRES_COMMAND_OK):
            session.names.insert(name)
        default: break
        }
    }

    /// The next result; nil where one statement's results end.
    private func nextInPipeline(until deadline: Deadline) throws(PostgresError) -> ResultOwner? {
        // On a broken connection PQgetResult doesn't block: it says what the server last said, or what broke.
        while let handle, let flight, isUsable, PQisBusy(handle) == 1 {
            let isStopping = flight.cancellation != nil
            let interrupt = flight.isInterruptible && !isStopping ? interrupt : nil
            let deadline = isStopping ? .after(Self.cancelInterval) : deadline
            switch look(handle, for: .reading, until: deadline, interrupt: interrupt) {
            case .ready:
                if PQconsumeInput(handle) == 0, isUsable { throw lost(String(cString: PQerrorMessage(handle))) }
            case .timedOut: try stop(.timedOut)
            case .interrupted: try stop(.interrupted)
            }
        }
        return handle.flatMap { PQgetResult($0) }.map(ResultOwner.init)
    }

    /// A wait in which, other than in `wait(…)`, time and interrupt win: a long answer must not go on and on.
    private func look(
        _ handle: OpaquePointer, for interest: Interest, until deadline: Deadline, interrupt: Interrupt?
    ) -> WaitResult {
        if deadline.hasPassed { return .timedOut }
        if let interrupt, interrupt.isSignalled { return .interrupted }
        return wait(for: interest, on: PQsocket(handle), until: deadline, interrupt: interrupt)
    }

    private func flush(_ handle: OpaquePointer, until deadline: Deadline, interrupt: Interrupt?) throws(PostgresError) {
        while PQflush(handle) == 1 {
            switch look(handle, for: .either, until: deadline, interrupt: interrupt) {
            // Reading while writing, or both sides could wait for the other to read. What is wrong shows in the answer.
            case .ready: guard PQconsumeInput(handle) == 1 else { return }
            case .timedOut, .interrupted:
                let reason: StopReason = deadline.hasPassed ? .timedOut : .interrupted
                // Its end was not sent, so the server can't carry it out; nor can the session be brought in step again.
                close()
                throw reason.error(outcomeIsUnknown: false)
            }
        }
    }

    /// Has the statement cancelled, or gives up on one that can't be.
    private func stop(_ reason: StopReason) throws(PostgresError) {
        guard let flight else { return }
        if !flight.isInterruptible || flight.cancellation?.deadline.hasPassed == true {
            close()
            throw (flight.cancellation?.reason ?? reason).error(outcomeIsUnknown: flight.mayCommit)
        }
        cancel(reason)
    }

    /// Asks the server to cancel the statement; again, where it was asked before without effect.
    ///
    /// It passes over a request that comes before it has begun the statement.
    private func cancel(_ reason: StopReason) {
        guard let handle else { return }
        if let request = flight?.cancellation?.request, !request.isDone(by: Deadline(.now)) { return }
        var cancellation = flight?.cancellation ?? Cancellation(reason: reason, deadline: .after(Self.cancelPatience))
        cancellation.request = CancelRequest(for: handle)
        flight?.cancellation = cancellation
    }

    /// Ends the flight, and returns why it was to be stopped.
    private func conclude() -> StopReason? {
        defer { flight = nil }
        guard let cancellation = flight?.cancellation else { return nil }
        // A request still on its way could hit the next statement.
        if let request = cancellation.request, !request.isDone(by: cancellation.deadline) { close() }
        return cancellation.reason
    }

    /// Closes a connection that is broken or out of step, and returns why.
    private func lost(_ message: String) -> PostgresError {
        defer { close() }
        return .connectionLost(
            reason: ConnectionMessage(message).reason, outcomeIsUnknown: flight?.mayCommit ?? false)
    }

    /// What a failed result means; closes the connection when the session is over.
    private func error(_ result: ResultOwner) -> PostgresError {
        guard let error = PostgresServerError(result, mayCommit: flight?.mayCommit ?? false) else {
            // Not from the server: libpq gave up on the connection, or on a message.
            return lost(String(cString: PQresultErrorMessage(result.pointer)))
        }
        if error.endsSession { close() }
        if let refusal = PoolerRefusal(error.message) { return .invalidConfiguration(reason: refusal.text) }
        return .server(error)
    }
}
