import Harness
import PostgresClient
import PrivateServers
import RedisClient
import Testing
import TestSupport
import ThreadedIO

@Suite("The demo's check")
struct StoreCheckTests {
    /// A small log that every group has applied.
    private struct Applied {
        let servers: Shop
        let submissions: [Submission]
    }

    @Test("stores that agree are clean, and each corruption is found and named")
    func corruptions() async throws {
        try await withServers { test in
            let shop = try await prepare(test)
            try await BlockingLane(name: "corrupt").run {
                let redis = try shop.servers.redis()
                let postgres = try shop.servers.postgres()
                func check() throws -> StoreCheck {
                    StoreCheck(
                        try StoreContents(redis: redis, postgres: postgres, namespace: shop.servers.namespace),
                        shop.submissions)
                }
                let clean = try check()
                #expect(clean.isClean, "\(clean.findings.flatMap(\.differences))")
                #expect(clean.findings.allSatisfy { $0.compared > 0 })
                for corruption in Corruption.inPostgres {
                    try postgres.begin(until: limit)
                    try postgres.query(corruption.sql, until: limit)
                    corruption.expectFound(in: try check())
                    // With the test's own patience: `rollback()` closes a connection to a server that is slow for seconds.
                    try postgres.query("ROLLBACK", until: limit)
                }
                let place = try RedisPlace(redis, shop)
                for corruption in Corruption.inRedis {
                    let key = place.key(corruption.key)
                    try redis.call(RedisCommand("COPY", key, "backup", "REPLACE"), until: limit)
                    try redis.call(corruption.command(key, place), until: limit)
                    corruption.expectFound(in: try check())
                    let exists = try redis.call(RedisCommand("EXISTS", "backup"), until: limit).requireInteger() == 1
                    let undo = exists ? RedisCommand("RENAME", "backup", key) : RedisCommand("DEL", key)
                    try redis.call(undo, until: limit)
                }
                #expect(try check().isClean, "the corruptions were undone")
            }
        }
    }

    @Test("an answer that doesn't hold is found: another place, another payload, or none in the log")
    func receipts() async throws {
        try await withServers { test in
            let shop = try await prepare(test)
            let contents = try await shop.servers.contents()
            let first = try #require(shop.submissions.first)
            var elsewhere = first.receipt
            elsewhere.seq = (elsewhere.seq ?? 0) + 1
            let refused = ReceiptLine(id: first.change.id, outcome: "unknown")
            let other = PlannedChange(kind: .counted, id: first.change.id, shop: first.change.shop, lines: [])
            for wrong in [
                Submission(change: first.change, receipt: elsewhere),
                Submission(change: first.change, receipt: refused),
                Submission(change: other, receipt: first.receipt),
            ] {
                let check = StoreCheck(contents, [wrong] + shop.submissions.dropFirst())
                #expect(check.differing == [.receipts])
            }
            #expect(StoreCheck(contents, Array(shop.submissions.dropFirst())).differing == [.receipts])
        }
    }

    /// Submits a small workload, and lets workers apply it.
    private func prepare(_ test: TestServers) async throws -> Applied {
        let directory = try await PrivateDirectory()
        let servers = Shop(
            redisURL: test.redis.url, postgresURL: test.postgres.url, namespace: test.namespace,
            executable: BuiltExecutable.path, directory: directory.path)
        try await servers.run(["init", "--partitions", "4"])
        let probe = StoreProbe(servers, partitions: 4)
        let fleet = WorkerFleet(servers, probe)
        for name in WorkerFleet.names where name.letter == "a" { try await fleet.start(name) }
        var generator = SeededGenerator(seed: 3)
        let workload = Workload(orders: 120, filesEach: 2, using: &generator)
        let submissions = try await Submitters(servers: servers, pace: .zero).run(workload)
        try await eventually(within: .seconds(30), "all is applied") { try await probe.backlog() == 0 }
        await fleet.stopAll()
        await directory.remove()
        return Applied(servers: servers, submissions: submissions)
    }

    private var limit: Deadline { .after(.seconds(10)) }

    /// A partition that holds something of everything.
    private struct RedisPlace {
        let tag: String
        let shop: String
        let lastEntry: String
        let deliveries: [String]

        init(_ redis: RedisConnection, _ shop: Applied) throws {
            let order = try #require(shop.submissions.last { $0.change.kind == .placed })
            self.shop = order.change.shop
            let limit = Deadline.after(.seconds(10))
            tag = "{\(shop.servers.namespace):\(try #require(order.receipt.partition))}"
            let last = try redis.call(
                RedisCommand("XREVRANGE", "\(tag):log", "+", "-", "COUNT", 1), until: limit)
            lastEntry = try last[0][0].requireString()
            deliveries = try redis.call(RedisCommand("LRANGE", "\(tag):deliveries", 0, -1), until: limit)
                .requireArray().map { try $0.requireString() }
        }

        func key(_ name: String) -> String { "\(tag):\(name.replacing("SHOP", with: shop))" }
    }

    private struct Corruption: Sendable {
        typealias Subject = StoreCheck.Subject

