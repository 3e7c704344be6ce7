import PrivateServers
import RedisClient
import TestSupport
import Testing
import ThreadedIO

@Suite("A proxy that misbehaves")
struct FaultProxyTests {
    @Test("carries conversations with Redis and Postgres both ways, whatever their size")
    func carries() async throws {
        try await withServers { servers in
            let toRedis = try FaultProxy.start(to: .unix(path: servers.redis.socketPath))
            let key = "\(servers.namespace):large"
            let large = String(repeating: "x", count: 5_000_000)
            let client = Client(of: toRedis)
            #expect(try await client.call("SET", key, large) == "OK")
            #expect(try await client.call("GET", key) == large)
            #expect(try await client.call("DEL", key) == "1")
            #expect(toRedis.counts.accepted == 1 && toRedis.counts.cut == 0)

            let socket = "\(servers.postgres.directory)/.s.PGSQL.\(servers.postgres.port)"
            let toPostgres = try FaultProxy.start(to: .unix(path: socket))
            let rows = try await ChildProcess.run([
                "psql", "-XAtc", "SELECT count(*) FROM generate_series(1, 9000)",
                "postgresql://postgres@127.0.0.1:\(toPostgres.port)/postgres",
            ])
            #expect(rows.output == "9000\n", "\(rows.errors)")
        }
    }

    @Test("cuts what is there, and takes new connections")
    func cuts() async throws {
        for ending in [FaultProxy.Ending.reset, .close] {
            try await withProxy { (proxy, _, client) async throws in
                #expect(try await client.answers())
                #expect(proxy.cut(ending) == 1)
                #expect(proxy.connections == 0)
                await #expect(throws: RedisError.self) { try await client.call("PING") }
                #expect(try await client.answers(), "over a new connection")
                #expect(proxy.counts.cut == 1 && proxy.counts.accepted == 2)
            }
        }
    }

    @Test("refuses new connections and leaves those that are there alone")
    func refuses() async throws {
        try await withProxy { (proxy, _, client) async throws in
            #expect(try await client.answers())
            proxy.setRefusing(true)
            let other = Client(of: proxy)
            await #expect(throws: RedisError.self) { try await other.call("PING") }
            #expect(try await client.answers())
            proxy.heal()
            #expect(try await other.answers())
            #expect(proxy.counts.refused == 1)
        }
    }

    @Test("bars clients by their addresses, and lets the others through")
    func bars() async throws {
        try await withProxy { (proxy, _, client) async throws in
            #expect(try await client.answers())
            proxy.bar(["127.0.0.9"])
            #expect(try await client.answers())
            #expect(proxy.counts.cut == 0)
            proxy.bar(["127.0.0.9", "127.0.0.1"])
            #expect(proxy.counts.cut == 1)
            await #expect(throws: RedisError.self) { try await client.call("PING") }
            proxy.heal()
            await #expect(throws: RedisError.self) { try await Client(of: proxy).call("PING") }
            proxy.bar([])
            #expect(try await client.answers())
        }
    }

    @Test("delays each way")
    func delays() async throws {
        try await withProxy { (proxy, _, client) async throws in
            #expect(try await client.answers())
            proxy.setDelay(.milliseconds(60))
            let start = ContinuousClock.now
            #expect(try await client.answers())
            #expect(start.duration(to: .now) >= .milliseconds(120))
        }
    }

    @Test("half open: what goes to the held side waits there, the other side goes on, and all of it comes in the end")
    func holds() async throws {
        try await withProxy { proxy, redis, client in
            let direct = Client(redis)
            #expect(try await client.call("SET", "k", "1") == "OK")
            proxy.hold([.toClient])
            let answer = Task { try await client.call("INCR", "k") }
            try await eventually("the server did it") { try await direct.call("GET", "k") == "2" }
            proxy.hold([])
            #expect(try await answer.value == "2")

            proxy.hold([.toServer])
            await #expect(throws: RedisError.self) { try await client.call("INCR", "k", within: .milliseconds(50)) }
            #expect(try await direct.call("GET", "k") == "2", "it never got there")
            proxy.hold([])
            // The client gave up and closed; the proxy carries both, the request and the end.
            try await eventually("it got there late") { try await direct.call("GET", "k") == "3" }
            try await eventually("the connection is gone") { proxy.connections == 0 }
        }
    }

