import ThreadedIO

/// Sessions with the masters of a Redis Cluster, for one thread: a session a node, made when it is needed.
///
/// A command goes to the master that has its key's slot, and after it when the slot moves. A node that fails fails its
/// own commands only, with ``RedisError/nodeFailed(address:reason:outcomeIsUnknown:)``; where its slots went is asked of
/// the others. What was sent and got no answer is never sent again: that is its sender's to decide.
///
/// Redis: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>
final class ClusterSessions {
    typealias Endpoint = RedisConfiguration.Endpoint
    typealias Call = ClusterNode.Call

    let configuration: RedisConfiguration
    var interrupt: Interrupt? { didSet { for node in nodes.values { node.session?.interrupt = interrupt } } }
    /// Rises when slots went elsewhere, or a session was made.
    var generation: Int { changes + nodes.values.reduce(0) { $0 + $1.sessionsMade } }

    private var changes = 0

    private var map = SlotMap()
    private var nodes: [Endpoint: ClusterNode] = [:]
    /// The nodes that were named, or that others told of: asked for the slots.
    private var known: [Endpoint]
    private var isMapDoubtful = false
    private var nextRefresh = ContinuousClock.Instant.now

    /// A slot that moves leads there and back in a moment; more is a cluster that is at odds with itself.
    private static let movesMax = 16
    /// How long a command waits for a slot that is half here and half there, or that nobody has: others wait behind it.
    private static let settling: Duration = .milliseconds(300)
    private static let refreshInterval: Duration = .milliseconds(250)

    /// Asks the nodes that are named, one after the other, for the slots.
    ///
    /// - Throws: ``RedisError`` when none of them tells.
    init(_ configuration: RedisConfiguration, until deadline: Deadline, interrupt: Interrupt?) throws(RedisError) {
        guard case .cluster(let named) = configuration.endpoint else {
            preconditionFailure("a cluster's sessions without a cluster")
        }
        self.configuration = configuration
        self.interrupt = interrupt
        known = named
        try refresh(until: deadline)
    }

    /// The masters that have slots.
    var masters: [Endpoint] { map.masters }

    /// The sessions with those masters that give one.
    func reachableMasters(until deadline: Deadline) -> [RedisSession] {
        masters.compactMap { endpoint in
            do throws(RedisError) { return try session(at: endpoint, until: deadline) } catch { return nil }
        }
    }

    func close() {
        for node in nodes.values {
            node.close(because: .connectionLost(address: "\(node.endpoint)", reason: "closed by this program"))
        }
    }

    // MARK: - Commands

    /// Queues a command; one without a key goes to any node.
    func send(_ command: RedisCommand) -> Call { send(command, to: command.slot) }

    /// Queues a command for whoever has a slot.
    func send(_ command: RedisCommand, to slot: HashSlot?) -> Call {
        let node = owner(of: slot)
        let call = Call(command, to: node)
        node.send(call)
        return call
    }

    /// Queues a script; by its digest where the node's session knows that.
    func sendEvaluate(_ script: RedisScript, keys: [String], arguments: RedisArguments) -> Call {
        let session = owner(of: keys.first.map { HashSlot(of: $0.utf8) }).session
        if let digest = session?.digest(of: script) {
            return send(.evaluating("EVALSHA", digest, keys, arguments))
        }
        let call = send(.evaluating("EVAL", script.source, keys, arguments))
        flush(until: .after(.seconds(1)))
        call.node.keep(script)
        return call
    }

    /// Writes what is queued, to all nodes.
    func flush(until deadline: Deadline) {
        for node in nodes.values { node.flush(configuration, interrupt, until: deadline) }
    }

    /// Waits for a command's answer, and follows its slot where that went.
    ///
    /// - Throws: ``RedisError``.
    func answer(to call: Call, until deadline: Deadline) throws(RedisError) -> RedisReply {
        let patience = min(deadline, .after(Self.settling))
        while true {
            switch call.result {
            case .success(let reply):
                guard let error = reply.error else { return reply }
                guard try sendAgain(call, after: error, patience: patience) else { return reply }
            case .failure(let error):
                changes += 1
                isMapDoubtful = true
                throw error
            case nil:
                call.node.flush(configuration, interrupt, until: deadline)
                if call.result == nil { call.node.receiveOne(until: deadline) }
                guard call.result != nil || call.node.isWaitedFor else {
                    preconditionFailure("a command that is neither under way nor answered")
                }
            }
        }
    }

    /// Sends a command on when the server says that its place is elsewhere, or not settled.
    ///
    /// - Returns: Whether it was sent; false for an answer like any other.
    /// - Throws: ``RedisError/nodeFailed(address:reason:outcomeIsUnknown:)`` when it goes on for too long.
    private func sendAgain(_ call: Call, after error: RedisReplyError, patience: Deadline) throws(RedisError) -> Bool {
        let from = call.node.endpoint
        if let redirection = try learn(from: error, of: from) {
            try move(call, to: node(redirection.place), after: error, asks: redirection.isOnce)
            return true
        }
        guard ["TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN"].contains(error.code) else { return false }
        guard !patience.hasPassed else { throw unsettled(from, error) }
        isMapDoubtful = true
        FineSleep.sleep(until: min(patience, .after(.milliseconds(5))).instant)
        // Whoever asks goes on asking: the slot isn't the node's yet.
        if call.asks {
            try move(call, to: call.node, after: error, asks: true, counts: false)
        } else {
            try move(call, to: owner(of: call.slot), after: error, asks: false, counts: false)
        }
        return true
    }