        let name: String
        let subjects: [Subject]
        var sql = ""
        var key = ""
        var command: @Sendable (String, RedisPlace) -> RedisCommand = { key, _ in RedisCommand("EXISTS", key) }

        func expectFound(in check: StoreCheck) {
            #expect(check.differing == subjects, "\(name)")
        }

        private static func sql(_ name: String, _ subjects: Subject..., sql: String) -> Corruption {
            Corruption(name: name, subjects: subjects, sql: sql)
        }

        private static func redis(
            _ name: String, _ subjects: [Subject], _ key: String,
            _ command: @escaping @Sendable (String, RedisPlace) -> RedisCommand
        ) -> Corruption {
            Corruption(name: name, subjects: subjects, key: key, command: command)
        }

        static let inPostgres: [Corruption] = [
            .sql("an order is gone", .orders, sql: "DELETE FROM orders WHERE ctid = (SELECT min(ctid) FROM orders)"),
            .sql(
                "an order too many", .orders,
                sql: "INSERT INTO orders VALUES ('shop-1', 'ord-x', 'c-1', 'placed', NULL, now(), 0, 1)"),
            .sql(
                "a status", .orders,
                sql:
                    "UPDATE orders SET status = 'cancelled' WHERE ctid = (SELECT min(ctid) FROM orders WHERE status = 'placed')"
            ),
            .sql(
                "a line's quantity", .orderLines,
                sql: "UPDATE order_lines SET quantity = quantity + 1 WHERE ctid = (SELECT min(ctid) FROM order_lines)"),
            .sql(
                "a line is gone", .orderLines,
                sql: "DELETE FROM order_lines WHERE ctid = (SELECT min(ctid) FROM order_lines)"),
            .sql(
                "a stock count", .stockInPostgres,
                sql: "UPDATE stock SET on_hand = on_hand + 1 WHERE ctid = (SELECT min(ctid) FROM stock)"),
            .sql(
                "a ledger row is gone", .ledger,
                sql:
                    "DELETE FROM ledger WHERE type = 'order.placed' AND ctid = (SELECT max(ctid) FROM ledger WHERE type = 'order.placed')"
            ),
            .sql(
                "a ledger row's lines", .ledger,
                sql:
                    "UPDATE ledger SET lines = 'MUG-1:9' WHERE seq = 1 AND partition = (SELECT min(partition) FROM ledger)"
            ),
            .sql(
                "two ledger rows are swapped", .ledger,
                sql: """
                    WITH p AS (SELECT min(partition) AS p FROM ledger WHERE seq = 2),
                    gone AS (DELETE FROM ledger USING p WHERE partition = p AND seq IN (1, 2) RETURNING ledger.*)
                    INSERT INTO ledger SELECT partition, seq + 100000, epoch, entry, digest, id, type, shop, order_id, customer,
                        lines, attributes, appended_at, applied_at FROM gone
                    """),
            .sql(
                "the position", .positions,
                sql: "UPDATE partitions SET seq = seq - 1 WHERE partition = (SELECT min(partition) FROM ledger)"),
            .sql(
                "a dead letter", .pending,
                sql: """
                    INSERT INTO dead_letters (partition, epoch, entry, fields, reason, error)
                    VALUES (0, 1, '1-1', '', 'test', 'test')
                    """),
        ]

        static let inRedis: [Corruption] = [
            .redis("a stock counter", [.stockInRedis], "stock:SHOP") { key, _ in
                RedisCommand("HINCRBY", key, "TEA-250", 1)
            },
            .redis("a stock counter is gone", [.stockInRedis], "stock:SHOP") { key, _ in
                RedisCommand("HDEL", key, "MUG-1")
            },
            .redis("a stock counter too many", [.stockInRedis], "stock:nobody") { key, _ in
                RedisCommand("HSET", key, "MUG-1", 5)
            },
            .redis("a delivery twice", [.deliveries], "deliveries") { key, place in
                RedisCommand("RPUSH", key, place.deliveries[0])
            },
            .redis("a delivery is gone", [.deliveries], "deliveries") { key, _ in RedisCommand("LPOP", key) },
            .redis("deliveries in another order", [.deliveries], "deliveries") { key, _ in
                RedisCommand("LMOVE", key, key, "LEFT", "RIGHT")
            },
            .redis("a position", [.positions], "position:stock") { key, _ in
                RedisCommand("HINCRBY", key, "seq", -1)
            },
            .redis("an entry is pending", [.pending], "log") { key, place in
                RedisCommand("XCLAIM", key, "stock", "nobody", 0, place.lastEntry, "FORCE", "JUSTID")
            },
            .redis(
                "an entry by hand",
                [
                    .receipts, .log, .ledger, .orders, .orderLines, .stockInPostgres, .stockInRedis, .deliveries,
                    .positions,
                ], "log"
            ) { key, _ in
                RedisCommand(
                    "XADD", key, "*", "epoch", 1, "seq", 100_000, "type", "order.placed", "id", "ord-x", "shop", "x",
                    "customer", "c", "lines", "MUG-1:1")
            },
        ]
    }
}