    @Test("drops the answer to the request that is meant: the server did it, and the client doesn't know")
    func dropsAnswer() async throws {
        try await withProxy { (proxy, _, client) async throws in
            #expect(try await client.call("SET", "k", "1") == "OK")
            proxy.dropAnswer(toRequestHolding: "INCR")
            #expect(try await client.call("GET", "k") == "1", "another request")
            #expect(proxy.awaitsRequest)
            let error = try await #require(throws: RedisError.self) { try await client.call("INCR", "k") }
            #expect(error.outcomeIsUnknown)
            #expect(try await client.call("GET", "k") == "2")
            #expect(proxy.counts.answersDropped == 1 && !proxy.awaitsRequest)
        }
    }

    @Test("splits into single bytes, and everything arrives")
    func splits() async throws {
        try await withProxy { (proxy, _, client) async throws in
            proxy.setPieces(ofBytes: 1)
            let text = String(repeating: "é\r\n$3", count: 300)
            #expect(try await client.call("SET", "k", text) == "OK")
            #expect(try await client.call("GET", "k") == text)
        }
    }

    @Test("cuts in the middle of a frame")
    func cutsFrame() async throws {
        try await withProxy { (proxy, _, client) async throws in
            #expect(try await client.call("SET", "k", "0123456789") == "OK")
            // $10\r\n0123…: five bytes and three more.
            proxy.cut(afterBytes: 8, .toClient)
            await #expect(throws: RedisError.self) { try await client.call("GET", "k") }
            #expect(proxy.counts.cut == 1)
            // A request that is cut is not carried out.
            #expect(try await client.answers())
            proxy.cut(afterBytes: 10, .toServer)
            await #expect(throws: RedisError.self) { try await client.call("DEL", "k") }
            #expect(try await client.call("EXISTS", "k") == "1")
        }
    }

    @Test("its address stays when the server behind it is another, or was away")
    func switches() async throws {
        try await withProxy { (proxy, _, client) async throws in
            let other = try await PrivateRedis.start()
            #expect(try await client.call("SET", "who", "first") == "OK")
            let direct = Client(other)
            #expect(try await direct.call("SET", "who", "second") == "OK")
            proxy.setUpstream(.unix(path: other.socketPath))
            #expect(try await client.call("GET", "who") == "first", "connections stay with the old server")
            proxy.cut()
            await #expect(throws: RedisError.self) { try await client.call("GET", "who") }
            #expect(try await client.call("GET", "who") == "second")
            await other.kill()
            await #expect(throws: RedisError.self) { try await client.call("GET", "who") }
            await #expect(throws: RedisError.self) { try await client.call("GET", "who") }
            try await other.restart()
            #expect(try await client.call("GET", "who") == "second")
            await other.stop()
        }
    }

    @Test("listens on a unix socket, and goes away with its owner")
    func unixSocket() async throws {
        let redis = try await PrivateRedis.start()
        let path = "\(redis.directory)/proxy.sock"
        var proxy: FaultProxy? = try FaultProxy.start(
            to: .unix(path: redis.socketPath), listeningOn: .unix(path: path))
        let client = Client(RedisConfiguration(.unix(path: path)))
        #expect(try await client.answers())
        #expect(proxy?.port == 0)
        proxy = nil
        await #expect(throws: RedisError.self) { try await client.call("PING") }
        await #expect(throws: RedisError.self) { try await client.call("PING") }
        await redis.stop()
    }

    // MARK: -

    private func withProxy(_ body: (FaultProxy, PrivateRedis, Client) async throws -> Void) async throws {
        let redis = try await PrivateRedis.start()
        let proxy = try FaultProxy.start(to: .unix(path: redis.socketPath))
        try await body(proxy, redis, Client(of: proxy))
        await redis.stop()
    }

    /// A client on a thread of its own; it connects when it has no connection.
    private actor Client {
        private let executor = ThreadExecutor(name: "client")
        private let configuration: RedisConfiguration
        private var connection: RedisConnection?

        nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

        init(_ configuration: RedisConfiguration) {
            ignoreBrokenPipes()
            self.configuration = configuration
        }

        init(of proxy: FaultProxy) { self.init(RedisConfiguration(.tcp(host: "127.0.0.1", port: proxy.port))) }
        init(_ redis: PrivateRedis) { self.init(RedisConfiguration(.unix(path: redis.socketPath))) }

        func answers() throws -> Bool { try call("PING") == "PONG" }

        func call(_ words: String..., within limit: Duration = .seconds(20)) throws -> String {
            let connection =
                if let usable = self.connection, usable.isUsable { usable } else {
                    try RedisConnection(connectingTo: configuration, until: .after(limit), interrupt: nil)
                }
            self.connection = connection
            let reply = try connection.call(
                RedisCommand(words[0], arguments: RedisArguments(words.dropFirst())), until: .after(limit))
            return reply.integer.map { "\($0)" } ?? reply.string ?? ""
        }
    }
}
