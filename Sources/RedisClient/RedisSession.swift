package import ThreadedIO

/// A session with a Redis server, for one thread.
///
/// It is state of an actor on a ``ThreadExecutor``: every call that waits blocks that thread, until its deadline or
/// until the interrupt is signalled. Replies come in the order of the commands.
///
/// It is dumb on purpose: it never sends again and never reconnects. When a wait ends without the reply that was asked
/// for, the session is out of step with the server; it is closed then, ``isUsable`` is false, and every later call
/// throws ``RedisError/connectionLost(address:reason:)``.
///
/// hiredis: <https://github.com/redis/hiredis>
package final class RedisSession {
    /// Server and database, safe for people and logs.
    package let address: String
    /// The number the server knows this session by, for `CLIENT UNBLOCK` and `CLIENT KILL`.
    package private(set) var clientID: Int64 = 0
    /// What the server calls itself: `redis` or `valkey`.
    package private(set) var serverName = ""
    /// The server's own version, as `7.0.15`: Valkey's, not the one of Redis that it is compatible with.
    package private(set) var serverVersion = ""

    /// What ends a wait from outside; nil while nothing may, as when a lease is given back during a stop.
    package var interrupt: Interrupt?

    /// What the connection knows of the server's script cache; see ``evaluate(_:keys:arguments:until:)``.
    var digests: [String: (source: String, digest: String)] = [:]

    /// As it was asked for.
    package let configuration: RedisConfiguration
    /// The server itself, also where Sentinels were asked.
    let server: RedisConfiguration.Endpoint

    /// nil once the session has ended.
    private(set) var context: HiredisContext?
    private var failure: RedisError?
    /// A command without a reply.
    private struct Sent {
        /// For messages.
        let name: String
        /// Whether its reply waits until it is asked for by ``receiveAhead(until:)``.
        var isAhead = false
    }

    private var sent = FIFO<Sent>()
    /// Replies that came while something was being written.
    private var ready = FIFO<RedisReply>()
    /// The reply to the command that was sent ahead, when it came while others were waited for.
    private var parked: RedisReply?
    /// Whether a command was sent ahead whose reply nobody has asked for yet.
    package private(set) var hasCommandAhead = false

    /// Pipelines are written in pieces of about this size: hiredis moves the rest of its buffer at every partial write.
    private static let pieceBytes = 256 << 10

    /// Connects and sets the session up: `AUTH`, `SELECT`, `CLIENT SETNAME`, `HELLO`.
    ///
    /// Where Sentinels know the place they are asked first, one after the other, and the server must call itself a master.
    ///
    /// - Parameters:
    ///   - configuration: The server, and as whom to speak to it.
    ///   - deadline: When to give up; no later than the configuration's `connectTimeout` from now.
    ///   - interrupt: Ends the waits of this connection from another thread.
    /// - Throws: ``RedisError/connectionFailed(address:reason:)``, ``RedisError/sessionFailed(address:reason:passes:)``,
    ///   ``RedisError/authenticationFailed(address:reason:)``, ``RedisError/tlsFailed(address:reason:)``,
    ///   ``RedisError/interrupted``, or
    ///   ``RedisError/protocolViolation(_:)`` when something else than Redis listens there.
    package init(
        connectingTo configuration: RedisConfiguration, until deadline: Deadline, interrupt: Interrupt?
    ) throws(RedisError) {
        self.interrupt = interrupt
        let deadline = min(deadline, .after(configuration.connectTimeout))
        let server = try Self.resolve(configuration, until: deadline, interrupt: interrupt)
        address = server.address
        self.server = server.endpoint
        self.configuration = configuration
        context = try Self.connect(to: server, until: deadline, interrupt: interrupt)
        (clientID, serverName, serverVersion) = try openSession(server, until: deadline)
        if configuration.isBySentinel { try requireNamedMaster(until: deadline) }
    }

    /// Whether Sentinels told where the server is.
    package var isBySentinel: Bool { configuration.isBySentinel }

    /// Whether the session is in step with the server, as far as is known without asking it.
    package var isUsable: Bool { context != nil }

    /// How many commands were sent, or wait to be, whose replies were not received yet; without the one sent ahead.
    package var outstanding: Int { sent.count - (hasCommandAhead && parked == nil ? 1 : 0) }

    /// How many bytes of what was sent are not written yet.
    var unwrittenBytes: Int { context?.unwrittenBytes ?? 0 }

    /// Ends the session at once; commands not flushed are dropped.
    package func close() {
        _ = end(.connectionLost(address: address, reason: "closed by this program"))
    }

    /// Queues a command; nothing is written before ``flush(until:)`` or ``receive(until:)``.
    ///
    /// On a connection that is not usable nothing happens: receiving its reply tells.
    package func send(_ command: RedisCommand) {
        send(command, isAhead: false)
    }

    /// Sends a command whose reply is wanted later: other commands may be sent and answered before it is asked for.
    ///
    /// One at a time.
    package func sendAhead(_ command: RedisCommand, until deadline: Deadline) throws(RedisError) {
        precondition(!hasCommandAhead, "two commands sent ahead")
        hasCommandAhead = true
        send(command, isAhead: true)
        try flush(until: deadline)
    }

    /// Returns the reply to the command that was sent ahead.
    ///
    /// Commands that were sent before it must have been answered.
    ///
    /// - Throws: As ``receive(until:)``.
    package func receiveAhead(until deadline: Deadline) throws(RedisError) -> RedisReply {
        guard isUsable else { throw lost }
        precondition(hasCommandAhead && (parked != nil || sent.first?.isAhead == true), "no command was sent ahead")
        if parked == nil { try parkAhead(until: deadline) }
        guard let reply = parked else { throw lost }
        parked = nil
        hasCommandAhead = false
        return reply
    }

    private func parkAhead(until deadline: Deadline) throws(RedisError) {
        parked = try nextReply(until: deadline)
        settleOldest()
    }

    private func send(_ command: RedisCommand, isAhead: Bool) {
        guard let context else { return }
        sent.append(Sent(name: command.name, isAhead: isAhead))
        do {
            try context.append(command)
        } catch {
            end(error)
        }
    }

    /// Writes everything that is queued.
    ///
    /// Replies that arrive meanwhile are read and kept, so that neither side waits for the other's full buffers.
    package func flush(until deadline: Deadline) throws(RedisError) {
        while try !write() {
            try wait(for: .either, until: deadline)
            try readMore()
            while let reply = try nextParsed() { ready.append(reply) }
        }
    }

    /// Returns the reply to the oldest command that has none yet, and writes what is queued first.
    ///
    /// - Returns: The reply; when the server answered with an error, its ``RedisReply/error`` is set.
    /// - Throws: ``RedisError/timedOut(operation:address:)``, ``RedisError/interrupted``,
    ///   ``RedisError/connectionLost(address:reason:)``, ``RedisError/protocolViolation(_:)``. All of them end the session.
    package func receive(until deadline: Deadline) throws(RedisError) -> RedisReply {
        guard isUsable else { throw lost }
        precondition(outstanding > 0, "received more replies than commands were sent")
        if sent.first?.isAhead == true { try parkAhead(until: deadline) }
        let reply = try nextReply(until: deadline)
        settleOldest()
        return reply
    }

    /// Sends a command and waits for its reply.
    ///
    /// - Throws: As ``receive(until:)``, and ``RedisError/reply(_:)`` for an error reply, which leaves the session
    ///   usable.
    @discardableResult
    package func call(_ command: RedisCommand, until deadline: Deadline) throws(RedisError) -> RedisReply {
        precondition(outstanding == 0, "\(command.name) called with replies outstanding")
        send(command)
        let reply = try receive(until: deadline)
        if let error = reply.error { throw .reply(error.refusing(command.name)) }
        return reply
    }

    /// Sends commands without waiting in between, and returns their replies in order.
    ///
    /// An error reply doesn't stop the others and is returned as a reply; the commands are no transaction.
    ///
    /// Redis: <https://redis.io/docs/latest/develop/use/pipelining/>
    package func pipeline(_ commands: [RedisCommand], until deadline: Deadline) throws(RedisError) -> [RedisReply] {
        precondition(outstanding == 0, "pipeline begun with replies outstanding")
        guard isUsable else { throw lost }
        for command in commands {
            send(command)
            if let context, context.unwrittenBytes >= Self.pieceBytes { try flush(until: deadline) }
        }
        var replies: [RedisReply] = []
        replies.reserveCapacity(commands.count)
        for _ in commands { replies.append(try receive(until: deadline)) }
        return replies
    }

    /// The socket, for waiting on several; nil when the session has ended.
    var descriptor: Int32? { context?.descriptor }

    /// Waits for the next thing that the server says, asked for or not.
    func nextReply(until deadline: Deadline) throws(RedisError) -> RedisReply {
        try flush(until: deadline)
        if let reply = ready.takeFirst() { return reply }
        while true {
            if let reply = try nextParsed() { return reply }
            try wait(for: .reading, until: deadline)
            try readMore()
        }
    }

    /// Counts the oldest command as answered.
    func settleOldest() {
        _ = sent.takeFirst()
    }

    private func write() throws(RedisError) -> Bool {
        guard let context else { throw lost }
        do { return try context.write() } catch { throw end(error) }
    }

    private func readMore() throws(RedisError) {
        guard let context else { throw lost }
        do { try context.read() } catch { throw end(error) }
    }

    private func nextParsed() throws(RedisError) -> RedisReply? {
        guard let context else { throw lost }
        do { return try context.nextReply() } catch { throw end(error) }
    }

    private func wait(for interest: Interest, until deadline: Deadline) throws(RedisError) {
        guard let context else { throw lost }
        let error: RedisError
        guard let needed = context.wait(for: interest) else { return }
        switch ThreadedIO.wait(for: needed, on: context.descriptor, until: deadline, interrupt: interrupt) {
        case .ready: return
        case .timedOut: error = .timedOut(operation: sent.first?.name ?? "a message", address: address)
        case .interrupted: error = .interrupted
        }
        // With nothing outstanding nothing was missed: what comes later is still whole.
        throw sent.isEmpty ? error : end(error)
    }
}

// How a session ends.
extension RedisSession {
    @discardableResult
    private func end(_ failure: HiredisContext.Failure) -> RedisError {
        switch failure {
        case .lost(let reason): end(.connectionLost(address: address, reason: reason))
        case .malformed(let reason): end(.protocolViolation("\(address): \(reason)"))
        case .refused(let reason): end(.tlsFailed(address: address, reason: reason))
        }
    }

    /// Frees the context, keeps the first reason, and hands `error` back to be thrown.
    private func end(_ error: RedisError) -> RedisError {
        if context != nil { failure = error }
        context = nil
        sent.removeAll()
        ready.removeAll()
        parked = nil
        hasCommandAhead = false
        return error
    }

    /// What every call on an unusable connection throws: a lost connection, with the first reason.
    private var lost: RedisError {
        switch failure {
        case .connectionLost(_, let reason): .connectionLost(address: address, reason: reason)
        case .some(let error): .connectionLost(address: address, reason: "out of use since: \(error)")
        case nil: .connectionLost(address: address, reason: "not connected")
        }
    }
}
