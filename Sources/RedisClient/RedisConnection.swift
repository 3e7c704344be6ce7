package import ThreadedIO

/// A Redis server, or a Redis Cluster, for one thread.
///
/// It is state of an actor on a ``ThreadExecutor``: every call that waits blocks that thread, until its deadline or
/// until the interrupt is signalled. Replies come in the order of the commands.
///
/// Where it is one server, this is its ``RedisSession``: a wait that ends without the reply that was asked for ends it,
/// and ``isUsable`` is false. Where it is a cluster, each command goes to the master that has its key's slot, and
/// follows that slot where it goes; a node that fails fails its own commands, with
/// ``RedisError/nodeFailed(address:reason:outcomeIsUnknown:)``, and the connection goes on.
package final class RedisConnection {
    private enum Place {
        case server(RedisSession)
        case cluster(ClusterSessions)
    }

    private let place: Place
    /// Commands to a cluster that nobody has asked for the answers of.
    private var sent = FIFO<ClusterNode.Call>()
    private var ahead = FIFO<ClusterNode.Call>()
    /// Server and database, safe for people and logs.
    package let address: String
    /// The number the server knows this session by, for `CLIENT UNBLOCK` and `CLIENT KILL`; nil for a cluster.
    package let clientID: Int64?
    /// What the server calls itself: `redis` or `valkey`; the first node of a cluster.
    package let serverName: String
    /// The server's own version, as `7.0.15`: Valkey's, not the one of Redis that it is compatible with.
    package let serverVersion: String

    /// Connects and sets the session up; of a cluster, with one of its nodes, for the others follow when they are needed.
    ///
    /// - Parameters:
    ///   - configuration: The server, and as whom to speak to it.
    ///   - deadline: When to give up; no later than the configuration's `connectTimeout` from now.
    ///   - interrupt: Ends the waits of this connection from another thread.
    /// - Throws: As ``RedisSession/init(connectingTo:until:interrupt:)``.
    package init(
        connectingTo configuration: RedisConfiguration, until deadline: Deadline, interrupt: Interrupt?
    ) throws(RedisError) {
        let deadline = min(deadline, .after(configuration.connectTimeout))
        let first: RedisSession
        if configuration.isCluster {
            let cluster = try ClusterSessions(configuration, until: deadline, interrupt: interrupt)
            first = try cluster.session(for: nil, until: deadline)
            place = .cluster(cluster)
            address = configuration.address
            clientID = nil
        } else {
            first = try RedisSession(connectingTo: configuration, until: deadline, interrupt: interrupt)
            place = .server(first)
            address = first.address
            clientID = first.clientID
        }
        serverName = first.serverName
        serverVersion = first.serverVersion
    }

    /// Whether it is a cluster.
    package var isCluster: Bool {
        if case .cluster = place { true } else { false }
    }

    /// Whether Sentinels told where the server is.
    package var isBySentinel: Bool {
        if case .server(let session) = place { session.isBySentinel } else { false }
    }

    /// Whether the session is in step with the server, as far as is known without asking it; of a cluster always.
    package var isUsable: Bool {
        if case .server(let session) = place { session.isUsable } else { true }
    }

    /// How many commands were sent, or wait to be, whose replies were not received yet; without those sent ahead.
    package var outstanding: Int {
        switch place {
        case .server(let session): session.outstanding
        case .cluster: sent.count
        }
    }

    /// Whether a command was sent ahead whose reply nobody has asked for yet.
    package var hasCommandAhead: Bool {
        switch place {
        case .server(let session): session.hasCommandAhead
        case .cluster: !ahead.isEmpty
        }
    }

    /// What ends a wait from outside; nil while nothing may, as when a lease is given back during a stop.
    package var interrupt: Interrupt? {
        get {
            switch place {
            case .server(let session): session.interrupt
            case .cluster(let cluster): cluster.interrupt
            }
        }
        set {
            switch place {
            case .server(let session): session.interrupt = newValue
            case .cluster(let cluster): cluster.interrupt = newValue
            }
        }
    }

    /// Ends the session at once; commands not flushed are dropped.
    package func close() {
        switch place {
        case .server(let session): session.close()
        case .cluster(let cluster): cluster.close()
        }
    }

    // MARK: - Commands

    /// As ``RedisSession/send(_:)``.
    package func send(_ command: RedisCommand) {
        switch place {
        case .server(let session): session.send(command)
        case .cluster(let cluster): sent.append(cluster.send(command))
        }
    }

    /// As ``RedisSession/sendAhead(_:until:)``; to a cluster several may be sent ahead.
    package func sendAhead(_ command: RedisCommand, until deadline: Deadline) throws(RedisError) {
        switch place {
        case .server(let session): try session.sendAhead(command, until: deadline)
        case .cluster(let cluster):
            ahead.append(cluster.send(command))
            cluster.flush(until: deadline)
        }
    }

    /// As ``RedisSession/receiveAhead(until:)``.
    package func receiveAhead(until deadline: Deadline) throws(RedisError) -> RedisReply {
        switch place {
        case .server(let session): return try session.receiveAhead(until: deadline)
        case .cluster(let cluster):
            guard let call = ahead.takeFirst() else { preconditionFailure("no command was sent ahead") }
            return try cluster.answer(to: call, until: deadline)
        }
    }

    /// As ``RedisSession/flush(until:)``; what fails at a node of a cluster is told where its replies are received.
    package func flush(until deadline: Deadline) throws(RedisError) {
        switch place {
        case .server(let session): try session.flush(until: deadline)
        case .cluster(let cluster): cluster.flush(until: deadline)
        }
    }

    /// As ``RedisSession/receive(until:)``.
    package func receive(until deadline: Deadline) throws(RedisError) -> RedisReply {
        switch place {
        case .server(let session): return try session.receive(until: deadline)
        case .cluster(let cluster):
            guard let call = sent.takeFirst() else {
                preconditionFailure("received more replies than commands were sent")
            }
            return try cluster.answer(to: call, until: deadline)
        }
    }

    /// As ``RedisSession/call(_:until:)``.
    @discardableResult
    package func call(_ command: RedisCommand, until deadline: Deadline) throws(RedisError) -> RedisReply {
        guard case .cluster(let cluster) = place else { return try onlySession.call(command, until: deadline) }
        let reply = try cluster.answer(to: cluster.send(command), until: deadline)
        if let error = reply.error { throw .reply(error.refusing(command.name)) }
        return reply
    }

    /// As ``RedisSession/pipeline(_:until:)``; in a cluster a transaction goes to the node of the command behind `MULTI`.
    package func pipeline(_ commands: [RedisCommand], until deadline: Deadline) throws(RedisError) -> [RedisReply] {
        guard case .cluster(let cluster) = place else { return try onlySession.pipeline(commands, until: deadline) }
        var slot: HashSlot?
        let calls = commands.enumerated().map { index, command in
            if command.name == "MULTI", index + 1 < commands.count { slot = commands[index + 1].slot }
            defer { if command.name == "EXEC" { slot = nil } }
            return cluster.send(command, to: slot ?? command.slot)
        }
        var replies: [RedisReply] = []
        replies.reserveCapacity(calls.count)
        for call in calls { replies.append(try cluster.answer(to: call, until: deadline)) }
        return replies
    }

    // MARK: - Scripts

    /// As ``RedisSession/evaluate(_:keys:arguments:until:)``.
    package func evaluate(
        _ script: RedisScript, keys: [String], arguments: RedisArguments = [], until deadline: Deadline
    ) throws(RedisError) -> RedisReply {
        guard case .cluster(let cluster) = place else {
            return try onlySession.evaluate(script, keys: keys, arguments: arguments, until: deadline)
        }
        var reply = try cluster.answer(
            to: cluster.sendEvaluate(script, keys: keys, arguments: arguments), until: deadline)
        if reply.error?.isMissingScript == true {
            let command = RedisCommand.evaluating("EVAL", script.source, keys, arguments)
            reply = try cluster.answer(to: cluster.send(command), until: deadline)
        }
        if let error = reply.error { throw .reply(error.refusing(in: script)) }
        return reply
    }

    /// As ``RedisSession/sendEvaluate(_:keys:arguments:)``.
    package func sendEvaluate(_ script: RedisScript, keys: [String], arguments: RedisArguments = []) {
        switch place {
        case .server(let session): session.sendEvaluate(script, keys: keys, arguments: arguments)
        case .cluster(let cluster):
            sent.append(cluster.sendEvaluate(script, keys: keys, arguments: arguments))
        }
    }

    /// As ``RedisSession/load(_:until:)``; the nodes of a cluster get a script with its first use.
    package func load(_ script: RedisScript, until deadline: Deadline) throws(RedisError) {
        if case .server(let session) = place { try session.load(script, until: deadline) }
    }

    // MARK: - Servers

    /// The session with the server that has a key: this one's own, or that with a node of the cluster.
    ///
    /// - Throws: ``RedisError``.
    package func session(for key: String, until deadline: Deadline) throws(RedisError) -> RedisSession {
        switch place {
        case .server(let session): session
        case .cluster(let cluster): try cluster.session(for: HashSlot(of: key.utf8), until: deadline)
        }
    }

    /// The sessions with all servers that hold keys: one, or one for each master of the cluster.
    ///
    /// - Throws: ``RedisError`` when one of them can't be reached.
    package func sessions(until deadline: Deadline) throws(RedisError) -> [RedisSession] {
        switch place {
        case .server(let session): return [session]
        case .cluster(let cluster):
            return try cluster.masters.map { endpoint throws(RedisError) in
                try cluster.session(at: endpoint, until: deadline)
            }
        }
    }

    /// Those of them that can be reached, without any others of a cluster.
    package var openSessions: [RedisSession] {
        switch place {
        case .server(let session): return [session]
        case .cluster(let cluster): return cluster.reachableMasters(until: .after(.seconds(1)))
        }
    }

    /// Takes in what a node said over another session, where that is that a slot has moved.
    func learn(from error: RedisReplyError, of endpoint: RedisConfiguration.Endpoint) throws(RedisError) {
        if case .cluster(let cluster) = place { try cluster.learn(from: error, of: endpoint) }
    }

    /// What rises when a cluster's slots moved, or one of its sessions ended: what was said of its nodes before may not
    /// hold any more.
    package var generation: Int {
        if case .cluster(let cluster) = place { cluster.generation } else { 0 }
    }

    /// The masters of a cluster, as places to connect to; none for one server.
    package var masters: [RedisConfiguration] {
        guard case .cluster(let cluster) = place else { return [] }
        return cluster.masters.map {
            var own = cluster.configuration
            own.endpoint = $0
            return own
        }
    }

    /// Refuses a replica, which takes no writes; in a cluster it is the nodes that say who has a slot.
    ///
    /// - Throws: As ``RedisSession/requireMaster(until:)``.
    package func requireMaster(until deadline: Deadline) throws(RedisError) {
        if case .server(let session) = place { try session.requireMaster(until: deadline) }
    }

    /// Whether the server that has a key is the one to work with, as far as others can tell.
    ///
    /// In a cluster it is when more than half of the masters say so; else as ``RedisSession/isAuthoritative(until:)``.
    ///
    /// - Returns: false when the connection is of no use for it; of a cluster's it never is.
    /// - Throws: ``RedisError/nodeFailed(address:reason:outcomeIsUnknown:)`` when no majority of a cluster says so.
    package func isAuthoritative(for key: String, until deadline: Deadline) throws(RedisError) -> Bool {
        guard case .cluster(let cluster) = place else { return try onlySession.isAuthoritative(until: deadline) }
        let slot = HashSlot(of: key.utf8)
        guard let owner = try cluster.majorityOwner(of: slot, until: deadline) else {
            throw .nodeFailed(
                address: address, reason: "no majority of the masters says who has slot \(slot.number)",
                outcomeIsUnknown: false)
        }
        guard try cluster.session(for: slot, until: deadline).server == owner else {
            cluster.doubtSlots()
            throw .nodeFailed(
                address: address, reason: "slot \(slot.number) is at \(owner), by the word of most masters",
                outcomeIsUnknown: false)
        }
        return true
    }

    private var onlySession: RedisSession {
        guard case .server(let session) = place else { preconditionFailure("one session of many nodes") }
        return session
    }
}
