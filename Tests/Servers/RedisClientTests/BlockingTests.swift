import RedisClient
import Testing
import ThreadedIO

@Suite("A blocked read")
struct BlockingTests {
    private static let read = RedisCommand(
        "XREADGROUP", "GROUP", "g", "c", "BLOCK", 60_000, "STREAMS", "log", ">")

    private static func makeGroup(on server: RedisServer) throws {
        try server.connect().call(RedisCommand("XGROUP", "CREATE", "log", "g", "$", "MKSTREAM"), until: .soon)
    }

    /// Blocks until the server has the client blocked.
    private static func waitUntilBlocked(_ client: Int64, seenBy observer: RedisSession) throws {
        try waitUntil("client \(client) is blocked") {
            let line = try observer.call(RedisCommand("CLIENT", "LIST", "ID", client), until: .soon).requireString()
            return line.contains(" flags=b")
        }
    }

    @Test("answers as soon as there is an entry")
    func entry() throws {
        let server = try RedisServer()
        try Self.makeGroup(on: server)
        let connection = try server.connect()
        let (configuration, client) = (server.unix, connection.clientID)
        let other = onAnotherThread {
            let observer = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
            try Self.waitUntilBlocked(client, seenBy: observer)
            try observer.call(RedisCommand("XADD", "log", "1-1", "seq", 1), until: .soon)
        }
        let reply = try connection.call(Self.read, until: .soon)
        // What went wrong there is why nothing came here.
        try other.join()
        let entries = try #require(reply.elements.first).requireArray(count: 2)[1]
        #expect(try #require(entries.elements.first).requireArray(count: 2)[0].requireString() == "1-1")
    }

    @Test("ends at once when it is interrupted, and the connection with it")
    func interrupted() throws {
        let server = try RedisServer()
        try Self.makeGroup(on: server)
        let interrupt = Interrupt()
        let connection = try server.connect(interrupt: interrupt)
        let (configuration, client) = (server.unix, connection.clientID)
        let other = onAnotherThread {
            let observer = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
            try Self.waitUntilBlocked(client, seenBy: observer)
            interrupt.signal()
        }
        let error = try #require(throws: RedisError.self) { try connection.call(Self.read, until: .soon) }
        #expect(error == .interrupted)
        #expect(error.outcomeIsUnknown && !error.isRetriable)
        #expect(!connection.isUsable)
        try other.join()
    }

    @Test("answers nothing when another client unblocks it, and the connection goes on in step")
    func unblocked() throws {
        let server = try RedisServer()
        try Self.makeGroup(on: server)
        let connection = try server.connect()
        let (configuration, client) = (server.unix, connection.clientID)
        let other = onAnotherThread {
            let observer = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
            try Self.waitUntilBlocked(client, seenBy: observer)
            try observer.call(RedisCommand("CLIENT", "UNBLOCK", client, "TIMEOUT"), until: .soon)
        }
        #expect(try connection.call(Self.read, until: .soon).isNull)
        #expect(try connection.call(RedisCommand("PING"), until: .soon).string == "PONG")
        try other.join()
    }

    @Test("is lost when the server is told to kill it")
    func killed() throws {
        let server = try RedisServer()
        try Self.makeGroup(on: server)
        let connection = try server.connect()
        let (configuration, client) = (server.unix, connection.clientID)
        let other = onAnotherThread {
            let observer = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
            try Self.waitUntilBlocked(client, seenBy: observer)
            try observer.call(RedisCommand("CLIENT", "KILL", "ID", client), until: .soon)
        }
        let error = try #require(throws: RedisError.self) { try connection.call(Self.read, until: .soon) }
        guard case .connectionLost = error else { throw error }
        #expect(error.outcomeIsUnknown)
        try other.join()
    }

    @Test("ends the connection at its deadline, and the server notices")
    func deadline() throws {
        let server = try RedisServer()
        try Self.makeGroup(on: server)
        let connection = try server.connect()
        let error = try #require(throws: RedisError.self) {
            try connection.call(Self.read, until: .after(.milliseconds(30)))
        }
        #expect(error == .timedOut(operation: "XREADGROUP", address: connection.address))
        let observer = try server.connect()
        try waitUntil("the server has dropped the client") {
            try observer.call(RedisCommand("CLIENT", "LIST", "ID", connection.clientID), until: .soon).bytes == []
        }
    }

    @Test("is not ended by an interrupt that the connection was told to ignore")
    func withoutInterrupt() throws {
        let server = try RedisServer()
        let interrupt = Interrupt()
        let connection = try server.connect(interrupt: interrupt)
        interrupt.signal()
        connection.interrupt = nil
        #expect(try connection.call(RedisCommand("BLPOP", "none", "0.01"), until: .soon).isNull)
    }
}
