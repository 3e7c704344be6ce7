import Foundation
import OrderLog
import PrivateServers
import RedisLog
import Testing
import TestSupport

@Suite("The recipes of docs/, run from their text")
struct RecipeTests {
    /// What is in the hole: everything that a recipe has to get right.
    private static let hole = [
        stock("counted", "count-2", "main", "TEA:70 POT:3"),
        #"{"id":"o\"x","shop":"main","customer":"J\u00f6rg \"q\" \\ 茶","lines":"TEA:1 MUG:2 TEA:4","attributes":{"a": [1, "\u00e9"]}}"#
            .replacing(#"o\"x"#, with: "ord-x"),
        cancellation("ord-1"), stock("received", "in-1", "main", "MUG:7"), order("ord-4", "main", "POT:1"),
    ]
    private static let seqs = 4...8

    private func log(_ shop: AuditedShop) -> String { shop.keys.log(shop.partition(of: "main")) }

    /// Applies all, and appends what a group that is stopped has not applied; then deletes that, and one more is there.
    private func makeHole(_ shop: AuditedShop, _ groups: [Group], pendingIn group: Group? = nil) async throws {
        try await shop.submit([stock("counted", "count-1", "main", "TEA:100 MUG:50"), order("ord-1"), order("ord-2")])
        try await shop.drained()
        await shop.stopWorkers(groups)
        try await shop.submit(Self.hole)
        try await shop.submit([order("ord-5")])
        for group in Group.builtIn where !groups.contains(group) { try await shop.reaches(9, group) }
        // Ghosts: pending with somebody, and gone.
        if let group {
            try await shop.redis(
                "XREADGROUP", "GROUP", group.name, "ghost", "COUNT", "4", "STREAMS", log(shop), ">")
        }
        for seq in Self.seqs {
            try await shop.redis("XDEL", log(shop), try await shop.entry(seq, in: shop.partition(of: "main")))
        }
        try await shop.startWorkers(groups)
        for group in groups { try await shop.becomes("halted", group, "lacks seq 4 to 8") }
        #expect(try await shop.audit().code == 1)
        await shop.stopWorkers(groups)
    }

    private func expectAgreement(_ shop: AuditedShop, settled: Int) async throws {
        try await shop.submit([order("ord-9")])
        try await shop.drained()
        let audited = try await shop.audit("--json")
        #expect(audited.code == 0, "\(audited.output)")
        #expect(try audited.report().settledTotal == settled)
    }

    @Test(
        "a group that lacks entries is brought up from the ledger, settled, serves on, and agrees",
        arguments: [Group.stock, .delivery])
    func halted(_ group: Group) async throws {
        try await AuditedShop.open { shop in
            let partition = shop.partition(of: "main").number
            try await makeHole(shop, [group], pendingIn: group)
            let recipe = try Recipe("halted-\(group.name)", in: "operating.md")
                .setting(["p": partition, "first": 4, "last": 8])
            if group == .delivery {
                let short = try await recipe.setting(["p": partition, "first": 4, "last": 10]).run(shop.servers)
                #expect(short.code == 1 && short.errors.contains("Postgres has 6 of them"), "\(short.errors)")
            }
            let ran = try await recipe.run(shop.servers)
            #expect(ran.code == 0, "\(ran.errors)")
            #expect(ran.output.contains("\(group.name) \(partition):4-8 by "))
            // Run again by mistake.
            #expect(try await recipe.run(shop.servers).code == (group == .delivery ? 1 : 0))
            try await shop.startWorkers([group])
            try await shop.becomes("serving", group)
            try await expectAgreement(shop, settled: 5)

            let text = try await shop.audit().output
            #expect(text.contains("settled, 5 of it: \(group.name) \(partition):4-8 by "), "\(text)")
            let shown = try await shop.run("order", "ord-4", "--shop", "main")
            #expect(shown.output.contains("  incident  \(group.name) \(partition):4-8 by "), "\(shown.output)")
            let object = try await shop.run("order", "ord-5", "--shop", "main", "--json").object()
            #expect(try object.objects("incidents").isEmpty)
            let pending = try await shop.run("pending", "--json")
            #expect(pending.output == "", "the ghosts are gone")

            // It hides nothing else: another entry, another group's, the counter.
            try await shop.redis("XDEL", log(shop), try await shop.entry(9, in: shop.partition(of: "main")))
            let other = try await shop.audit("--json").report()
            #expect(other.verdict == "disagree" && other.differences.map(\.seq) == [9] && other.settledTotal == 5)
            try await shop.sql("UPDATE orders SET customer = 'c-9' WHERE id = 'ord-4'")
            try await shop.redis("HINCRBY", shop.keys.stock(shop.partition(of: "main"), shop: "main"), "TEA", "1")
            let more = try await shop.audit("--json").report()
            #expect(Set(more.differences.map(\.subject)) == ["log", "orders", "stock-in-redis"])
        }
    }

    @Test("jobs from the ledger are those that the worker would have made, byte for byte")
    func jobs() async throws {
        try await AuditedShop.open { shop in
            let partition = shop.partition(of: "main")
            try await makeHole(shop, [.delivery])
            let ran = try await Recipe("halted-delivery", in: "operating.md")
                .setting(["p": partition.number, "first": 4, "last": 8]).run(shop.servers)
            #expect(ran.code == 0, "\(ran.errors)")
            let jobs = try await shop.jobs(in: partition)
            #expect(
                jobs[2]
                    == #"{"job":"prepare","order":"ord-x","shop":"main","customer":"Jörg \"q\" \\ 茶","lines":[{"sku":"TEA","quantity":5},{"sku":"MUG","quantity":2}],"attributes":{"a": [1, "\u00e9"]},"partition":\#(partition),"epoch":1,"seq":5}"#
            )
            #expect(
                jobs.count == 5 && jobs[3].hasPrefix(#"{"job":"cancel","order":"ord-1","shop":"main","customer":null,"#)
            )
            // Another hand's spaces, order of members and escapes say the same.
            let meaning = try JSONSerialization.jsonObject(with: Data(jobs[2].utf8))
            let other = try JSONSerialization.data(withJSONObject: meaning, options: [.prettyPrinted, .sortedKeys])
            try await shop.startWorkers([.delivery])
            try await shop.drained()
            try await shop.redis(
                "LSET", shop.keys.deliveries(partition), "2",
                String(decoding: other, as: UTF8.self).replacing("茶", with: "\\u8336"))
            #expect(try await shop.audit().code == 0)
        }
    }

