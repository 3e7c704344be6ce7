import RedisClient
import Testing
import ThreadedIO

@Suite("A server that misbehaves")
struct ProtocolTests {
    /// What a client gets that sends ASK to a server that answers as the script does.
    private static func ask(
        until deadline: Deadline = .soon, _ script: @escaping @Sendable (ScriptedServer.Peer) -> Void
    ) throws -> (error: RedisError, connection: RedisSession) {
        let server = try ScriptedServer { peer in
            peer.waitFor("ASK\r\n")
            script(peer)
        }
        let connection = try server.connect()
        let error = try #require(throws: RedisError.self) {
            try connection.call(RedisCommand("ASK"), until: deadline)
        }
        #expect(!connection.isUsable)
        #expect(connection.outstanding == 0)
        // What comes after is refused without a word to the server.
        let later = try #require(throws: RedisError.self) { try connection.call(RedisCommand("ASK"), until: .soon) }
        guard case .connectionLost = later else { throw later }
        return (error, connection)
    }

    @Test(
        "that answers nonsense violates the protocol",
        arguments: [
            ("?what\r\n", "reply type byte"),
            (":12a\r\n", "Bad integer value"),
            ("*5000000000\r\n", "Multi-bulk length out of range"),
            ("*2147483647\r\n", "more parts than there is room for"),
            ("*4\r\n" + String(repeating: "*20000000\r\n", count: 4), "more parts than there is room for"),
            ("$-5\r\n", "Bulk string length out of range"),
        ])
    func nonsense(_ text: String, _ complaint: String) throws {
        let (error, _) = try Self.ask { peer in
            peer.say(text)
            peer.waitForHangUp()
        }
        guard case .protocolViolation(let reason) = error else { throw error }
        #expect(reason.contains(complaint))
        #expect(error.outcomeIsUnknown && !error.isRetriable)
    }

    @Test("that nests deeply is refused by hiredis 0.14, and read by 1.x")
    func nested() throws {
        let server = try ScriptedServer { peer in
            peer.waitFor("ASK\r\n")
            peer.say(String(repeating: "*1\r\n", count: 12) + ":1\r\n")
            peer.waitForHangUp()
        }
        let connection = try server.connect()
        let reply: RedisReply
        do {
            reply = try connection.call(RedisCommand("ASK"), until: .soon)
        } catch {
            guard case .protocolViolation(let reason) = error else { throw error }
            #expect(reason.contains("nested multi bulk"))
            #expect(!connection.isUsable)
            return
        }
        var innermost = reply
        for _ in 0..<12 { innermost = try innermost.requireArray(count: 1)[0] }
        #expect(innermost.integer == 1)
        connection.close()
    }

    @Test(
        "that closes before or within its answer has lost the connection",
        arguments: ["", "$10\r\ntea", "$10", "*2\r\n:1\r\n", "$999999999999\r\ntea", "*200000\r\n:1\r\n"])
    func closes(within text: String) throws {
        let (error, connection) = try Self.ask { $0.say(text) }
        #expect(error == .connectionLost(address: connection.address, reason: "Server closed the connection"))
        #expect(error.outcomeIsUnknown && error.isRetriable)
    }

    @Test(
        "that says nothing, or not all of it, is given up at the deadline",
        arguments: ["", "*2\r\n$3\r\ntea\r\n$3\r\nm"])
    func silent(after text: String) throws {
        let start = ContinuousClock.now
        let (error, connection) = try Self.ask(until: .after(.milliseconds(60))) { peer in
            peer.say(text)
            peer.waitForHangUp()
        }
        #expect(error == .timedOut(operation: "ASK", address: connection.address))
        #expect(error.outcomeIsUnknown && error.isRetriable)
        #expect(start.duration(to: .now) >= .milliseconds(60))
    }

    @Test("by sending one byte at a time is understood all the same")
    func trickles() throws {
        let server = try ScriptedServer { peer in
            for text in ["*3\r\n$3\r\ntea\r\n*2\r\n:1\r\n$-1\r\n-ERR no mug\r\n", "+OK\r\n"] {
                peer.waitFor("ASK\r\n")
                for byte in text { peer.say(String(byte)) }
            }
            peer.waitForHangUp()
        }
        let connection = try server.connect()
        let reply = try connection.call(RedisCommand("ASK"), until: .soon)
        #expect(reply[0].string == "tea" && reply[1][0].integer == 1 && reply[1][1].isNull)
        #expect(reply[2].error?.message == "no mug")
        #expect(try connection.call(RedisCommand("ASK"), until: .soon).string == "OK")
    }

    @Test("by closing amid a pipeline leaves the replies that came, then a lost connection")
    func closesAmidPipeline() throws {
        let server = try ScriptedServer { peer in
            for text in [":1\r\n", "-OOM no room\r\n", "$5\r\ngr"] {
                peer.waitFor("ASK\r\n")
                peer.say(text)
            }
        }
        let connection = try server.connect()
        for _ in 0..<3 { connection.send(RedisCommand("ASK")) }
        #expect(try connection.receive(until: .soon).integer == 1)
        #expect(try connection.receive(until: .soon).error?.isRetriable == true)
        #expect(connection.outstanding == 1)
        #expect(throws: RedisError.connectionLost(address: connection.address, reason: "Server closed the connection"))
        {
            try connection.receive(until: .soon)
        }
    }

    @Test("by not reading is given up at the deadline, however much is to be written")
    func doesNotRead() throws {
        let connectionIsDone = Interrupt()
        let server = try ScriptedServer { _ in connectionIsDone.wait(until: .soon) }
        defer { connectionIsDone.signal() }
        let connection = try server.connect()
        connection.send(RedisCommand("ECHO", [UInt8](repeating: 0, count: 64 << 20)))
        let error = try #require(throws: RedisError.self) { try connection.flush(until: .after(.milliseconds(50))) }
        guard case .timedOut(operation: "ECHO", _) = error else { throw error }
        #expect(!connection.isUsable)
    }

    @Test("by being something else than Redis fails the opening, and so does silence, or hanging up")
    func opening() throws {
        let http = try ScriptedServer(greets: false) { peer in
            peer.waitFor("HELLO\r\n")
            peer.say("HTTP/1.1 400 Bad Request\r\n\r\n")
            peer.waitForHangUp()
        }
        let violation = try #require(throws: RedisError.self) { try http.connect() }
        guard case .protocolViolation = violation else { throw violation }

        let closing = try ScriptedServer(greets: false) { $0.waitFor("HELLO\r\n") }
        #expect(
            throws: RedisError.connectionFailed(
                address: closing.configuration.address,
                reason: "Server closed the connection, before the server said a word. "
                    + "Should its port be for TLS: write rediss:// in the URL")
        ) { try closing.connect() }

        let silent = try ScriptedServer(greets: false) { $0.waitForHangUp() }
        var configuration = silent.configuration
        configuration.connectTimeout = .milliseconds(50)
        #expect(
            throws: RedisError.sessionFailed(
                address: configuration.address, reason: "connected, but no answer in time", passes: true)
        ) { try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil) }

        let old = try ScriptedServer(greets: false) { peer in
            peer.waitFor("HELLO\r\n")
            peer.say("-ERR unknown command `HELLO`, with args beginning with: \r\n")
            peer.waitForHangUp()
        }
        #expect(
            throws: RedisError.sessionFailed(
                address: old.configuration.address, reason: "HELLO was answered with: ERR unknown command `HELLO`",
                passes: false)
        ) { try old.connect() }
    }
}
