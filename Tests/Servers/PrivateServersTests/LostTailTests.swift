import PrivateServers
import TestSupport
import Testing

@Suite("Private servers that lose what they had, or are replaced", .serialized)
struct LostTailTests {
    /// What one script of the log leaves in the AOF: two entries, and a count.
    private static let append = """
        for i = 1, 2 do redis.call('XADD', KEYS[1], '*', 'n', redis.call('INCR', KEYS[2])) end return 'done'
        """

    private func append(to server: PrivateRedis) async throws {
        try await server.ask("EVAL", Self.append, "2", "{a}:log", "{a}:count")
    }

    @Test("a cut AOF loses whole transactions from its end: at least the entries asked for, and nothing before them")
    func cutEntries() async throws {
        // With everysec a server holds back what it writes while a sync is slow, and answers all the same.
        let server = try await PrivateRedis.start(options: ["appendfsync no"])
        for _ in 0..<10 { try await append(to: server) }
        try await server.ask("SET", "after", "1")
        #expect(throws: ServerError.self) { try server.cutAOF(losing: 1) }
        await server.kill()
        #expect(try server.cutAOF(losing: 5) == 6)
        try await server.restart()
        #expect(try await server.ask("XLEN", "{a}:log") == "14")
        #expect(try await server.ask("GET", "{a}:count") == "14")
        #expect(try await server.ask("EXISTS", "after") == "0")
        await server.kill()
        #expect(throws: ServerError.self) { try server.cutAOF(losing: 15) }
        #expect(try server.cutAOF(bytes: 1) == 1)
        try await server.restart()
        #expect(try await server.ask("XLEN", "{a}:log") == "12", "a torn transaction is dropped whole")
        await server.stop()
    }

    @Test("a replica that is cut off and promoted lacks what came later, and has a replid of its own")
    func promoted() async throws {
        let directory = try await PrivateDirectory()
        let master = try await PrivateRedis.start(in: directory, password: "p 1", tcp: true)
        let replica = try await PrivateRedis.start(in: directory, name: "replica", password: "p 1")
        try await append(to: master)
        try await replica.follow(master)
        #expect(try await replica.replication("role") == "slave")
        let replid = try await replica.replication("master_replid")
        try await replica.cutOff()
        try await append(to: master)
        try await replica.promote()
        #expect(try await replica.replication("role") == "master")
        #expect(try await replica.replication("master_replid") != replid)
        #expect(try await replica.ask("XLEN", "{a}:log") == "2")
        try await append(to: replica)
        #expect(try await replica.ask("XLEN", "{a}:log") == "4")
        await master.stop()
        await replica.stop()
        await directory.remove()
    }

    @Test("a server can have a clock that is behind")
    func slowClock() async throws {
        let right = try await PrivateRedis.start()
        let slow = try await PrivateRedis.start(environment: SlowClock.environment(behind: 3600))
        let id = try #require(milliseconds(try await right.ask("XADD", "log", "*", "n", "1")))
        let slowID = try #require(milliseconds(try await slow.ask("XADD", "log", "*", "n", "1")))
        // Within ten minutes of an hour: how long the two calls took is nobody's business.
        #expect((3_000_000...3_600_000).contains(id - slowID))
        await right.stop()
        await slow.stop()
    }

    private func milliseconds(_ entryID: String) -> Int? {
        entryID.split(separator: "-").first.flatMap { Int($0) }
    }

    @Test("a Sentinel promotes the replica when the master is gone")
    func sentinel() async throws {
        let directory = try await PrivateDirectory()
        let master = try await PrivateRedis.start(in: directory, password: "secret", tcp: true)
        let replica = try await PrivateRedis.start(in: directory, name: "replica", password: "secret", tcp: true)
        try await replica.follow(master)
        let sentinel = try await PrivateSentinel.start(watching: master, in: directory)
        try await eventually("the Sentinel knows the replica") { try await sentinel.knowsReplica() }
        await master.kill()
        try await eventually(within: .seconds(30), "the replica is master") {
            // A Sentinel ends all connections of a server that it promotes, and so perhaps ours.
            (try? await replica.replication("role")) == "master"
        }
        await sentinel.kill()
        await replica.stop()
        await directory.remove()
    }
}
