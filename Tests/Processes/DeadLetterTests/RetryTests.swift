import Foundation
import OrderLog
import RedisLog
import Testing
import TestSupport

@Suite("dead retry and drop")
struct RetryTests {
    @Test("an order that every sink set aside is applied once by each, however often it is retried")
    func retry() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1")
            try await shop.take(1)
            try await shop.settle()
            #expect(try await shop.ledger().isEmpty)

            let first = try await shop.run("dead", "retry", "0:1", "--yes", "--json")
            #expect(first.code == 0, "\(first.errors)")
            let done = try #require(try first.objects().first)
            #expect(done.text("outcome") == "retried" && done.text("detail") == "retried as 0:2")
            let again = try await shop.run("dead", "retry", "0:1", "--yes")
            #expect(again.code == 0 && again.output.contains("retried as 0:2 (already"))
            // It died behind the append.
            for _ in 0..<2 {
                try await shop.forgetResolutions()
                let repeated = try await shop.run("dead", "retry", "0:1", "--yes")
                #expect(repeated.code == 0 && repeated.output == "0:1  ord-1  retried as 0:2\n")
            }
            try await shop.settle()
            #expect(try await shop.ledger() == ["2 ord-1"])
            #expect(try await shop.onHand() == ["-2", "-2"])
            #expect(try await shop.redis("LLEN", shop.keys.deliveries(Shop.partition)) == "1")
            #expect(try await shop.letters().isEmpty)
            let resolved = try #require(try await shop.letters("--all").first)
            for group in try resolved.objects("groups") {
                let resolution = try group.object("resolution")
                #expect(resolution.text("outcome") == "retried" && resolution.int("seq") == 2)
                #expect(resolution.text("by")?.isEmpty == false && resolution.text("at")?.hasSuffix("Z") == true)
            }
            for group in Group.builtIn { #expect(try await shop.status(group).int("dead") == 0) }
            // And the producer that submits it once more is told where it is.
            let submitted = try await shop.run(
                "submit", "--id", "ord-1", "--shop", "main", "--customer", "c-1", "--line", "TEA:2", "--json")
            #expect(try submitted.objects()[0].text("outcome") == "duplicate" && submitted.objects()[0].int("seq") == 2)
        }
    }

    @Test("a retry that died half way through recording is finished, without another append")
    func halfRecorded() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.addOrderByHand("ord-hand")
            try await shop.settle()
            #expect(try await shop.run("dead", "retry", "--all", "--yes").code == 0)
            try await shop.redis("DEL", shop.keys.deadResolved(Shop.partition, .delivery))
            // Beyond the idempotency window too.
            try await shop.redis("DEL", shop.keys.seen(Shop.partition))
            #expect(try await shop.letters().count == 1)
            #expect(try await shop.run("dead", "retry", "--all", "--yes").code == 0)
            #expect(try await shop.letters().isEmpty)
            try await shop.settle()
            #expect(try await shop.ledger() == ["1 ord-hand"])
        }
    }

    @Test("entries added by hand are appended; one that still is no change is refused, and the others go on")
    func byReason() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.addInvalid()
            for id in ["ord-a", "ord-b", "ord-c"] { try await shop.addOrderByHand(id) }
            try await shop.addByHand("type", "order.placed", "id", "ord-half")
            try await shop.settle()
            let one = try await shop.run("dead", "retry", "ord-b", "--yes")
            #expect(one.code == 0 && one.output.hasSuffix("  ord-b  retried as 0:2\n"))

            let ran = try await shop.run("dead", "retry", "--reason", "added-by-hand", "--yes", "--json")
            #expect(ran.code == 65)
            let outcomes = try ran.objects().map { "\($0.text("id") ?? "") \($0.text("outcome") ?? "")" }
            #expect(outcomes == ["ord-a retried", "ord-c retried", "ord-half refused"])
            let all = try await shop.run("dead", "retry", "--all", "--yes")
            #expect(all.code == 65 && all.output.contains("bad-1  refused: it still is no change: "))
            try await shop.settle()
            #expect(try await shop.ledger() == ["2 ord-b", "3 ord-a", "4 ord-c"])
            #expect(try await shop.letters().count == 2)
        }
    }

    @Test("one whose ID was submitted since, corrected, is refused as a conflict")
    func conflict() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.addOrderByHand("ord-1")
            try await shop.order("ord-1", sku: "MUG")
            try await shop.settle()
            let ran = try await shop.run("dead", "retry", "--all", "--yes")
            #expect(ran.code == 65 && ran.output.contains("ord-1 is in the log with another payload, at 0:1"))
            try await shop.settle()
            #expect(try await shop.onHand("TEA") == [nil, nil])
        }
    }

    @Test("an entry that a sink has applied is refused, naming it; one that a sink may still apply waits")
    func appliedElsewhere() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1")
            try await shop.take(1, by: [.stock])
            let early = try await shop.run("dead", "retry", "0:1", "--yes")
            #expect(early.code == 75 && early.output.contains("postgres and delivery have not reached it"))
            try await shop.settle([.postgres])
            let applied = try await shop.run("dead", "retry", "0:1", "--yes")
            #expect(applied.code == 65 && applied.output.contains("refused: postgres applied it"))
            try await shop.settle([.delivery])
            let both = try await shop.run("dead", "retry", "0:1", "--yes")
            #expect(
                both.code == 65 && both.output.contains("postgres and delivery applied it, and would apply it twice"))
            #expect(try await shop.redis("HGET", shop.keys.head(Shop.partition), "seq") == "1")
            let known = "return redis.call('HLEN', redis.call('KEYS', ARGV[1])[1])"
            #expect(try await shop.redis("EVAL", known, "0", shop.keys.seen(Shop.partition) + ":*") == "1")
        }
    }

    @Test("an entry by hand that claims a place waits until every sink has set it aside")
    func claimedPlace() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.addByHand(
                "epoch", "1", "seq", "9", "type", "order.placed", "id", "ord-9", "shop", "main", "customer", "c",
                "lines", "TEA:1")
            try await shop.settle([.postgres])
            let early = try await shop.run("dead", "retry", "--all", "--yes")
            #expect(early.code == 75 && early.output.contains("stock and delivery have not set it aside"))
            try await shop.settle()
            #expect(try await shop.run("dead", "retry", "--all", "--yes").code == 0)
            try await shop.settle()
            #expect(try await shop.ledger() == ["1 ord-9"])
        }
    }

    @Test("drop wants a reason, keeps the letters, and records who, when and why")
    func drop() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.addInvalid()
            try await shop.addOrderByHand("ord-a")
            try await shop.addOrderByHand("ord-b")
            try await shop.settle()
            #expect(try await shop.run("dead", "drop", "0:1", "--yes").code == 64)
            #expect(try await shop.run("dead", "drop", "0:1", "--reason", " ", "--yes").code == 64)
            let one = try await shop.run("dead", "drop", "0:1", "--reason", "a typo", "--yes")
            #expect(one.code == 0 && one.output == "0:1  bad-1  dropped: a typo\n")
            for group in Group.builtIn { #expect(try await shop.status(group).int("dead") == 2) }
            // The first reason stays.
            let again = try await shop.run("dead", "drop", "0:1", "--reason", "another", "--yes")
            #expect(again.code == 0 && again.output.contains("dropped: a typo (already"))
            let rest = try await shop.run(
                "dead", "drop", "--with-reason", "added-by-hand", "--reason", "tests", "--yes", "--json")
            #expect(try rest.code == 0 && rest.objects().map { $0.text("outcome") } == ["dropped", "dropped"])
            #expect(try await shop.letters().isEmpty)
            #expect(try await shop.letters("--all").count == 3)
            #expect(try await shop.sql("SELECT seq::text FROM dead_letters WHERE seq IS NOT NULL") == ["1"])
            #expect(
                try await shop.sql(
                    "SELECT resolution::json ->> 'reason' FROM dead_letters WHERE resolved_at IS NOT NULL ORDER BY 1")
                    == ["a typo", "tests", "tests"])
            #expect(try await shop.redis("XLEN", shop.keys.dead(Shop.partition, .stock)) == "3")
            // Dropped by mistake: a person may still ask for it by name.
            #expect(try await shop.run("dead", "retry", "ord-a", "--yes").code == 0)
            #expect(try await shop.run("dead", "drop", "ord-a", "--reason", "no", "--yes").code == 65)
            try await shop.settle()
            #expect(try await shop.ledger() == ["2 ord-a"])
        }
    }

    @Test("without --yes, and with --dry-run, there is a plan and nothing is changed")
    func dryRun() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1")
            try await shop.take(1)
            try await shop.addOrderByHand("ord-hand")
            try await shop.settle()
            try await shop.order("ord-2")
            let before = try await shop.contents()
            let commands = [
                ["retry", "--all"], ["retry", "0:1"], ["drop", "--all", "--reason", "x"],
                ["take", "--group", "stock", "--partition", "0", "--reason", "x"],
                ["take", "--group", "postgres", "--partition", "0", "--reason", "x"],
            ]
            for command in commands {
                for flags in [[], ["--dry-run"], ["--dry-run", "--yes"]] {
                    let ran = try await shop.run(["dead"] + command + flags + ["--json"])
                    #expect(ran.code == 0, "\(ran.errors)")
                    #expect(try !ran.objects().isEmpty && ran.objects().allSatisfy { $0.text("outcome") == "planned" })
                    #expect(ran.errors.contains("nothing was changed"))
                }
            }
            #expect(try await shop.contents() == before)
        }
    }

    @Test("what is not chosen clearly is a mistake; what is not there is a no; nothing to do is done")
    func exitCodes() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            for arguments in [
                ["retry"], ["retry", "0:1", "--all"], ["drop", "--reason", "x"], ["take", "--group", "stock"],
            ] {
                #expect(try await shop.run(["dead"] + arguments).code == 64, "\(arguments)")
            }
            #expect(try await shop.run("dead", "retry", "0:1", "--yes").code == 1)
            #expect(try await shop.run("dead", "retry", "--all", "--yes").code == 0)
            #expect(try await shop.run("dead", "list").code == 0)
            try await shop.addOrderByHand("ord-hand")
            try await shop.settle()
            try await shop.redis("HSET", shop.keys.head(Shop.partition), "replid", "")
            let closed = try await shop.run("dead", "retry", "--all", "--yes")
            #expect(closed.code == 75 && closed.errors.contains("the log is closed"))
        }
    }
}
