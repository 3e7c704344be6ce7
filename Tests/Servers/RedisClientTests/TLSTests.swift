import Glibc
import PrivateServers
import TestSupport
import Testing
import ThreadedIO

@testable import RedisClient

@Suite(
    "A Redis connection with TLS", .timeLimit(.minutes(2)),
    .enabled("the server is built with TLS") { try await RedisProgram.knowsTLS() })
struct TLSTests {
    @Test("to a port without is told so, and one without to a port with, too")
    func wrongPorts() async throws {
        let site = try await TLSSite.shared.value
        let plain = try RedisServer()
        var configuration = plain.tcp
        configuration.tls = RedisTLS()
        configuration.connectTimeout = .seconds(2)
        let error = #expect(throws: RedisError.self) {
            _ = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
        }
        guard case .tlsFailed(_, let reason) = error else { throw try #require(error) }
        #expect(reason.contains("speaks no TLS at this port") && reason.contains("redis://"))

        var other = try site.configuration(site.right)
        other.tls = nil
        let failure = #expect(throws: RedisError.self) {
            _ = try RedisSession(connectingTo: other, until: .soon, interrupt: nil)
        }
        #expect("\(try #require(failure))".contains("rediss://"))
    }

    @Test("to a server that answers in clear at once, or with an alert of TLS to a client without, is told so at once")
    func otherLanguages() throws {
        for answer in ["-ERR unknown command\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
            let server = try ScriptedServer(greets: false) { peer in
                peer.say(answer)
                peer.waitForHangUp()
            }
            var configuration = server.configuration
            configuration.tls = RedisTLS()
            let error = #expect(throws: RedisError.self) {
                _ = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
            }
            #expect("\(try #require(error))".contains("speaks no TLS"))
        }
        let server = try ScriptedServer(greets: false) { peer in
            peer.say("\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}F")
            peer.waitForHangUp()
        }
        let error = #expect(throws: RedisError.self) { _ = try server.connect() }
        guard case .tlsFailed(_, let reason) = error else { throw try #require(error) }
        #expect(reason.contains("write rediss://"))
    }

    @Test("ends in the handshake by the deadline, by an interrupt, and when the server hangs up")
    func silence() throws {
        func silent() throws -> ScriptedServer { try ScriptedServer(greets: false) { $0.waitForHangUp() } }
        let server = try silent()
        var configuration = server.configuration
        configuration.tls = RedisTLS()
        let late = #expect(throws: RedisError.self) {
            _ = try RedisSession(connectingTo: configuration, until: .after(.milliseconds(300)), interrupt: nil)
        }
        guard case .connectionFailed(_, "in the TLS handshake: no answer in time") = late else {
            throw try #require(late)
        }
        let second = try silent()
        configuration.endpoint = second.configuration.endpoint
        let interrupt = Interrupt()
        interrupt.signal()
        #expect(throws: RedisError.interrupted) {
            _ = try RedisSession(connectingTo: configuration, until: .soon, interrupt: interrupt)
        }
        let third = try ScriptedServer(greets: false) { _ in }
        configuration.endpoint = third.configuration.endpoint
        let gone = #expect(throws: RedisError.self) {
            _ = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
        }
        guard case .connectionFailed = gone else { throw try #require(gone) }
    }

    @Test("carries more than both sides' buffers hold, both ways at once", arguments: [nil, 1, 5000])
    func large(piece: Int?) async throws {
        let site = try await TLSSite.shared.value
        let proxy = try FaultProxy.start(to: .loopback(port: site.right.port ?? 0))
        // Of a byte each, some only.
        let (count, length) = piece == 1 ? (3, 30_000) : (24, 1 << 20)
        proxy.setPieces(ofBytes: piece)
        var configuration = try site.configuration(site.right)
        configuration.endpoint = .tcp(host: "127.0.0.1", port: proxy.port)
        try await blocking { [configuration] in
            let connection = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
            let payloads = (0..<count).map { [UInt8](repeating: UInt8($0), count: length + $0) }
            for payload in payloads { connection.send(RedisCommand("ECHO", payload)) }
            #expect(connection.unwrittenBytes > count * length)
            let deadline = Deadline.after(.seconds(60))
            try connection.flush(until: deadline)
            #expect(connection.unwrittenBytes == 0)
            for payload in payloads {
                let reply = try connection.receive(until: deadline)
                #expect(reply.bytes == payload)
            }
            // By the client's own pieces, and with many small replies in a record.
            let replies = try connection.pipeline((0..<2000).map { RedisCommand("ECHO", $0) }, until: deadline)
            #expect(replies.map(\.string) == (0..<2000).map { "\($0)" })
            let largest = try connection.pipeline(payloads.map { RedisCommand("ECHO", $0) }, until: deadline)
            #expect(largest.map(\.bytes) == payloads)
        }
    }

    @Test("that is cut in the middle of a reply is lost, and says so")
    func cut() async throws {
        let site = try await TLSSite.shared.value
        for ending in [FaultProxy.Ending.reset, .close] {
            let proxy = try FaultProxy.start(to: .loopback(port: site.right.port ?? 0))
            var configuration = try site.configuration(site.right)
            configuration.endpoint = .tcp(host: "127.0.0.1", port: proxy.port)
            try await blocking { [configuration] in
                let connection = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
                proxy.hold([.toClient])
                connection.send(RedisCommand("ECHO", String(repeating: "x", count: 100_000)))
                try connection.flush(until: .soon)
                proxy.cut(ending)
                let error = #expect(throws: RedisError.self) { _ = try connection.receive(until: .soon) }
                guard case .connectionLost = error else { throw try #require(error) }
                #expect(error?.outcomeIsUnknown == true && !connection.isUsable)

                let again = try RedisSession(connectingTo: configuration.healed(proxy), until: .soon, interrupt: nil)
                proxy.cut(afterBytes: 60_000, .toClient)
                let half = #expect(throws: RedisError.self) {
                    _ = try again.call(RedisCommand("ECHO", String(repeating: "x", count: 200_000)), until: .soon)
                }
                guard case .connectionLost = half else { throw try #require(half) }
            }
        }
    }

    @Test("hands over what the server said before it hung up")
    func lastWords() async throws {
        let site = try await TLSSite.shared.value
        let connection = try site.connect(site.right)
        // The answer and the end come at once.
        connection.send(RedisCommand("ECHO", "tea"))
        connection.send(RedisCommand("QUIT"))
        connection.send(RedisCommand("PING"))
        #expect(try connection.receive(until: .soon).string == "tea")
        #expect(try connection.receive(until: .soon).string == "OK")
        #expect(throws: RedisError.self) { _ = try connection.receive(until: .soon) }
    }

    @Test("waits in blocking reads and subscriptions, ends them in time, and is interrupted")
    func waiting() async throws {
        let site = try await TLSSite.shared.value
        let configuration = try site.configuration(site.right)
        let subscription = try RedisSubscription(to: "tea", at: configuration, until: .soon, interrupt: nil)
        #expect(try subscription.receiveMessage(until: .after(.milliseconds(5))) == nil)
        let connection = try site.connect(site.right)
        for text in ["green", "black"] { try connection.call(RedisCommand("PUBLISH", "tea", text), until: .soon) }
        #expect(try subscription.receiveMessage(until: .soon) == Array("green".utf8))
        #expect(try subscription.receiveMessage(until: .soon) == Array("black".utf8))
        try subscription.checkAlive(until: .soon)

        let blocked = connection.clientID
        let other = onAnotherThread {
            let observer = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
            try waitUntil("the reader is blocked") {
                try observer.call(RedisCommand("CLIENT", "LIST", "ID", blocked), until: .soon).requireString()
                    .contains(" flags=b")
            }
            try observer.call(RedisCommand("RPUSH", "jobs", "one"), until: .soon)
        }
        let reply = try connection.call(RedisCommand("BLPOP", "jobs", 60), until: .soon)
        try other.join()
        #expect(try reply.requireArray(count: 2)[1].requireString() == "one")
        #expect(throws: RedisError.timedOut(operation: "BLPOP", address: connection.address)) {
            try connection.call(RedisCommand("BLPOP", "jobs", 60), until: .after(.milliseconds(20)))
        }
        let interrupt = Interrupt()
        let next = try RedisSession(connectingTo: configuration, until: .soon, interrupt: interrupt)
        interrupt.signal()
        #expect(throws: RedisError.interrupted) {
            try next.call(RedisCommand("BLPOP", "jobs", 60), until: .soon)
        }
    }
}

extension RedisConfiguration {
    /// The same, once the proxy does no more harm.
    fileprivate func healed(_ proxy: FaultProxy) -> RedisConfiguration {
        proxy.heal()
        return self
    }
}
