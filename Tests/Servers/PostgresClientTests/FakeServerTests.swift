import PostgresClient
import Testing
import ThreadedIO

@Suite("A server that does not keep to the protocol")
struct FakeServerTests {
    @Test("something else than Postgres at the port is said to be that")
    func garbage() throws {
        let server = FakeServer { client in
            client.read()
            client.send(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
            client.readAll()
        }
        let error = postgresError { _ = try server.connect() }
        guard case .connectionFailed(_, nil, let reason) = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(reason.contains("expected authentication request"))
    }

    @Test("closing after the start-up packet is a failed connection")
    func closes() throws {
        let server = FakeServer { $0.read() }
        let error = try #require(postgresError { _ = try server.connect() })
        guard case .connectionFailed = error else { throw error }
        #expect(error.isRetriable && !"\(error)".contains("hunter2"))
    }

    @Test("silence while connecting ends at the deadline")
    func silence() throws {
        let server = FakeServer { $0.readAll() }
        let start = ContinuousClock.now
        let error = postgresError { _ = try server.connect(until: .after(.milliseconds(100))) }
        guard case .connectionFailed(_, nil, let reason) = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(reason.contains("in time") && start.duration(to: .now) < .seconds(5))
    }

    @Test("silence while connecting ends at an interrupt")
    func interruptedSilence() throws {
        let interrupt = Interrupt()
        let server = FakeServer { client in
            client.read()
            interrupt.signal()
            client.readAll()
        }
        let error = postgresError { _ = try server.connect(interrupt: interrupt) }
        #expect(error == .interrupted(outcomeIsUnknown: false))
    }

    @Test(
        "a broken answer loses the connection, the outcome unknown",
        arguments: [
            // Cut in the middle of a message; a length that can't be; a row without a description; nothing at all.
            Array(FakeClient.message("C", Array("INSERT 0 1\0".utf8)).dropLast(4)),
            [UInt8(ascii: "C"), 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3],
            Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8),
            [],
        ] as [[UInt8]])
    func brokenAnswer(bytes: [UInt8]) throws {
        let server = FakeServer { client in
            client.welcome()
            client.read()
            client.send(bytes)
        }
        let connection = try server.connect()
        #expect(connection.serverVersion == "15.0" && connection.processID == 1)
        let error = try #require(postgresError { try connection.query("INSERT", until: soon) })
        guard case .connectionLost = error else { throw error }
        #expect(error.outcomeIsUnknown && !connection.isUsable)
    }

    @Test("a commit that is done at the server, but not said to be ready, has an unknown outcome")
    func lostAfterCommandComplete() throws {
        let server = FakeServer { client in
            client.welcome()
            client.read()
            // The settings, and then the statement itself.
            for command in ["SELECT 1", "INSERT 0 1"] {
                client.send("1", [])
                client.send("2", [])
                client.send("n", [])
                client.send("C", Array("\(command)\0".utf8))
            }
        }
        let connection = try server.connect()
        let error = postgresError { try connection.query("INSERT", until: soon) }
        guard case .connectionLost(_, outcomeIsUnknown: true) = error else {
            Issue.record("\(error as Any)")
            return
        }
    }

    @Test("an answer that does not add up loses the connection, the outcome unknown")
    func doesNotAddUp() throws {
        let server = FakeServer { client in
            client.welcome()
            client.read()
            client.send("1", [])
            client.send("2", [])
            client.send("T", [0, 9, 1, 2, 3])
            client.send("Z", [UInt8(ascii: "I")])
            client.readAll()
        }
        let connection = try server.connect()
        let error = try #require(postgresError { try connection.query("SELECT 1", until: soon) })
        guard case .connectionLost = error else { throw error }
        #expect(error.outcomeIsUnknown && !connection.isUsable)
    }

    @Test("a server that does not read is given up at the deadline, nothing done")
    func doesNotRead() throws {
        let release = Interrupt()
        let server = FakeServer { client in
            client.welcome()
            release.wait(until: soon)
        }
        defer { release.signal() }
        let connection = try server.connect()
        let huge = PostgresValue.text(String(repeating: "x", count: 20_000_000))
        let error = postgresError { try connection.query("SELECT $1", [huge], until: .after(.seconds(2))) }
        #expect(error == .timedOut(outcomeIsUnknown: false))
        #expect(!connection.isUsable)
    }

    @Test("silence to a statement ends soon after the deadline, the outcome unknown")
    func silentStatement() throws {
        let server = FakeServer { client in
            client.welcome()
            client.readAll()
        }
        let connection = try server.connect()
        let start = ContinuousClock.now
        let error = postgresError { try connection.query("INSERT", until: .after(.milliseconds(100))) }
        #expect(error == .timedOut(outcomeIsUnknown: true))
        #expect(start.duration(to: .now) < .seconds(5))
    }
}
