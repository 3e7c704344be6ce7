/// Which master has which slot, as one node of a Redis Cluster said it, and as others have corrected it since.
///
/// Redis: <https://redis.io/docs/latest/commands/cluster-slots/>
struct SlotMap: Equatable {
    typealias Endpoint = RedisConfiguration.Endpoint

    private var owners: [Endpoint?] = Array(repeating: nil, count: HashSlot.count)

    init() {}

    /// Reads the answer to `CLUSTER SLOTS`, which every server has that knows clusters, and which names the port of TLS
    /// to whoever speaks TLS.
    ///
    /// - Parameters:
    ///   - reply: The answer.
    ///   - asked: Who gave it: a node that doesn't know its own address leaves it out.
    /// - Throws: ``RedisError/protocolViolation(_:)``.
    init(_ reply: RedisReply, of asked: Endpoint) throws(RedisError) {
        for range in try reply.requireArray() {
            let parts = try range.requireArray()
            guard parts.count >= 3 else { throw .protocolViolation("a range of slots, and the master that has it") }
            let (first, last) = (Int(try parts[0].requireInteger()), Int(try parts[1].requireInteger()))
            guard 0 <= first, first <= last, last < HashSlot.count else {
                throw .protocolViolation("slots between 0 and \(HashSlot.count - 1)")
            }
            let master = try parts[2].requireArray()
            guard master.count >= 2 else { throw .protocolViolation("a node's address and port") }
            let host = master[0].isNull ? "" : try master[0].requireString()
            let owner = try Self.place(host: host, port: Int(try master[1].requireInteger()), heardFrom: asked)
            for slot in first...last { owners[slot] = owner }
        }
    }

    /// A node as another one names it: an empty host, or `?`, is the one that was asked.
    static func place(host: String, port: Int, heardFrom asked: Endpoint) throws(RedisError) -> Endpoint {
        guard (1...65535).contains(port) else { throw .protocolViolation("a node's port") }
        guard host.isEmpty || host == "?" else { return .tcp(host: host, port: port) }
        guard case .tcp(let host, _) = asked else { throw .protocolViolation("a node's address") }
        return .tcp(host: host, port: port)
    }

    subscript(_ slot: HashSlot) -> Endpoint? {
        get { owners[slot.number] }
        set { owners[slot.number] = newValue }
    }

    /// The masters that have slots, each once, by their first slot.
    var masters: [Endpoint] {
        var masters: [Endpoint] = []
        for case let owner? in owners where owner != masters.last && !masters.contains(owner) { masters.append(owner) }
        return masters
    }
}

/// A node's answer that a slot is elsewhere: `MOVED 3999 127.0.0.1:6381`, or `ASK` with the same behind it.
///
/// Redis: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#redirection-and-resharding>
struct Redirection {
    let slot: HashSlot
    let place: RedisConfiguration.Endpoint
    /// Whether it is so for this command only, while the slot moves.
    let isOnce: Bool

    /// Reads an error of the server; nil for another one.
    init?(_ error: RedisReplyError, heardFrom asked: RedisConfiguration.Endpoint) throws(RedisError) {
        guard error.code == "MOVED" || error.code == "ASK" else { return nil }
        let parts = error.message.split(separator: " ")
        guard parts.count >= 2, let slot = Int(parts[0]).flatMap({ HashSlot($0) }),
            let colon = parts[1].lastIndex(of: ":"), let port = Int(parts[1][parts[1].index(after: colon)...])
        else { throw .protocolViolation("a slot and a node's address behind \(error.code)") }
        isOnce = error.code == "ASK"
        self.slot = slot
        place = try SlotMap.place(host: String(parts[1][..<colon]), port: port, heardFrom: asked)
    }
}
