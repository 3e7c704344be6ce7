import Foundation
import OrderLog
import PrivateServers
import RedisClient
import RedisLog
import TestSupport
import Testing

/// The executable's dashboard on a pseudo-terminal, with servers that go away.
@Suite("dashboard")
struct DashboardTests {
    private static func dashboard(
        _ servers: TestServers, on terminal: PseudoTerminal, _ environment: [String: String?] = [:]
    ) async throws -> ChildProcess {
        try await ChildProcess.spawn(
            [BuiltExecutable.path, "dashboard", "--interval", "200ms"],
            environment: servers.environment.merging(["TERM": "xterm", "ONEWRITE_ENVIRONMENT": "production"]) { $1 }
                .merging(environment) { $1 },
            input: .file(terminal.path), output: .appended(to: terminal.path))
    }

    @Test("Redis goes and comes back, and Postgres is shown as what it is; the environment stays in sight")
    func redisAway() async throws {
        try await withOwnServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1")
            let terminal = try PseudoTerminal(width: 80, height: 24)
            let dashboard = try await Self.dashboard(servers, on: terminal)
            try await eventually(within: .seconds(30), "the first picture") {
                terminal.plain.contains(" production  ") && terminal.plain.contains(/(redis|valkey) ●.*postgres ●/)
            }
            await servers.redis.kill()
            try await eventually(within: .seconds(30), "only Redis is away") {
                terminal.plain.contains(/redis !○ unreachable   postgres ● \d/)
            }
            #expect(terminal.plain.contains(/~ \d+s ago/) && terminal.plain.contains("│~ stock"))
            #expect(!terminal.plain.contains("postgres !○"))
            await servers.postgres.stop(.immediate)
            try await eventually(within: .seconds(30), "both are away") {
                terminal.plain.contains("redis !○ unreachable   postgres !○ unreachable")
            }
            try await servers.redis.restart()
            try await eventually(within: .seconds(30), "Redis is back") {
                terminal.plain.contains(/(redis|valkey) ● [0-9.]+   postgres !○ unreachable/)
            }
            terminal.type("q")
            #expect(try await dashboard.exit(within: .seconds(10)) == .exited(0))
        }
    }

    @Test("a stopped worker's last rate doesn't count, and what it holds doesn't look served")
    func stoppedWorker() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            let worker = try await BuiltExecutable.spawn(
                "worker", "--group", "stock", "--name", "stock-a", on: servers, errors: .discarded)
            try await eventually(within: .seconds(30), "it serves") {
                let group = try await shop.run("status", "--json").object().group("stock")
                return try group.objects("partitions").allSatisfy { $0.text("state") == "serving" }
                    && group["applied_per_second"] is NSNumber
            }
            let name = try #require(WorkerName("stock-a"))
            worker.send(SIGSTOP)
            // Its last report would end by itself 10 s later: it is kept, so that only the silence can tell.
            try await shop.call(RedisCommand("PERSIST", shop.keys.report(.stock, name)))
            try await eventually(within: .seconds(60), "its rate is unknown, whatever its report says") {
                try await shop.run("status", "--json").object().group("stock").isNull("applied_per_second")
            }
            #expect(try await shop.call(RedisCommand("GET", shop.keys.report(.stock, name))) != nil)
            let group = try await shop.run("status", "--json").object().group("stock")
            #expect(group["workers"] as? [String] == ["stock-a"])
            let held = try group.objects("partitions").filter { $0.text("owner") == "stock-a" }
            #expect(!held.isEmpty)
            for partition in held {
                #expect(partition.isNull("state"))
                #expect(partition.text("error")?.contains("stock-a holds it, and was last heard of") == true)
            }
            worker.send(SIGCONT)
            try await eventually(within: .seconds(30), "it is heard again") {
                try await shop.run("status", "--json").object().group("stock")["applied_per_second"] is NSNumber
            }
            await worker.stop()
        }
    }

    @Test("status and plans say which stores they are about, without secrets")
    func environment() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            let named: [String: String?] = ["ONEWRITE_ENVIRONMENT": "staging", "ONEWRITE_ENVIRONMENT_COLOR": "blue"]
            let environment = try await shop.run("status", "--json", environment: named).object().object("environment")
            #expect(Set(environment.keys) == ["label", "color", "redis", "postgres", "namespace", "schema"])
            #expect(environment.text("label") == "staging" && environment.text("namespace") == servers.namespace)
            #expect(environment.text("redis")?.hasSuffix("/0") == true)
            #expect(environment.text("postgres")?.hasSuffix("/postgres") == true)
            let bare = try await shop.run("status", "--json").object().object("environment")
            #expect(bare.isNull("label"))
            let line = try #require(
                try await shop.run("status", environment: named).succeeded().output.split(separator: "\n").first)
            #expect(line.hasPrefix("staging · ") && line.hasSuffix(" · \(servers.namespace)"))
            for plan in [
                ["dead", "drop", "0:1", "--reason", "x"], ["dead", "retry", "0:1"],
                ["dead", "take", "--group", "stock", "--partition", "0", "--reason", "x"], ["open", "--force"],
            ] {
                let ran = try await runAlone(plan, servers, named)
                #expect(ran.errors.split(separator: "\n").first.map(String.init) == "on \(line)", "\(ran.errors)")
            }
            for (name, value) in [("ONEWRITE_ENVIRONMENT", ""), ("ONEWRITE_ENVIRONMENT_COLOR", "pink")] {
                let ran = try await shop.run("config", environment: [name: value])
                #expect(ran.code == (value.isEmpty ? 0 : 78), "\(ran.errors)")
            }
        }
    }
}
