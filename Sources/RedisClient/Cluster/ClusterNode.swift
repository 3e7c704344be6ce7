import ThreadedIO

/// A master of a cluster, as one connection speaks to it: its session, once there is one, and what waits for its answers.
final class ClusterNode {
    /// A command on its way.
    final class Call {
        let command: RedisCommand
        let slot: HashSlot?
        /// Where it goes, or went.
        var node: ClusterNode
        /// Whether `ASKING` goes ahead of it: the node is about to get the slot.
        var asks = false
        /// How often it was sent elsewhere, or again.
        var moves = 0
        /// What the server answered, or why there is no answer.
        var result: Result<RedisReply, RedisError>?

        init(_ command: RedisCommand, to node: ClusterNode) {
            self.command = command
            slot = command.slot
            self.node = node
        }
    }

    /// What a session's next reply answers.
    private enum Awaited {
        case call(Call)
        /// `ASKING`: the command behind it tells.
        case nothing
        /// `SCRIPT LOAD`, which was sent along.
        case digest(RedisScript)
    }

    let endpoint: RedisConfiguration.Endpoint
    private(set) var session: RedisSession?
    /// How many sessions there were.
    private(set) var sessionsMade = 0
    private var unsent: [Call] = []
    private var awaited = FIFO<Awaited>()
    /// Why it could not be spoken to, and until when it isn't tried again.
    private var trouble: (error: RedisError, until: ContinuousClock.Instant)?
    private var pause: Duration = firstPause

    private static let firstPause: Duration = .milliseconds(50)
    private static let longestPause: Duration = .seconds(1)
    /// The longest that one node may take to give a session: others wait behind it.
    private static let connectTimeout: Duration = .seconds(1)

    init(_ endpoint: RedisConfiguration.Endpoint) { self.endpoint = endpoint }

    /// Whether the last try to speak to it went wrong.
    var isInTrouble: Bool { trouble != nil }

    /// Whether somebody waits for its answers.
    var isWaitedFor: Bool { !unsent.isEmpty || !awaited.isEmpty }

    /// Queues a call.
    func send(_ call: Call) {
        call.node = self
        unsent.append(call)
    }

    /// The session, made when there is none.
    ///
    /// - Throws: ``RedisError``; at once for a while after it failed.
    func connected(_ configuration: RedisConfiguration, _ interrupt: Interrupt?, until deadline: Deadline)
        throws(RedisError) -> RedisSession
    {
        if let session, session.isUsable { return session }
        if let trouble, trouble.until > .now { throw trouble.error }
        var own = configuration
        own.endpoint = endpoint
        own.connectTimeout = min(own.connectTimeout, Self.connectTimeout)
        do {
            let made = try RedisSession(connectingTo: own, until: deadline, interrupt: interrupt)
            session = made
            sessionsMade += 1
            trouble = nil
            pause = Self.firstPause
            return made
        } catch {
            note(error)
            throw error
        }
    }

    /// Writes what is queued.
    func flush(_ configuration: RedisConfiguration, _ interrupt: Interrupt?, until deadline: Deadline) {
        guard !unsent.isEmpty else { return }
        do throws(RedisError) {
            let session = try connected(configuration, interrupt, until: deadline)
            for call in unsent {
                if call.asks {
                    session.send(RedisCommand("ASKING"))
                    awaited.append(.nothing)
                }
                session.send(call.command)
                awaited.append(.call(call))
            }
            unsent = []
            try session.flush(until: deadline)
        } catch {
            fail(error)
        }
    }

    /// Has the server keep a script whose digest isn't known in this session yet; it goes behind what is written.
    func keep(_ script: RedisScript) {
        guard let session, session.isUsable else { return }
        session.send(RedisCommand("SCRIPT", "LOAD", script.source))
        awaited.append(.digest(script))
    }

    /// Receives the oldest answer that is still to come.
    func receiveOne(until deadline: Deadline) {
        guard let session else { return fail(.connectionLost(address: "\(endpoint)", reason: "not connected")) }
        do throws(RedisError) {
            let reply = try session.receive(until: deadline)
            switch awaited.takeFirst() {
            case .call(let call): call.result = .success(reply)
            case .digest(let script):
                if let digest = reply.string { session.digests[script.name] = (script.source, digest) }
            case .nothing, nil: break
            }
        } catch {
            fail(error)
        }
    }

    /// Receives all answers that are still to come, so that the session can be used without this node's help.
    func settle(until deadline: Deadline) {
        while !awaited.isEmpty { receiveOne(until: deadline) }
    }

    /// Ends the session; whoever waits for an answer is told.
    func close(because error: RedisError) {
        session?.close()
        fail(error)
    }

    private func fail(_ error: RedisError) {
        if session?.isUsable == true { session?.close() }
        session = nil
        let reason = wrapped(error)
        for call in unsent { call.result = .failure(reason.isUnsent) }
        unsent = []
        while let next = awaited.takeFirst() {
            if case .call(let call) = next { call.result = .failure(reason) }
        }
        note(error)
    }

    private func note(_ error: RedisError) {
        if error == .interrupted { return }
        guard trouble.map({ $0.until <= .now }) ?? true else { return }
        trouble = (error, .now.advanced(by: pause))
        pause = min(pause * 2, Self.longestPause)
    }

    private func wrapped(_ error: RedisError) -> RedisError {
        switch error {
        case .connectionFailed, .connectionLost, .timedOut, .isReplica, .sessionFailed(_, _, passes: true):
            .nodeFailed(address: "\(endpoint)", reason: "\(error)", outcomeIsUnknown: error.outcomeIsUnknown)
        default: error
        }
    }
}

extension RedisError {
    /// The same of a command that was never sent.
    fileprivate var isUnsent: RedisError {
        if case .nodeFailed(let address, let reason, _) = self {
            .nodeFailed(address: address, reason: reason, outcomeIsUnknown: false)
        } else {
            self
        }
    }
}
