import Connections
import Foundation
import Harness
import PostgresClient
import PrivateServers
import Testing
import TestSupport
import ThreadedIO

@Suite("Postgres behind pgbouncer", .serialized)
struct PoolerTests {
    @Test(
        "3 000 orders, 20 workers killed: the stores are what the accepted orders give, and audit agrees",
        arguments: PrivatePooler.Mode.allCases)
    func killed(_ mode: PrivatePooler.Mode) async throws {
        let seed = ProcessSeed.take()
        // Session mode lends a session for as long as a client stays; in the others three are shared by all.
        let sessions = mode == .session ? nil : 3
        try await PooledShop.open(mode, sessions: sessions) { shop in
            var generator = SeededGenerator(seed: seed)
            try await shop.fleet.startAll()
            let workload = Workload(orders: 3000, filesEach: 20, using: &generator)
            async let submitted = Submitters(servers: shop.shop, pace: .milliseconds(200)).run(workload)
            for _ in 0..<20 {
                let name = try #require(WorkerFleet.names.randomElement(using: &generator))
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...300, using: &generator)))
                let status = await shop.fleet.process(name)?.kill()
                #expect(status == .killed(signal: SIGKILL), "\(name) had not ended by itself")
                try await shop.fleet.start(name)
            }
            let submissions = try await submitted
            try await shop.drained()
            if let sessions {
                let lent = try await shop.sql(
                    "SELECT pid FROM pg_stat_activity WHERE usename = 'postgres' AND application_name <> 'onewrite-harness'"
                )
                #expect((1...sessions).contains(lent.count), "the workers did share sessions")
            }
            let audit = try await shop.run("audit", "--json")
            if mode == .statement {
                #expect(audit.code == 78 && audit.errors.contains("pool_mode=transaction"), "\(audit.errors)")
                try await shop.direct.run(["audit"])
            } else {
                #expect(try audit.object().text("verdict") == "agree")
            }
            try await shop.expectAgreement(submissions)
        }
    }

    @Test("every command works, or says which mode it needs", arguments: PrivatePooler.Mode.allCases)
    func commands(_ mode: PrivatePooler.Mode) async throws {
        try await PooledShop.open(mode, sessions: mode == .session ? nil : 1) { shop in
            try await shop.fleet.startAll()
            #expect(try await shop.run("init").succeeded().output.contains("8 partitions"))
            let order = ["--shop", "main", "--customer", "c", "--line", "TEA:2"]
            for id in ["ord-1", "ord-2"] {
                let submitted = try await shop.shop.run(["submit", "--id", id, "--durability", "applied"] + order)
                #expect(submitted.contains(id))
            }
            try await shop.shop.run(["cancel", "ord-2", "--shop", "main", "--wait"])
            let trail = try await shop.run("order", "ord-2", "--json").object()
            let stored = try trail.object("order")
            #expect(stored.text("status") == "cancelled" && stored.text("placed_at")?.hasSuffix("Z") == true)
            #expect(try await shop.run("stock", "show", "--shop", "main").succeeded().output.contains("-2        -2"))
            #expect(try await shop.run("status", "--json").succeeded().output.contains(#""postgres":{"version""#))
            #expect(try await shop.run("dead", "list").succeeded().errors == "there are no unresolved dead letters\n")
            #expect(try await shop.run("open").succeeded().errors.isEmpty)
            try await shop.sql("UPDATE meta SET version = 1")
            try await eventually(within: .seconds(30), "the workers have told what they know") {
                try await shop.run("upgrade", "--yes").code == 0
            }
            #expect(try await shop.sql("SELECT version::text FROM meta") == ["3"])
        }
    }

    @Test("a worker leaves nothing in the sessions that it is lent")
    func leavesNothing() async throws {
        try await PooledShop.open(.transaction, sessions: 1, resets: false) { shop in
            try await shop.fleet.startAll()
            try await shop.shop.run([
                "submit", "--id", "ord-1", "--shop", "main", "--customer", "c", "--line", "TEA:2", "--wait",
            ])
            // What the one session has, as the next of its clients finds it.
            try await CommandLane("next").run { _ in
                try shop.shop.postgres().script(
                    """
                    COMMIT;
                    CREATE TABLE public.left_behind AS
                    SELECT name, setting FROM pg_settings WHERE source IN ('session', 'client')
                    UNION ALL SELECT name, statement FROM pg_prepared_statements
                    UNION ALL SELECT 'lock', objid::text FROM pg_locks WHERE locktype = 'advisory'
                    """, until: .after(.seconds(10)))
            }
            // The pooler itself sets what it keeps by client.
            let kept: Set = [
                "application_name", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings",
            ]
            let left = try await shop.sql("SELECT name FROM public.left_behind")
            #expect(Set(left).subtracting(kept).isEmpty, "\(left)")
        }
    }

    /// What goes away under a load.
    enum Loss: CaseIterable {
        case pooler, postgres
    }

    @Test("what is killed and started again under a load is waited out", arguments: Loss.allCases)
    func restarted(_ loss: Loss) async throws {
        let seed = ProcessSeed.take()
        try await PooledShop.open(.transaction, sessions: 3) { shop in
            var generator = SeededGenerator(seed: seed)
            try await shop.fleet.startAll()
            let workload = Workload(orders: 2000, filesEach: 15, using: &generator)
            async let submitted = Submitters(servers: shop.shop, pace: .milliseconds(200)).run(workload)
            for _ in 0..<3 {
                try await Task.sleep(for: .milliseconds(Int.random(in: 200...600, using: &generator)))
                if loss == .pooler { await shop.pooler.kill() } else { await shop.postgres.kill() }
                try await Task.sleep(for: .milliseconds(Int.random(in: 300...1500, using: &generator)))
                if loss == .pooler { try await shop.pooler.restart() } else { try await shop.postgres.restart() }
            }
            let submissions = try await submitted
            try await shop.drained()
            let said = try String(contentsOfFile: shop.shop.logPath("postgres-a"), encoding: .utf8)
            // Behind a pooler that lives, statements wait for the server: a worker may not notice at all.
            #expect(loss == .postgres || said.contains("waiting for Postgres"), "else nothing was tested: \(said)")
            for name in WorkerFleet.names { #expect(shop.fleet.process(name)?.isRunning == true) }
            #expect(try await shop.run("audit", "--json").object().text("verdict") == "agree")
            try await shop.expectAgreement(submissions)
        }
    }

    @Test("a start-up parameter that the pooler doesn't take is named, with what to do")
    func options() async throws {
        try await PooledShop.open(.transaction) { shop in
            let ran = try await shop.run(
                "status", environment: ["DATABASE_URL": shop.pooler.url + "&options=-c%20work_mem%3D5MB"])
            let created = try await shop.run(
                "init", environment: ["DATABASE_URL": shop.pooler.url + "&options=-c%20work_mem%3D5MB"])
            #expect(created.code == 78 && created.errors.contains("parameter options"), "\(created.errors)")
            #expect((ran.output + ran.errors).contains("parameter options"), "\(ran.output)\(ran.errors)")
        }
    }
}
