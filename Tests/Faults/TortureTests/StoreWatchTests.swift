import Harness
import PostgresClient
import PrivateServers
import RedisClient
import TestSupport
import Testing
import ThreadedIO

@Suite("What may not be seen, even for a moment")
struct StoreWatchTests {
    private struct Sabotage: Sendable {
        let expected: String
        var sql: String?
        var command: RedisCommand?
    }

    @Test("each of them is seen and named, and nothing where nothing is wrong")
    func sabotage() async throws {
        try await withServers { test in
            let shop = try await applied(test)
            let tag = "{\(test.namespace):0}"
            let watch = StoreWatch(shop, partitions: 1, sessionsMax: 300)
            await watch.look()
            await watch.look()
            #expect(await watch.findings.looks == 2)
            #expect(await watch.findings.violations == [])
            for sabotage in [
                Sabotage(
                    expected: "group stock acknowledged seq 3, applied 2",
                    command: RedisCommand("HSET", "\(tag):position:stock", "seq", 2)),
                Sabotage(
                    expected: "position of stock went back from 3 to 2",
                    command: RedisCommand("HSET", "\(tag):position:stock", "seq", 2)),
                Sabotage(
                    expected: "token of delivery went back from",
                    command: RedisCommand("HSET", "\(tag):position:delivery", "token", 0)),
                Sabotage(
                    expected: "the log begins at seq 3, group delivery is at 1",
                    command: RedisCommand(
                        "EVAL", "redis.call('XTRIM', KEYS[1], 'MAXLEN', 1) redis.call('HSET', KEYS[2], 'seq', 1)", 2,
                        "\(tag):log", "\(tag):position:delivery")),
                Sabotage(
                    expected: "group postgres acknowledged seq 3, applied 2", sql: "UPDATE partitions SET seq = 2"),
                Sabotage(expected: "the epoch went back from", sql: "UPDATE partitions SET epoch = 0"),
            ] {
                let seen = try await find(shop, tag, sabotage)
                #expect(seen.contains { $0.contains(sabotage.expected) }, "\(sabotage.expected): \(seen)")
            }
        }
    }

    @Test("a session idle in a transaction and too many connections are seen")
    func sessions() async throws {
        try await withServers { test in
            let shop = try await applied(test)
            let seen = try await BlockingLane(name: "idle").run {
                let idle = try shop.postgres()
                try idle.begin(until: .after(.seconds(10)))
                return idle.isUsable
            }
            #expect(seen)
            let idle = IdleSession(shop)
            try await idle.begin()
            let watch = StoreWatch(shop, partitions: 1, sessionsMax: 0, idleMax: .zero)
            await watch.look()
            let violations = await watch.findings.violations
            #expect(violations.contains { $0.contains("idle in a transaction") }, "\(violations)")
            #expect(violations.contains { $0.contains("Redis has more than 0") })
            #expect(violations.contains { $0.contains("Postgres has more than 0") })
            try await idle.end()
        }
    }

    @Test("positions in Redis may go back when a tail was lost, and only then")
    func lostTail() async throws {
        try await withServers { test in
            let shop = try await applied(test)
            let watch = StoreWatch(shop, partitions: 1, sessionsMax: 300)
            await watch.look()
            await watch.tailWasLost()
            let key = "{\(test.namespace):0}:position:delivery"
            try await BlockingLane(name: "cut").run {
                _ = try shop.redis().call(RedisCommand("HSET", key, "seq", 2), until: .after(.seconds(10)))
            }
            await watch.look()
            #expect(await watch.findings.violations.filter { $0.contains("went back") } == [])
        }
    }

    @Test("positions in Redis may go back and forth while a tail is being lost, and not afterwards")
    func losingTail() async throws {
        try await withServers { test in
            let shop = try await applied(test)
            let watch = StoreWatch(shop, partitions: 1, sessionsMax: 300)
            let key = "{\(test.namespace):0}:position:delivery"
            func look(at seq: Int) async throws -> [String] {
                try await BlockingLane(name: "cut").run {
                    _ = try shop.redis().call(RedisCommand("HSET", key, "seq", seq), until: .after(.seconds(10)))
                }
                await watch.look()
                return await watch.findings.violations.filter { $0.contains("went back") }
            }
            await watch.tailIsBeingLost(true)
            for seq in [3, 2, 3, 2] { #expect(try await look(at: seq) == []) }
            await watch.tailIsBeingLost(false)
            #expect(try await look(at: 2) == [])
            #expect(try await look(at: 1).count == 1)
        }
    }

    /// Does it, looks, and undoes it.
    private func find(_ shop: Shop, _ tag: String, _ sabotage: Sabotage) async throws -> [String] {
        let watch = StoreWatch(shop, partitions: 1, sessionsMax: 300)
        await watch.look()
        let limit = Deadline.after(.seconds(20))
        let keys = ["log", "position:stock", "position:delivery"]
        let row = try await BlockingLane(name: "sabotage").run {
            let (redis, postgres) = (try shop.redis(), try shop.postgres())
            for key in keys {
                try redis.call(RedisCommand("COPY", "\(tag):\(key)", "\(tag):kept:\(key)"), until: limit)
            }
            let row = try postgres.query("SELECT seq, epoch FROM partitions", until: limit).first
            if let command = sabotage.command { try redis.call(command, until: limit) }
            if let sql = sabotage.sql { try postgres.script(sql, until: limit) }
            return (try row?.requireInt64(0) ?? 0, try row?.requireInt64(1) ?? 0)
        }
        await watch.look()
        try await BlockingLane(name: "undo").run {
            let (redis, postgres) = (try shop.redis(), try shop.postgres())
            for key in keys {
                try redis.call(RedisCommand("RENAME", "\(tag):kept:\(key)", "\(tag):\(key)"), until: limit)
            }
            try postgres.script("UPDATE partitions SET seq = \(row.0), epoch = \(row.1)", until: limit)
        }
        return await watch.findings.violations
    }

    /// A log of one partition with three orders, applied by all groups.
    private func applied(_ test: TestServers) async throws -> Shop {
        let directory = try await PrivateDirectory()
        let shop = Shop(
            redisURL: test.redis.url, postgresURL: test.postgres.url, namespace: test.namespace,
            executable: BuiltExecutable.path, directory: directory.path)
        try await shop.run(["init", "--partitions", "1"])
        var generator = SeededGenerator(seed: 1)
        let orders = (0..<3).map { Workload.order($0, using: &generator) }
        _ = try await Submitters(servers: shop, pace: .zero).submit(orders, named: "orders")
        var workers: [ChildProcess] = []
        for group in StoreContents.groups { workers.append(try await shop.startWorker(group: group, name: group)) }
        let probe = StoreProbe(shop, partitions: 1)
        try await eventually(within: .seconds(30), "all is applied") { try await probe.backlog() == 0 }
        for worker in workers { await worker.stop() }
        await directory.remove()
        return shop
    }

    /// A session with a transaction that does nothing.
    private actor IdleSession {
        private let executor = ThreadExecutor(name: "idle")
        private let shop: Shop
        private var connection: PostgresConnection?

        nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

        init(_ shop: Shop) { self.shop = shop }

        func begin() throws {
            let connection = try shop.postgres()
            try connection.begin(until: .after(.seconds(10)))
            self.connection = connection
        }

        func end() throws { connection?.rollback() }
    }
}