    @Test("entries that nobody has are set aside as lost, all groups serve on, and agree")
    func lost() async throws {
        try await AuditedShop.open { shop in
            let partition = shop.partition(of: "main").number
            try await makeHole(shop, Group.builtIn)
            let recipe = try Recipe("lost", in: "operating.md").setting(["p": partition, "first": 4, "last": 8])
            let ran = try await recipe.run(shop.servers)
            #expect(ran.code == 0, "\(ran.errors)")
            // Run again by mistake, it does nothing.
            let again = try await recipe.run(shop.servers)
            #expect(again.code == 1 && again.errors.contains("Postgres has applied up to seq 8"), "\(again.errors)")
            try await shop.startWorkers()
            for group in Group.builtIn { try await shop.becomes("serving", group) }
            try await expectAgreement(shop, settled: 5)
            #expect(try await shop.run("dead", "list").output == "")
        }
    }

    @Test("entries that stand in the log twice are removed, and the workers open it")
    func doubledEntries() async throws {
        try await AuditedShop.open { shop in
            let partition = shop.partition(of: "main")
            try await shop.submit([order("ord-1"), order("ord-2"), order("ord-3")])
            try await shop.drained()
            // As half of an append leaves them: one at the place of another, one at a place that was not given.
            try await shop.redis(
                "EVAL",
                """
                local entries = redis.call('XRANGE', KEYS[1], '-', '+')
                redis.call('DEL', KEYS[1])
                for k = 1, 2 do redis.call('XADD', KEYS[1], entries[k][1], unpack(entries[k][2])) end
                for k = 3, 4 do redis.call('XADD', KEYS[1], '*', 'epoch', 1, 'seq', k, 'type', 'order.placed') end
                redis.call('XADD', KEYS[1], '*', unpack(entries[3][2]))
                for _, group in ipairs({ 'postgres', 'stock', 'delivery' }) do
                    redis.call('XGROUP', 'CREATE', KEYS[1], group, '$')
                end
                redis.call('HSET', KEYS[2], 'replid', '')
                """, "2", log(shop), shop.keys.head(partition))
            try await shop.becomes("halted", .postgres)
            let ran = try await Recipe("doubled-entries", in: "operating.md").setting(["p": partition.number])
                .run(shop.servers)
            #expect(ran.code == 0 && ran.output == "2\n", "\(ran.errors)")
            for group in Group.builtIn { try await shop.becomes("serving", group) }
            try await expectAgreement(shop, settled: 0)
        }
    }

