import Foundation
import OrderLog
import PrivateServers
import RedisClient
import RedisLog
import TestSupport
import Testing

@Suite("status")
struct StatusTests {
    @Test("the JSON has the contract's keys, each of its type, and unknown as null")
    func contract() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1")
            let status = try await shop.run("status", "--json").object()
            #expect(status.text("schema") == "onewrite/status/v1")
            #expect(status.text("at")?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil)
            #expect(status.int("partitions") == 4)
            let program = try await RedisProgram.current()
            #expect(try status.object("redis").text("name") == program.name)
            #expect(try status.object("redis").text("version") == program.version)
            #expect(try status.object("postgres").text("version")?.isEmpty == false)
            #expect(try status.objects("groups").map { $0.text("name") } == ["postgres", "stock", "delivery"])
            for group in try status.objects("groups") {
                #expect(group.int("lag") == 1 && group.int("pending") == 0 && group.int("dead") == 0)
                #expect(group.isNull("oldest_pending_ms"))
                #expect(group["applied_per_second"] as? Double == 0)
                #expect(try (0..<60_000).contains(#require(group.int("oldest_unapplied_ms"))))
                // One in ten seconds, and somewhat more.
                #expect(try (0.01...0.1).contains(#require(group["append_per_second"] as? Double)))
                #expect(group.isNull("seconds_to_catch_up"))
                #expect(group["workers"] as? [String] == [])
                #expect(try group.objects("partitions").map { $0.int("partition") } == [0, 1, 2, 3])
                for partition in try group.objects("partitions") {
                    for key in ["epoch", "head", "position", "lag", "pending", "token", "refused"] {
                        #expect(partition[key] is NSNumber, "\(key)")
                    }
                    #expect(partition.isNull("owner"))
                }
            }
            let memory = try status.object("memory")
            for part in ["used", "log", "window", "log_growth_per_day"] {
                #expect(try #require(memory.int(part)) > 0, "\(part)")
            }
            #expect(memory.int("stock") == 0 && memory.int("deliveries") == 0, "nothing is applied")
            #expect(memory.isNull("max") && memory.isNull("days_left"))
            let warning = try #require(try status.warning("no-worker"))
            #expect(warning.text("hint") == "no worker: onewrite worker --group postgres")
        }
    }

    @Test("lag is head minus position, in every sink and partition, before, while and after workers run")
    func lag() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1", "ord-2", "ord-3")
            for group in try await shop.run("status", "--json").object().objects("groups") {
                #expect(group.int("lag") == 3)
            }
            let worker = try await BuiltExecutable.spawn(
                "worker", "--group", "stock", "--name", "stock-a", on: servers, errors: .discarded)
            try await eventually("the worker applied all") {
                try await shop.run("status", "--json").object().group("stock").int("lag") == 0
            }
            let status = try await shop.run("status", "--json").object()
            #expect(try status.group("delivery").int("lag") == 3)
            #expect(try status.group("stock")["workers"] as? [String] == ["stock-a"])
            let partition = await shop.partition().number
            let served = try #require(
                try status.group("stock").objects("partitions").first { $0.int("partition") == partition })
            #expect(served.int("head") == 3 && served.int("position") == 3 && served.text("owner") == "stock-a")
            #expect(served.int("token") == 1 && served.text("state") == "serving")
            await worker.stop()
        }
    }

    @Test(
        "the oldest entry not applied is found by its seq, whatever the sink's stored ID says, and nobody need have read it"
    )
    func oldestUnapplied() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            let partition = await shop.partition()
            // Appended at known times; the log is the shop's own from seq 1 on.
            let ids = ["1000-0", "1000-1", "2000-0", "3000-0", "3000-1", "5000-0"]
            for (index, id) in ids.enumerated() {
                if index == 5 {
                    try await shop.call(RedisCommand("XADD", shop.keys.log(partition), "4000-0", "added", "by hand"))
                }
                try await shop.call(
                    RedisCommand("XADD", shop.keys.log(partition), id, "epoch", "1", "seq", "\(index + 1)", "id", "x"))
            }
            try await shop.call(RedisCommand("HSET", shop.keys.head(partition), "seq", "6"))
            func since(_ position: Int, _ entry: String?) async throws -> Int? {
                try await shop.call(RedisCommand("HSET", shop.keys.position(partition, .stock), "seq", position))
                try await shop.call(
                    RedisCommand("HSET", shop.keys.position(partition, .stock), "entry", entry ?? ""))
                let status = try await shop.run("status", "--json").object()
                let at = try #require(status.text("at").flatMap { try? Date($0, strategy: Self.iso) })
                return try status.group("stock").int("oldest_unapplied_ms")
                    .map { Int((at.timeIntervalSince1970 * 1000).rounded()) - $0 }
            }
            // A right hint; none; of a lost history, below, above and beyond.
            let cases: [(Int, String?, Int?)] = [
                (0, nil, 1000), (1, "1000-0", 1000), (2, "1000-1", 2000), (3, "2000-0", 3000), (4, "1000-0", 3000),
                (4, "5000-0", 3000), (1, "9999999999999-5", 1000), (5, nil, 5000), (5, "3000-1", 5000),
                (5, "nonsense", 5000),
            ]
            for (position, entry, expected) in cases {
                #expect(try await since(position, entry) == expected, "\(position) \(entry ?? "-")")
            }
            // What isn't there is unknown.
            try await shop.call(RedisCommand("XDEL", shop.keys.log(partition), "5000-0"))
            #expect(try await since(5, "3000-1") == nil)
            let group = try await shop.run("status", "--json").object().group("delivery")
            #expect(group["append_per_second"] as? Double == 0)
        }
    }

    private static let iso = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

    @Test("a group that applies more than is appended says when it will have caught up, one that has applied all: 0")
    func catchUp() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1", "ord-2", "ord-3")
            let report = """
                {"worker":"stock-a","group":"stock","applied":9,"appliedPerSecond":2.5,"refused":0,"partitions":[]}
                """
            let presence = try await shop.pretendPresence(of: "stock-a", in: .stock, report: report)
            let group = try await shop.run("status", "--json").object().group("stock")
            let appended = try #require(group["append_per_second"] as? Double)
            #expect(abs((group["seconds_to_catch_up"] as? Double ?? 0) - 3 / (2.5 - appended)) < 0.001)
            let partition = await shop.partition()
            try await shop.call(RedisCommand("HSET", shop.keys.position(partition, .stock), "seq", 3))
            let all = try await shop.run("status", "--json").object().group("stock")
            #expect(all["seconds_to_catch_up"] as? Double == 0 && all.isNull("oldest_unapplied_ms"))
            withExtendedLifetime(presence) {}
        }
    }

    @Test("what consumers without a live worker have pending is orphaned, and its age counts from the append")
    func orphaned() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1", "ord-2", "ord-3")
            let partition = await shop.partition()
            try await shop.deliver(2, to: "worker-c", of: .delivery, in: partition)
            let status = try await shop.run("status", "--json").object()
            let group = try status.group("delivery")
            #expect(group.int("pending") == 2)
            let oldest = try #require(group.int("oldest_pending_ms"))
            #expect((0..<60_000).contains(oldest))
            let warning = try #require(try status.warning("orphaned"))
            #expect(warning.text("group") == "delivery" && warning.text("hint")?.hasPrefix("2 pending") == true)
            try await eventually("it grows older") {
                try await shop.run("status", "--json").object().group("delivery").int("oldest_pending_ms") ?? 0 > oldest
            }
            let presence = try await shop.pretendPresence(of: "worker-c", in: .delivery)
            #expect(try await shop.run("status", "--json").object().warning("orphaned") == nil)
            withExtendedLifetime(presence) {}
        }
    }

    @Test("what the sinks refused by token is counted, per partition and group, also on a schema of an earlier build")
    func refused() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            #expect(try await shop.run("status").output.contains("refused") == false)
            try await shop.sql("ALTER TABLE partitions DROP COLUMN refused")
            let old = try #require(try await shop.run("status", "--json").object().warning("schema"))
            #expect(old.text("hint")?.contains("onewrite upgrade") == true)
            // An early build's log was of format 1.
            try await shop.sql("UPDATE meta SET version = 1")
            #expect(try await shop.run("upgrade", "--yes").code == 0)
            try await shop.sql("UPDATE partitions SET refused = 2 WHERE partition < 2")
            try await shop.call(RedisCommand("HINCRBY", shop.keys.position(Partition(3), .stock), "refused", 5))
            let status = try await shop.run("status", "--json").object()
            #expect(try status.objects("groups").map { $0.int("refused") } == [4, 5, 0])
            #expect(try status.group("postgres").objects("partitions").map { $0.int("refused") } == [2, 2, 0, 0])
            #expect(
                try await shop.run("status").output.contains(
                    "refused from workers that had been replaced, without effect: postgres 4, stock 5\n"))
        }
    }

    @Test("a worker's report makes a partition halted or stalled, with its error; nonsense is no report")
    func reports() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            let report = """
                {"worker":"stock-a","group":"stock","applied":9,"appliedPerSecond":2.5,"refused":0,"partitions":[\
                {"partition":1,"state":"halted","error":"the log forked"},{"partition":2,"state":"stalled","error":"OOM\\u001b[31m"}]}
                """
            let presence = [
                try await shop.pretendPresence(of: "stock-a", in: .stock, report: report),
                try await shop.pretendPresence(of: "stock-b", in: .stock, report: "]["),
            ]
            let ran = try await shop.run("status", "--json")
            let group = try ran.object().group("stock")
            #expect(group["applied_per_second"] as? Double == 2.5)
            #expect(group["workers"] as? [String] == ["stock-a", "stock-b"])
            #expect(
                try group.objects("partitions").map { $0.text("state") } == ["unowned", "halted", "stalled", "unowned"])
            #expect(try ran.object().warning("halted")?.text("hint") == "halted: the log forked")
            #expect(try ran.object().warning("halted")?.int("partition") == 1)
            #expect(try ran.object().warning("stalled")?.int("partition") == 2)
            #expect(try await !shop.run("status").output.contains("\u{1b}"))
            withExtendedLifetime(presence) {}
        }
    }

    @Test("a consumer group that is missing is a warning, and what it has pending unknown")
    func groupMissing() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.call(RedisCommand("XGROUP", "DESTROY", shop.keys.log(Partition(2)), "stock"))
            let status = try await shop.run("status", "--json").object()
            let warning = try #require(try status.warning("group-missing"))
            #expect(warning.text("group") == "stock" && warning.int("partition") == 2)
            #expect(try status.group("stock").isNull("pending"))
            #expect(try status.group("stock").int("lag") == 0)
            #expect(try status.group("delivery").int("pending") == 0)
        }
    }

    @Test("dead letters are counted in Redis and in Postgres")
    func deadLetters() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.call(RedisCommand("XADD", shop.keys.dead(Partition(1), .stock), "*", "seq", "1"))
            for seq in 1...2 {
                try await shop.sql(
                    "INSERT INTO dead_letters (partition, epoch, entry, seq, fields, reason, error) "
                        + "VALUES (3, 1, '1-1', \(seq), '', 'invalid', 'x')")
            }
            let status = try await shop.run("status", "--json").object()
            #expect(try status.group("stock").int("dead") == 1)
            #expect(try status.group("postgres").int("dead") == 2)
            #expect(try status.group("delivery").int("dead") == 0)
        }
    }

    @Test("without Postgres its group's positions are null, and all else is told")
    func withoutPostgres() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1")
            let notConfigured = try await shop.run("status", "--json", environment: ["DATABASE_URL": nil]).object()
            #expect(notConfigured.isNull("postgres") && notConfigured.isNull("postgres_error"))
            let ran = try await shop.run(
                "status", "--json", environment: ["DATABASE_URL": "postgres://me:hunter2@127.0.0.1:1/none"])
            let unreachable = try ran.object()
            #expect(unreachable.isNull("postgres") && unreachable.text("postgres_error") != nil)
            #expect(try unreachable.warning("postgres-unreachable") != nil)
            for status in [notConfigured, unreachable] {
                let group = try status.group("postgres")
                #expect(group.isNull("lag") && group.isNull("dead") && group.isNull("oldest_unapplied_ms"))
                #expect(try group.objects("partitions").allSatisfy { $0.isNull("position") && $0.isNull("token") })
                #expect(try status.group("stock").int("lag") == 1)
            }
            #expect(!(ran.output + ran.errors).contains("hunter2"))
        }
    }

    @Test("a log that the server's history doesn't match is closed, and told once")
    func closed() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            for number in 0..<4 {
                try await shop.call(RedisCommand("HSET", shop.keys.head(Partition(number)), "replid", "gone"))
            }
            let status = try await shop.run("status", "--json").object()
            #expect(try status.objects("warnings").map { $0.text("code") } == ["closed"])
            for group in try status.objects("groups") {
                #expect(try group.objects("partitions").allSatisfy { $0.text("state") == "closed" })
            }
        }
    }

    @Test("keys that hold something else are unknown, not zero and no failure")
    func wrongTypes() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.call(RedisCommand("SET", shop.keys.position(Partition(0), .stock), "x"))
            try await shop.call(RedisCommand("HSET", shop.keys.position(Partition(0), .delivery), "seq", "-5"))
            try await shop.call(RedisCommand("SADD", shop.keys.workers(.stock), "x"))
            let status = try await shop.run("status", "--json").object()
            #expect(try status.group("stock").isNull("lag") && status.group("delivery").isNull("lag"))
            #expect(try status.warning("unreadable")?.text("group") == "stock")
        }
    }

    @Test("settings of Redis that endanger the log are warnings")
    func dangerousSettings() async throws {
        try await withOwnServers(redisOptions: ["maxmemory-policy allkeys-lru", "appendonly no"]) { servers in
            let status = try await Shop.open(servers).run("status", "--json").object()
            #expect(try status.warning("eviction") != nil && status.warning("no-aof") != nil)
        }
    }

    @Test("no Redis is 69, no log 75, a bad address 78, a wrong flag 64; each in one line")
    func exitCodes() async throws {
        try await withServers { servers in
            let cases: [(Int32, [String: String?])] = [
                (69, ["ONEWRITE_REDIS_URL": "redis://:hunter2@127.0.0.1:1"]), (75, [:]),
                (78, ["ONEWRITE_REDIS_URL": "http://:hunter2@127.0.0.1:1"]),
            ]
            for (code, environment) in cases {
                let ran = try await runAlone(["status"], servers, environment)
                #expect(ran.code == code && ran.output.isEmpty)
                #expect(ran.errors.hasPrefix("error: ") && ran.errors.split(separator: "\n").count == 1)
                #expect(!ran.errors.contains("hunter2"))
            }
            #expect(try await runAlone(["status", "--jsom"], servers).code == 64)
            #expect(try await runAlone(["pending", "--limit", "0"], servers).code == 64)
            #expect(try await runAlone(["dashboard", "--interval", "1"], servers).code == 64)
        }
    }

    @Test("the dashboard off a terminal prints the status once")
    func dashboardOffATerminal() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            let dashboard = try await shop.run("dashboard")
            #expect(dashboard.code == 0)
            // Redis's memory differs from one look to the next.
            func steady(_ output: String) -> [Substring] {
                output.split(separator: "\n").filter { !$0.hasPrefix("Redis's memory") }
            }
            #expect(steady(dashboard.output) == steady(try await shop.run("status").output))
            #expect(dashboard.output.contains("\n\nGROUP "))
        }
    }
}

/// Runs a command without a log.
func runAlone(
    _ arguments: [String], _ servers: TestServers, _ environment: [String: String?] = [:]
) async throws -> Ran {
    try await Ran(
        ChildProcess.run(
            [BuiltExecutable.path] + arguments, environment: servers.environment.merging(environment) { $1 },
            within: .seconds(60)))
}
