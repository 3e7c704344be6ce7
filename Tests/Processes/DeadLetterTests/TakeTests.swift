import Foundation
import OrderLog
import PrivateServers
import RedisLog
import TestSupport
import Testing

@Suite("dead take")
struct TakeTests {
    @Test("an entry on which a live worker stalls is set aside, and the worker goes on by itself")
    func stalledWorker() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            let hash = shop.keys.stock(Shop.partition, shop: Shop.name)
            // Beyond what can be counted on.
            try await shop.redis("HSET", hash, "TEA", "9007199254740993")
            try await shop.order("ord-1", sku: "TEA")
            try await shop.order("ord-2", sku: "MUG")
            let worker = try await shop.worker(.stock)
            try await shop.becomes("stalled", .stock)

            let plan = try await shop.run(
                "dead", "take", "--group", "stock", "--partition", "0", "--reason", "too large")
            #expect(plan.code == 0 && plan.output == "0:1  ord-1  to be set aside by stock: too large\n")
            #expect(plan.errors.contains("not a whole number that can be counted on"))
            let ran = try await shop.run(
                "dead", "take", "--group", "stock", "--partition", "0", "--reason", "too large", "--yes")
            #expect(ran.code == 0 && ran.output.hasPrefix("0:1  ord-1  set aside"), "\(ran.errors)")

            try await shop.applied(.stock)
            #expect(try await shop.redis("HGET", hash, "MUG") == "-2")
            #expect(try await shop.redis("HGET", hash, "TEA") == "9007199254740993")
            try await shop.becomes("serving", .stock)
            let letter = try #require(try await shop.letters().first)
            #expect(letter.text("letter") == "0:1" && letter.text("reason") == "taken")
            #expect(letter.text("error") == "too large" && letter.text("id") == "ord-1")
            #expect(try letter.objects("groups").map { $0.text("group") } == ["stock"])
            await worker.stop()
        }
    }

    @Test("a wrong type at a key, in every sink in Redis")
    func wrongType() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.redis("SET", shop.keys.stock(Shop.partition, shop: Shop.name), "no hash")
            try await shop.redis("SET", shop.keys.deliveries(Shop.partition), "no list")
            try await shop.order("ord-1")
            // Nothing that the other shop's order needs is broken in stock; delivery lacks its list.
            try await shop.order("ord-2", of: "second")
            let workers = [try await shop.worker(.stock), try await shop.worker(.delivery)]
            for group in [Group.stock, .delivery] {
                try await shop.becomes("stalled", group)
                try await shop.take(1, by: [group])
            }
            try await shop.applied(.stock)
            // It still can't deliver anything; mended, it goes on behind the letter.
            #expect(try await shop.redis("HGET", shop.keys.position(Shop.partition, .delivery), "seq") == "1")
            // Its name is free for a list again.
            try await shop.redis("DEL", shop.keys.deliveries(Shop.partition))
            try await shop.applied(.delivery)
            #expect(try await shop.redis("LLEN", shop.keys.deliveries(Shop.partition)) == "1")
            for worker in workers { await worker.stop() }
        }
    }

    @Test("postgres: what its database refuses is set aside, acknowledged, and the ledger has no hole")
    func postgres() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.sql("ALTER TABLE order_lines ADD CONSTRAINT no_tea CHECK (sku <> 'TEA')")
            try await shop.order("ord-1", sku: "TEA")
            try await shop.order("ord-2", sku: "MUG")
            let worker = try await shop.worker(.postgres)
            try await shop.becomes("stalled", .postgres)
            try await shop.take(1, by: [.postgres])
            try await shop.applied(.postgres)
            #expect(try await shop.ledger() == ["2 ord-2"])
            #expect(try await shop.sql("SELECT seq || reason || error FROM dead_letters") == ["1takena test"])
            await worker.stop()
        }
    }

    @Test("against a live worker and itself, every entry is taken exactly once")
    func race() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            let hash = shop.keys.stock(Shop.partition, shop: Shop.name)
            try await shop.redis("HSET", hash, "TEA", "x")
            let count = 6
            for number in 1...count { try await shop.order("ord-\(number)") }
            try await shop.order("ord-last", sku: "MUG")
            let worker = try await shop.worker(.stock)
            try await shop.becomes("stalled", .stock)
            for seq in 1...count {
                // Two people at once.
                async let one = shop.run(
                    "dead", "take", "\(seq)", "--group", "stock", "--partition", "0", "--reason", "one", "--yes")
                async let two = shop.run(
                    "dead", "take", "\(seq)", "--group", "stock", "--partition", "0", "--reason", "two", "--yes")
                let codes = [try await one.code, try await two.code]
                #expect(codes.contains(0) && codes.allSatisfy { [0, 1].contains($0) }, "\(codes)")
            }
            try await shop.applied(.stock)
            #expect(try await shop.redis("HGET", hash, "MUG") == "-2")
            #expect(try await shop.redis("XLEN", shop.keys.dead(Shop.partition, .stock)) == "\(count)")
            #expect(try await shop.letters().map { $0.int("seq") } == Array(1...count))
            await worker.stop()
        }
    }

    @Test("only the entry behind the position can be taken, and not by mistake where nothing is stalled")
    func refusals() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            func take(_ arguments: String...) async throws -> Ran {
                try await shop.run(["dead", "take", "--group", "stock", "--reason", "x", "--yes"] + arguments)
            }
            #expect(try await take("--partition", "1").code == 64)
            #expect(try await take("--partition", "0", "0").code == 64)
            let nothing = try await take("--partition", "0")
            #expect(nothing.code == 1 && nothing.errors.contains("nothing is stalled"))
            try await shop.order("ord-1")
            try await shop.order("ord-2")
            let wrong = try await take("--partition", "0", "2")
            #expect(wrong.code == 1 && wrong.errors.contains("only the entry at seq 1 can be taken"))
            #expect(try await shop.redis("EXISTS", shop.keys.dead(Shop.partition, .stock)) == "0")
            // Trimmed by hand: there is nothing to take.
            let first = try #require(try await shop.firstEntry())
            try await shop.redis("XDEL", shop.keys.log(Shop.partition), first)
            let missing = try await take("--partition", "0")
            #expect(missing.code == 75 && missing.errors.contains("no entry of its own at seq 1"))
            try await shop.redis("HSET", shop.keys.head(Shop.partition), "replid", "")
            let closed = try await take("--partition", "0")
            #expect(closed.code == 75 && closed.errors.contains("the log is closed"))
        }
    }
}
