import Harness
import PrivateServers
import RedisClient
import TestSupport
import Testing
import ThreadedIO

@Suite("Redis behind Sentinels", .serialized)
struct SentinelTests {
    private func url(_ sentinels: PrivateSentinel..., master: String = PrivateSentinel.masterName) -> String {
        let places = sentinels.map { "127.0.0.1:\($0.port)" }
        return "redis+sentinel://\(places.joined(separator: ","))/\(master)"
    }

    @Test("a Sentinel promotes a replica that lacks applied orders: workers and submitters follow, nothing is skipped")
    func failover() async throws {
        try await Site.open { site in
            let replica = try await site.replica()
            let sentinel = try await PrivateSentinel.start(watching: site.redis, in: site.directory, downAfter: 1000)
            try await eventually("the Sentinel knows the replica") { try await sentinel.knowsReplica() }
            try await site.startWorkers(at: url(sentinel))
            var submissions = try await site.submit(20, at: url(sentinel))
            try await site.drained()
            try await replica.catchUp(with: site.redis)

            // It would put the replica right that is cut off here.
            await sentinel.kill()
            try await replica.cutOff()
            submissions += try await site.submit(25)
            try await site.drained()
            await site.redis.kill()
            try await sentinel.restart()
            let port = replica.port ?? 0
            // It goes on naming the old one until the new one says that it is master.
            try await eventually(within: .seconds(60), "the Sentinel names the promoted replica") {
                let session = try? await Session.open(url(sentinel))
                return await session?.address == "127.0.0.1:\(port)/0"
            }
            submissions += try await site.submit(20, at: url(sentinel))
            try await site.drained(at: url(sentinel))
            #expect(site.healed == 25)
            try await site.expectAgreement(submissions, at: url(sentinel))
            await sentinel.kill()
            await replica.stop()
        }
    }

    @Test("a log is opened only where a majority of the Sentinels says so, over a connection that was open before too")
    func authority() async throws {
        let directory = try await PrivateDirectory()
        let master = try await PrivateRedis.start(in: directory, password: "p@ss", tcp: true)
        let replica = try await PrivateRedis.start(in: directory, name: "replica", password: "p@ss", tcp: true)
        try await replica.follow(master)
        let first = try await PrivateSentinel.start(watching: master, in: directory, name: "s1", password: "s p")
        let second = try await PrivateSentinel.start(
            watching: master, in: directory, name: "s2", password: "s p", downAfter: 3_600_000)
        try await eventually("the Sentinel knows the replica") { try await first.knowsReplica() }
        let options = "?password=p%40ss&sentinel_password=s%20p"
        let one = try await Session.open(url(first) + options)
        let two = try await Session.open(url(first, second) + options)
        #expect(try await one.isAuthoritative())
        #expect(try await two.isAuthoritative())

        // Nobody touches the master itself: it stands still, and its connections stay up.
        master.pause()
        try await eventually(within: .seconds(30), "the Sentinel names the replica") {
            try await !one.isAuthoritative()
        }
        // The second was told by the first, or not yet: it counts only when both say the same.
        await second.kill()
        await #expect {
            try await two.isAuthoritative()
        } throws: {
            "\($0)".contains("no majority of the Sentinels agrees") && "\($0)".contains("1 of 2 say 127.0.0.1:")
        }
        let found = try await Session.open(url(second, first) + options)
        #expect(await found.address == "127.0.0.1:\(replica.port ?? 0)/0", "one that is down is passed over")

        await first.kill()
        await #expect {
            try await Session.open(url(first, second) + options)
        } throws: { "\($0)".contains("mymaster/0 (by Sentinel)") && !"\($0)".contains("p@ss") }
        await master.kill()
        await replica.stop()
        await directory.remove()
    }

    @Test("a wrong name, a wrong password and a Sentinel that names a replica are said so")
    func mistakes() async throws {
        let directory = try await PrivateDirectory()
        let master = try await PrivateRedis.start(in: directory, tcp: true)
        let sentinel = try await PrivateSentinel.start(watching: master, in: directory, password: "s3cret")
        await #expect {
            try await Session.open(url(sentinel, master: "other") + "?sentinel_password=s3cret")
        } throws: {
            guard case RedisError.connectionFailed = $0 else { return false }
            return "\($0)".contains("knows no master named other")
        }
        for password in ["", "?sentinel_password=wr0ng"] {
            await #expect {
                try await Session.open(url(sentinel) + password)
            } throws: {
                guard case RedisError.authenticationFailed = $0 else { return false }
                return "\($0)".contains("Sentinel") && !"\($0)".contains("wr0ng")
            }
        }
        #expect(try await Session.open(url(sentinel) + "?sentinel_password=s3cret").isAuthoritative())
        // Before the Sentinel has seen it, and reconnected elsewhere.
        let other = try await PrivateRedis.start(in: directory, name: "other", tcp: true)
        try await master.follow(other)
        await #expect {
            try await Session.open(url(sentinel) + "?sentinel_password=s3cret")
        } throws: {
            "\($0)".contains("it says that it is a replica of 127.0.0.1:")
        }
        await sentinel.kill()
        await master.stop()
        await other.stop()
        await directory.remove()
    }

    @Test("a command that finds no Sentinel ends with 69 and names them, without a password")
    func unreachable() async throws {
        try await Site.open { site in
            let done = try await ChildProcess.run(
                [site.shop.executable, "status"],
                environment: site.shop(at: "redis+sentinel://:s3cret@127.0.0.1:1,127.0.0.1:2/mymaster").environment,
                in: site.directory.path)
            #expect(done.status == .exited(69))
            #expect(done.errors.contains("127.0.0.1:1") && done.errors.contains("127.0.0.1:2"), "\(done.errors)")
            #expect(!(done.errors + done.output).contains("s3cret"))
        }
    }
}

/// A connection on a thread of its own.
private actor Session {
    private let executor = ThreadExecutor(name: "session")
    private let connection: RedisConnection
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    var address: String { connection.address }

    static func open(_ url: String) async throws -> Session {
        try await Session(RedisConfiguration(url: url))
    }

    private init(_ configuration: RedisConfiguration) async throws {
        connection = try RedisConnection(connectingTo: configuration, until: .after(.seconds(5)), interrupt: nil)
    }

    func isAuthoritative() throws -> Bool {
        try connection.isAuthoritative(for: "", until: .after(.seconds(5)))
    }
}
