import Foundation
import PrivateServers
import TestSupport
import Testing

@Suite("A log of format 1, and onewrite upgrade")
struct UpgradeTests {
    private static let order = ["submit", "--shop", "main", "--customer", "c-1", "--line", "TEA-250:1", "--wait"]

    // MARK: - As it is

    @Test("this build goes on with the log of the former one, and init leaves its format alone")
    func goesOn() async throws {
        try await FormerLog.open { log in
            let repeated = try await log.run("init").succeeded()
            #expect(repeated.errors.contains("the log is of format 1, and stays so"), "\(repeated.errors)")
            #expect(repeated.errors.contains("onewrite upgrade"))
            let worker = try await log.worker("new")
            _ = try await log.run(Self.order + ["--id", "new-1"]).succeeded()
            try await log.agrees()
            #expect(try await log.formats() == "1 1")
            #expect(try await log.formatWarnings() == [])
            let trim = try await log.run("trim")
            #expect(
                trim.code == 78 && trim.errors.contains("of format 1, in which nothing is trimmed"), "\(trim.errors)")
            // Cancellations, counts, the dead letter and the incident are what the former build wrote.
            let letter = try #require(try await log.run("dead", "list", "--json").objects().first)
            #expect(letter.text("id") == "ord-by-hand")
            #expect(try await log.run("incident", "list").succeeded().output.contains("jobs pushed by hand"))
            #expect(try await log.run("group", "list").succeeded().output.contains("search"))
            #expect(await worker.stop() == .exited(0), "\(log.said("new"))")
        }
    }

    // MARK: - Upgrading

    @Test("the plan changes nothing; --yes brings both stores to the next format, and repeated there is nothing to do")
    func plan() async throws {
        try await FormerLog.open { log in
            let words = try await log.run("upgrade").succeeded()
            #expect(words.output.contains("format 1 in Redis, 1 in Postgres; to be brought to 3"))
            #expect(words.output.contains("no worker is there") && words.errors.contains("--yes does it"))
            let plan = try await log.run("upgrade", "--yes", "--dry-run", "--json").object()
            #expect(plan.text("schema") == "onewrite/upgrade/v1" && plan["upgraded"] as? Bool == false)
            #expect(plan.int("redis") == 1 && plan.int("postgres") == 1 && plan.int("newest") == 3)
            #expect(try plan.objects("steps").map { $0.int("format") } == [2, 3])
            #expect(try await log.formats() == "1 1")
            let name = ["submit", "--id", "#1", "--shop", "main", "--customer", "c", "--line", "TEE RED/M:1"]
            let early = try await log.run(name)
            #expect(early.code == 65 && early.errors.contains("onewrite upgrade"), "\(early.errors)")

            // Two at once do no more than one.
            async let other = log.run("upgrade", "--yes")
            let done = try await log.run("upgrade", "--yes", "--json").object()
            #expect(done.int("newest") == 3)
            _ = try await other.succeeded()
            #expect(try await log.formats() == "3 3")
            let collations = try await log.psql(
                "-c",
                """
                SELECT count(*) FROM pg_attribute AS a JOIN pg_collation AS c ON c.oid = a.attcollation
                WHERE attrelid IN ('onewrite.orders'::regclass, 'onewrite.order_lines'::regclass, 'onewrite.stock'::regclass)
                    AND attname IN ('shop', 'id', 'order_id', 'sku') AND collname = 'C'
                """)
            #expect(collations == "7")
            let again = try await log.run("upgrade", "--yes").succeeded()
            #expect(again.output.contains("There is nothing to do"))
            #expect(try await log.run("init").succeeded().errors.isEmpty)
            let worker = try await log.worker("new")
            _ = try await log.run(name + ["--wait"]).succeeded()
            try await log.agrees()
            let trim = try await log.run("trim", "--keep", "0s", "--yes").succeeded()
            #expect(trim.output.contains("held back by search, which is at seq"), "\(trim.output)")
            #expect(await worker.stop() == .exited(0))
        }
    }

    @Test("a log of format 2 goes on, is upgraded, and its idempotency window is known until that is due to go")
    func formatTwo() async throws {
        try await FormerLog.open(format: 2) { log in
            #expect(try await log.formats() == "2 2")
            let worker = try await log.worker("new")
            // The last that the former build took, byte for byte, and one with another payload.
            let lines = #"[{"sku":"TEA-250","quantity":3},{"sku":"MUG-1","quantity":1}]"#
            let line =
                #"{"id":"ord-239","shop":"hafen-2","customer":"c-1","lines":\#(lines),"attributes":{"gift":false}}"#
            func outcomes(_ lines: String...) async throws -> [String] {
                try await log.run(["submit", log.file("changes.ndjson", lines), "--json"]).objects()
                    .compactMap { $0.text("outcome") }
            }
            let other = line.replacing("TEA-250", with: "TEA-251")
            let mine = line.replacing("ord-239", with: "mine-1")
            #expect(try await outcomes(line, other, mine, mine) == ["duplicate", "conflict", "accepted", "duplicate"])
            #expect(try await log.redis("TYPE", "{onewrite:0}:seen") == "hash")
            let refused = try await log.run("return", "ord-239", "--shop", "hafen-2", "--line", "TEA-250:1")
            #expect(refused.code == 65 && refused.errors.contains("onewrite upgrade"), "\(refused.errors)")
            try await log.agrees()

            let done = try await log.run("upgrade", "--yes", "--json").object()
            #expect(try done.objects("steps").map { $0.int("format") } == [3])
            #expect(try await log.formats() == "3 3")
            #expect(try await outcomes(line, other, mine) == ["duplicate", "conflict", "duplicate"])
            for partition in 0..<2 {
                // A window later: the one hash is what came before, and is known as long.
                let key = "{onewrite:\(partition)}:seen"
                #expect(try await log.redis("TYPE", key) == "hash")
                try await log.redis("HSET", key, "since", "1")
            }
            let new = ["main", "north", "outlet", "hafen-2"].map {
                line.replacing("ord-239", with: "#1 \($0)").replacing("hafen-2", with: $0)
            }
            #expect(try await outcomes(new[0], new[1], new[2], new[3]) == Array(repeating: "accepted", count: 4))
            for partition in 0..<2 {
                #expect(try await log.redis("TYPE", "{onewrite:\(partition)}:seen") == "string")
            }
            let known = try await outcomes(line, other, mine, new[3])
            #expect(known == ["duplicate", "conflict", "duplicate", "duplicate"])
            let trail = try await log.run("order", "ord-239", "--shop", "hafen-2", "--json").object()
            #expect(trail.text("id") == "ord-239")
            _ = try await log.run("return", "ord-239", "--shop", "hafen-2", "--line", "TEA-250:1").succeeded()
            try await log.agrees()
            #expect(await worker.stop() == .exited(0))
        }
    }

    @Test("what an early build's schema lacks is named with the command that brings it in, which init doesn't")
    func earlySchema() async throws {
        try await FormerLog.open { log in
            try await log.psql(
                "-c",
                """
                DROP TABLE onewrite.incidents; DROP INDEX onewrite.dead_letters_unresolved;
                ALTER TABLE onewrite.partitions DROP COLUMN refused;
                ALTER TABLE onewrite.dead_letters DROP COLUMN resolution, DROP COLUMN resolved_at
                """)
            _ = try await log.run("init").succeeded()
            let settle = [
                "incident", "settle", "0:1", "--group", "delivery", "--what", "x", "--reason", "y", "--yes",
            ]
            for command in [settle, ["dead", "drop", "--all", "--reason", "x"]] {
                let refused = try await log.run(command)
                #expect(refused.code == 78 && refused.errors.contains("Run: onewrite upgrade"), "\(refused.errors)")
            }
            let schema = try await log.status().objects("warnings").first { $0.text("code") == "schema" }
            #expect(schema?.text("hint")?.contains("onewrite upgrade") == true)

            _ = try await log.run("upgrade", "--yes").succeeded()
            #expect(try await log.formats() == "3 3")
            for command in [settle, ["dead", "drop", "--all", "--reason", "x", "--yes"]] {
                _ = try await log.run(command).succeeded()
            }
            let worker = try await log.worker("new")
            try await log.agrees()
            #expect(await worker.stop() == .exited(0))
        }
    }

    @Test(
        "killed between the stores, status says so, workers go on, and the next run ends it; likewise the other way round"
    )
    func killed() async throws {
        try await FormerLog.open { log in
            let killed = try await log.run("upgrade", "--yes", with: ["ONEWRITE_FAULT": "afterMigration:kill:1"])
            #expect(killed.code == nil, "\(killed.errors)")
            #expect(try await log.formats() == "1 2")
            let worker = try await log.worker("new")
            let half = try await log.formatWarnings()
            #expect(half.count == 1 && half[0].contains("format 1 in Redis and of format 2 in Postgres"), "\(half)")
            #expect(half.first?.contains("onewrite upgrade --yes") == true)
            _ = try await log.run(Self.order + ["--id", "half-1"]).succeeded()
            #expect(try await log.run("init").succeeded().errors.contains("stays so"))

            try await eventually(within: .seconds(30), "the worker has told what it knows") {
                try await log.run("upgrade", "--dry-run").code == 0
            }
            let plan = try await log.run("upgrade", "--json").object()
            let step = try #require(try plan.objects("steps").first)
            #expect(step.isNull("postgres") && step.text("redis") != nil)
            _ = try await log.run("upgrade", "--yes").succeeded()
            #expect(try await log.formats() == "3 3")
            #expect(try await log.formatWarnings() == [])

            // A Postgres that was restored from a backup, say.
            try await log.pretend(postgres: 1)
            #expect(
                try await log.formatWarnings().first?.contains("format 3 in Redis and of format 1 in Postgres") == true)
            _ = try await log.run(Self.order + ["--id", "half-2"]).succeeded()
            let back = try #require(try await log.run("upgrade", "--json").object().objects("steps").first)
            #expect(back.isNull("redis") && back.text("postgres") != nil)
            _ = try await log.run("upgrade", "--yes").succeeded()
            #expect(try await log.formats() == "3 3")
            try await log.agrees()
            #expect(await worker.stop() == .exited(0), "\(log.said("new"))")
        }
    }

    // MARK: - Under load

    @Test("under load, with workers of two versions side by side: nothing is lost, nothing applied twice")
    func rolling() async throws {
        try await FormerLog.open { log in
            let former = FormerLog.knowsFirstOnly
            let (oldSubmitter, newSubmitter) = (
                try await log.submitter("old", with: former), try await log.submitter("new")
            )
            let (oldA, oldB) = (
                try await log.worker("old-a", with: former), try await log.worker("old-b", with: former)
            )
            try await served(by: ["old-a", "old-b"], log)
            let newA = try await log.worker("new-a")
            #expect(await oldA.stop() == .exited(0), "\(log.said("old-a"))")
            try await served(by: ["new-a", "old-b"], log)
            try await goesOn(log)

            let refused = try await log.run("upgrade", "--yes")
            #expect(refused.code == 75 && refused.errors.contains("nothing was changed"), "\(refused.errors)")
            #expect(refused.errors.contains("in the way: worker old-b (postgres, stock, delivery) knows format 1 only"))
            #expect(!refused.errors.contains("new-a"))
            #expect(try await log.run("upgrade", "--dry-run").code == 75)
            #expect(try await log.formats() == "1 1")

            let newB = try await log.worker("new-b")
            #expect(await oldB.stop() == .exited(0), "\(log.said("old-b"))")
            try await served(by: ["new-a", "new-b"], log)
            try await eventually(within: .seconds(30), "nobody is in the way") {
                try await log.run("upgrade", "--dry-run").code == 0
            }
            _ = try await log.run("upgrade", "--yes").succeeded()
            #expect(try await log.formats() == "3 3")
            try await goesOn(log)

            for arguments in [["worker", "--name", "late"], ["worker", "--group", "stock"]] {
                let late = try await log.run(arguments, with: former)
                #expect(late.code == 78, "\(late.errors)")
                #expect(
                    late.errors.contains(
                        "is of format 3, and this program knows format 1. Use a newer onewrite, one that knows format 3"
                    ))
            }
            try log.stopSubmitters()
            for (name, submitter) in [("old", oldSubmitter), ("new", newSubmitter)] {
                #expect(try await submitter.exit(within: .seconds(60)) == .exited(0), "\(log.said(name))")
            }
            try await log.agrees()
            for name in ["old", "new"] {
                let accepted = log.accepted(name)
                let counts = try await log.psql(
                    "-c",
                    "SELECT count(*), count(DISTINCT (shop, id)) FROM onewrite.ledger WHERE id ~ '^\(name)-[0-9]+$'")
                #expect(accepted > 20 && counts == "\(accepted)|\(accepted)")
            }
            for (name, worker) in [("new-a", newA), ("new-b", newB)] {
                #expect(await worker.stop() == .exited(0), "\(log.said(name))")
            }
            for name in ["old-a", "old-b", "new-a", "new-b"] {
                #expect(log.said(name).contains(/stopped · [1-9]\d* applied/), "\(log.said(name))")
            }
        }
    }

    /// Waits until each of these workers has a partition of each group.
    private func served(by names: Set<String>, _ log: FormerLog) async throws {
        for group in ["postgres", "stock", "delivery"] {
            try await eventually(within: .seconds(60), "\(group) is served by \(names)") {
                try await log.owners(group) == names
            }
        }
    }

    /// Waits until both submitters have been given more receipts.
    private func goesOn(_ log: FormerLog) async throws {
        for name in ["old", "new"] {
            let before = log.accepted(name)
            try await eventually(within: .seconds(60), "\(name) goes on: \(log.said(name))") {
                log.accepted(name) >= before + 20
            }
        }
    }

    // MARK: - Refusals

    @Test("a format that this program doesn't know is refused by every command, with 78 and what to do")
    func newerFormat() async throws {
        try await FormerLog.open { log in
            try await log.pretend(redis: 4, postgres: 4)
            let commands = [
                "init", "submit --id x --shop main --customer c --line TEA-250:1", "cancel ord-1 --shop north",
                "stock count --shop main TEA-250:1", "stock show --shop main", "worker", "worker --group stock",
                "group list", "group add other", "group remove search --yes", "status", "pending", "order ord-1",
                "open", "audit", "dead list", "dead retry --all", "dead take --group stock --partition 0 --reason x",
                "incident list", "incident settle 0:1 --group delivery --what x --reason y", "upgrade", "upgrade --yes",
            ]
            for command in commands {
                let refused = try await log.run(command.split(separator: " ").map(String.init))
                #expect(refused.code == 78, "\(command): \(refused.code ?? -1) \(refused.errors)")
                #expect(refused.output.isEmpty)
                #expect(
                    refused.errors.contains(
                        "is of format 4, and this program knows formats 1 to 3. Use a newer onewrite, one that knows format 4"
                    ),
                    "\(command): \(refused.errors)")
            }
            #expect(try await log.formats() == "4 4")
            // One store alone: a newer program's upgrade that was not ended.
            try await log.pretend(redis: 3)
            #expect(try await log.run("worker", "--group", "postgres").code == 78)
            let schema = try await log.status().objects("warnings").first { $0.text("code") == "schema" }
            #expect(schema?.text("hint")?.contains("is of format 4") == true)
        }
    }

    @Test("a program that doesn't serve the older format any more says so, and upgrades it")
    func olderFormat() async throws {
        try await FormerLog.open { log in
            let later = ["ONEWRITE_FAULT_FORMATS": "3-3"]
            for arguments in [["worker"], ["status"], Self.order + ["--id", "x"]] {
                let refused = try await log.run(arguments, with: later)
                #expect(refused.code == 78, "\(refused.errors)")
                #expect(
                    refused.errors.contains(
                        "is of format 1, and this program knows format 3. Bring it to a newer one: onewrite upgrade"))
            }
            _ = try await log.run("upgrade", "--yes", with: later).succeeded()
            #expect(try await log.run("status", with: later).code == 0)
        }
    }

    @Test(
        "a worker that says nothing of itself is in the way; an old one that starts in the middle is named and warned of"
    )
    func strangeWorkers() async throws {
        try await FormerLog.open { log in
            let worker = try await log.worker("paused")
            try await served(by: ["paused"], log)
            worker.send(SIGSTOP)
            try await log.redis("DEL", "onewrite:worker:stock:paused")
            let refused = try await log.run("upgrade", "--yes")
            #expect(refused.code == 75 && refused.errors.contains("worker paused"), "\(refused.errors)")
            #expect(refused.errors.contains("says nothing of itself"))
            worker.send(SIGCONT)
            #expect(await worker.stop() == .exited(0))

            let upgrade = try await log.start(
                "upgrade", "upgrade", "--yes", with: ["ONEWRITE_FAULT": "afterMigration:stop:1"])
            try await eventually(within: .seconds(30), "it stands between the stores") {
                log.said("upgrade").contains("fault: afterMigration:stop")
            }
            let late = try await log.start(
                "late", "worker", "--name", "late", "--group", "stock", with: FormerLog.knowsFirstOnly)
            let words = "worker late (stock) knows format 1 only"
            try await eventually(within: .seconds(30), "the old worker is there") {
                try await log.run("upgrade", "--dry-run").errors.contains(words)
            }
            upgrade.send(SIGCONT)
            #expect(try await upgrade.exit(within: .seconds(60)) == .exited(75), "\(log.said("upgrade"))")
            #expect(log.said("upgrade").contains("started meanwhile: \(words)"), "\(log.said("upgrade"))")
            #expect(try await log.formats() == "3 3")
            #expect(try await log.formatWarnings().contains { $0.contains("which these workers don't know: late") })
            #expect(await late.stop() == .exited(0), "\(log.said("late"))")
            #expect(try await log.formatWarnings() == [])
        }
    }
}