    /// Takes in that a slot is elsewhere, if an error says so.
    @discardableResult
    func learn(from error: RedisReplyError, of endpoint: Endpoint) throws(RedisError) -> Redirection? {
        guard let redirection = try Redirection(error, heardFrom: endpoint) else { return nil }
        if !redirection.isOnce {
            map[redirection.slot] = redirection.place
            changes += 1
            isMapDoubtful = true
        }
        return redirection
    }

    private func move(
        _ call: Call, to node: ClusterNode, after error: RedisReplyError, asks: Bool, counts: Bool = true
    ) throws(RedisError) {
        if counts { call.moves += 1 }
        guard call.moves <= Self.movesMax else { throw unsettled(call.node.endpoint, error) }
        call.result = nil
        call.asks = asks
        node.send(call)
    }

    private func unsettled(_ endpoint: Endpoint, _ error: RedisReplyError) -> RedisError {
        .nodeFailed(address: "\(endpoint)", reason: "\(error)", outcomeIsUnknown: false)
    }

    // MARK: - Nodes

    /// The session with whoever has a slot, made when there is none.
    ///
    /// - Throws: ``RedisError``.
    func session(for slot: HashSlot?, until deadline: Deadline) throws(RedisError) -> RedisSession {
        try session(of: owner(of: slot), until: deadline)
    }

    /// The session with a node.
    func session(at endpoint: Endpoint, until deadline: Deadline) throws(RedisError) -> RedisSession {
        try session(of: node(endpoint), until: deadline)
    }

    private func session(of node: ClusterNode, until deadline: Deadline) throws(RedisError) -> RedisSession {
        node.flush(configuration, interrupt, until: deadline)
        node.settle(until: deadline)
        return try node.connected(configuration, interrupt, until: deadline)
    }

    private func node(_ endpoint: Endpoint) -> ClusterNode {
        if let node = nodes[endpoint] { return node }
        let made = ClusterNode(endpoint)
        nodes[endpoint] = made
        return made
    }

    private func owner(of slot: HashSlot?) -> ClusterNode {
        refreshIfDoubtful()
        let endpoint = slot.map { map[$0] } ?? masters.first { !node($0).isInTrouble }
        // Whoever is asked for a slot that nobody has says so.
        return node(endpoint ?? known[0])
    }

    // MARK: - Slots

    /// Who has a slot by the word of more than half of the masters; nil when there is no such half.
    func majorityOwner(of slot: HashSlot, until deadline: Deadline) throws(RedisError) -> Endpoint? {
        var (votes, masters) = ([Endpoint: Int](), Set(masters))
        let asked = masters
        for (index, endpoint) in asked.enumerated() {
            do throws(RedisError) {
                let share = min(deadline, .after(deadline.remaining / (asked.count - index)))
                let heard = try ask(endpoint, until: share)
                masters.formUnion(heard.masters)
                if let owner = heard[slot] { votes[owner, default: 0] += 1 }
            } catch .interrupted {
                throw .interrupted
            } catch {
                continue
            }
        }
        return votes.first { $0.value > masters.count / 2 }?.key
    }

    private func ask(_ endpoint: Endpoint, until deadline: Deadline) throws(RedisError) -> SlotMap {
        var own = configuration
        own.endpoint = endpoint
        let session = try RedisSession(connectingTo: own, until: deadline, interrupt: interrupt)
        defer { session.close() }
        return try SlotMap(try session.call(RedisCommand("CLUSTER", "SLOTS"), until: deadline), of: endpoint)
    }

    /// Has the slots asked for again, before anything more is sent.
    func doubtSlots() { isMapDoubtful = true }

    private func refreshIfDoubtful() {
        guard isMapDoubtful, nextRefresh <= .now else { return }
        nextRefresh = .now.advanced(by: Self.refreshInterval)
        do throws(RedisError) {
            try refresh(until: .after(.seconds(1)))
        } catch {
            // What is known is as good as anything; the next command says what is wrong with it.
            isMapDoubtful = true
        }
    }

    /// Asks for the slots, those nodes first that are not in trouble: one that was cut off from the others doesn't know.
    private func refresh(until deadline: Deadline) throws(RedisError) {
        let candidates = (masters + known.filter { !masters.contains($0) })
        let asked =
            candidates.filter { nodes[$0]?.isInTrouble != true } + candidates.filter { nodes[$0]?.isInTrouble == true }
        var errors: [RedisError] = []
        for (index, endpoint) in asked.enumerated() {
            let share = min(deadline, .after(deadline.remaining / (asked.count - index)))
            do throws(RedisError) {
                take(try ask(endpoint, until: share))
                return
            } catch .interrupted {
                throw .interrupted
            } catch {
                errors.append(error)
            }
        }
        if case .reply(let error)? = errors.first, error.message.contains("cluster support disabled") {
            throw .sessionFailed(
                address: configuration.address, reason: "it is no cluster; write redis:// for a single server",
                passes: false)
        }
        if let first = errors.first, asked.count == 1 || errors.allSatisfy({ !$0.isRetriable }) { throw first }
        throw .connectionFailed(
            address: configuration.address, reason: errors.map { "\($0)" }.joined(separator: "; "))
    }

    private func take(_ heard: SlotMap) {
        if heard != map { changes += 1 }
        map = heard
        isMapDoubtful = false
        let now = masters
        known = now + known.filter { !now.contains($0) }
        // Who has no slots any more is left, unless answers are still to come.
        for (endpoint, node) in nodes where !now.contains(endpoint) && !node.isWaitedFor {
            node.session?.close()
            changes += node.sessionsMade + 1
            nodes[endpoint] = nil
        }
    }
}