    @Test("a deleted head is written again, and the workers open the log")
    func headDeleted() async throws {
        try await AuditedShop.open { shop in
            let partition = shop.partition(of: "main")
            try await shop.submit([order("ord-1"), order("ord-2")])
            try await shop.drained()
            try await shop.redis("DEL", shop.keys.head(partition))
            try await shop.becomes("halted", .postgres)
            let ran = try await Recipe("head-deleted", in: "operating.md").setting(["p": partition.number])
                .run(shop.servers)
            #expect(ran.code == 0, "\(ran.errors)")
            for group in Group.builtIn { try await shop.becomes("serving", group) }
            try await expectAgreement(shop, settled: 0)
        }
    }

    @Test("a deleted position is written again, with entries pending and without", arguments: [false, true])
    func positionDeleted(hasPending: Bool) async throws {
        try await AuditedShop.open { shop in
            let partition = shop.partition(of: "main")
            try await shop.submit([stock("counted", "count-1", "main", "TEA:100 MUG:50"), order("ord-1")])
            try await shop.drained()
            await shop.stopWorkers([.stock])
            if hasPending {
                try await shop.submit([order("ord-2"), order("ord-3")])
                try await shop.redis("XREADGROUP", "GROUP", "stock", "ghost", "COUNT", "9", "STREAMS", log(shop), ">")
            }
            try await shop.redis("DEL", shop.keys.position(partition, .stock))
            try await shop.startWorkers([.stock])
            try await shop.becomes("stalled", .stock)
            await shop.stopWorkers([.stock])
            let ran = try await Recipe("position-deleted", in: "faults.md")
                .setting(["p": partition.number, "group": "stock"]).run(shop.servers)
            #expect(ran.code == 0, "\(ran.errors)")
            try await shop.startWorkers([.stock])
            try await shop.becomes("serving", .stock)
            try await expectAgreement(shop, settled: 0)
        }
    }

    @Test("a plan first; what isn't there yet, and what is no place, is refused; the same again is recorded once")
    func settling() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit([order("ord-1")])
            try await shop.drained()
            let partition = "\(shop.partition(of: "main"))"
            func settle(_ seqs: String, _ more: String...) async throws -> Ran {
                try await shop.run(
                    ["incident", "settle", "\(partition):\(seqs)", "--group", "stock", "--what", "w", "--reason", "r"]
                        + more)
            }
            #expect(try await settle("1").errors.contains("nothing was recorded; --yes does it"))
            #expect(try await shop.run("incident", "list").output == "")
            for seqs in ["2", "1-2", "0", "2-1", "x", "1,1", ""] {
                #expect(try await settle(seqs, "--yes").code == 64, "\(seqs)")
            }
            for _ in 0..<2 { #expect(try await settle("1", "--yes", "--by", "ann").code == 0) }
            let listed = try #require(try await shop.run("incident", "list", "--json").objects().first)
            #expect(listed.text("schema") == "onewrite/incident/v1" && listed.text("kind") == "stock")
            #expect(listed.text("who") == "ann" && listed.text("seqs") == "1" && listed.text("at") != nil)
            #expect(try await shop.run("incident", "list", "--json").objects().count == 1)
            // An early build's schema has no such table.
            try await shop.sql("DROP TABLE incidents; UPDATE meta SET version = 1")
            #expect(try await settle("1", "--yes").code == 78)
            #expect(try await shop.audit().code == 0)
            #expect(try await shop.run("order", "ord-1", "--shop", "main").code == 0)
            #expect(try await shop.run("upgrade", "--yes").code == 0)
            #expect(try await settle("1", "--yes").code == 0)
        }
    }
}
