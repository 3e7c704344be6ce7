import Foundation
import PrivateServers
import RedisClient
import Testing
import TestSupport

@Suite("A script of one's own in Redis")
struct RedisScriptTests {
    private static let pages = Repository.root.appending(path: "Examples/kinds/pages.lua").path

    /// Every page's count is the stock that Redis has.
    private static func isEqual(_ shop: KindShop) throws {
        for partition in 0..<KindShop.partitions {
            var pages: [String: String] = [:]
            for key in try shop.redis("KEYS", shop.key(partition, "own:pages:*")).elements.compactMap(\.string) {
                pages[String(key.dropFirst(shop.key(partition, "own:pages:").count))] =
                    try shop.redis("HGET", key, "count").string
            }
            var stock: [String: String] = [:]
            for key in try shop.redis("KEYS", shop.key(partition, "stock:*")).elements.compactMap(\.string) {
                let fields = try shop.redis("HGETALL", key).elements.map { $0.string ?? "" }
                for index in stride(from: 0, to: fields.count - 1, by: 2) {
                    stock["\(key.dropFirst(shop.key(partition, "stock:").count))/\(fields[index])"] = fields[index + 1]
                }
            }
            #expect(pages == stock, "partition \(partition)")
        }
    }

    @Test("killed and stopped workers leave the example's pages equal to the stock")
    func faults() async throws {
        try await withKindShop { shop in
            let others = try await shop.worker(
                "--group", "postgres", "--group", "stock", "--group", "delivery", log: "others.log")
            _ = try await shop.run("group", "add", "pages", "--kind", "redis-script", Self.pages).succeeded()
            var fleet = try await KindFleet(shop, "pages")
            try await fleet.torment(kills: 6, stops: 2, changes: 150)
            try await shop.settled("stock")
            try Self.isEqual(shop)
            // The position counts what was handed over; nothing is left pending.
            for partition in 0..<KindShop.partitions {
                let position = try shop.redis("HMGET", shop.key(partition, "position:pages"), "seq", "sum").elements
                #expect(position[0].string == position[1].string)
                #expect(try shop.redis("XPENDING", shop.key(partition, "log"), "pages")[0].integer == 0)
            }
            let audit = try await shop.run("audit")
            #expect(audit.code == 0, "\(audit.output)")
            // Half of a step, or a hand, leaves position and count apart.
            _ = try shop.redis("HINCRBY", shop.key(1, "position:pages"), "sum", "-1")
            let counted = try await shop.run("audit")
            #expect(counted.code == 1 && counted.output.contains("what pages was handed"), "\(counted.output)")
            _ = try shop.redis("HINCRBY", shop.key(1, "position:pages"), "sum", "1")
            // With the group goes what its script wrote: added again it counts from nothing.
            let refill = try await shop.run("group", "remove", "pages", "--yes")
            #expect(refill.code == 0, "\(refill.errors)")
            #expect(try shop.redis("KEYS", "*\(shop.servers.namespace):*:own:pages:*").count == 0)
            _ = try await shop.run("group", "add", "pages", "--kind", "redis-script", Self.pages).succeeded()
            let worker = try await shop.worker("--group", "pages")
            try await shop.settled("pages")
            try Self.isEqual(shop)
            await worker.kill()
            await others.kill()
        }
    }

    @Test("workers and servers are killed, workers stopped with a batch in hand: the pages are equal to the stock")
    func torment() async throws {
        try await withOwnKindShop { shop in
            let others = try await shop.worker("--group", "postgres", "--group", "stock", log: "others.log")
            _ = try await shop.run("group", "add", "pages", "--kind", "redis-script", Self.pages).succeeded()
            var fleet = try await KindFleet(shop, "pages")
            try await fleet.endure(.asked, stoppingAt: "beforeScript", changes: 60) {
                _ = try shop.redis("SCRIPT", "FLUSH")
            }
            try await shop.settled("stock")
            try Self.isEqual(shop)
            let refused = try (0..<KindShop.partitions).map {
                Int(try shop.redis("HGET", shop.key($0, "position:pages"), "refused").string ?? "0") ?? 0
            }
            print("redis-script: \(Torment.asked), refused \(refused)")
            #expect(refused.reduce(0, +) > 0, "a worker was overtaken")
            await others.kill()
        }
    }

    @Test("what sells is invalidated in the step in which it sells")
    func invalidates() async throws {
        try await withKindShop { shop in
            let worker = try await shop.worker()
            _ = try await shop.run("group", "add", "pages", "--kind", "redis-script", Self.pages).succeeded()
            try await shop.submit(id: "a", shop: "main", "TEA:2", "MUG:1", attributes: #"{"x":[1,{"y":null}]}"#)
            try await shop.settled("pages")
            let partition = try #require(
                try (0..<KindShop.partitions).first { try shop.redis("XLEN", shop.key($0, "log")).integer == 1 })
            let tea = shop.key(partition, "own:pages:main/TEA")
            #expect(try shop.redis("HGETALL", tea).elements.map(\.string) == ["count", "-2"])
            _ = try shop.redis("HSET", tea, "html", "<h1>Tea</h1>")
            _ = try shop.redis("HSET", shop.key(partition, "own:pages:main/MUG"), "html", "<h1>Mug</h1>")
            try await shop.submit(id: "b", shop: "main", "TEA:3")
            try await shop.settled("pages")
            #expect(try shop.redis("HGETALL", tea).elements.map(\.string) == ["count", "-5"])
            #expect(try shop.redis("HGET", shop.key(partition, "own:pages:main/MUG"), "html").string == "<h1>Mug</h1>")
            await worker.kill()
        }
    }

    @Test("a script that fails half way leaves nothing, says where, and goes on when it is mended")
    func fails() async throws {
        try await withKindShop { shop in
            let worker = try await shop.worker()
            let text = """
                return function(changes, store)
                  for _, change in ipairs(changes) do
                    store.write('RPUSH', store.key('ids'), change.id)
                    if change.id == 'poison' then error('not this one') end
                  end
                end
                """
            let script = try shop.file("ids.lua", text)
            _ = try await shop.run("group", "add", "ids", "--kind", "redis-script", script).succeeded()
            try await shop.submit(id: "first", shop: "main", "TEA:1")
            try await shop.settled("ids")
            try await shop.submit(id: "poison", shop: "main", "TEA:1")
            try await eventually(within: .seconds(20), "status says where: \(shop.log())") {
                try await shop.run("status", "--json").output.contains("ids.lua:4: not this one")
            }
            try await shop.submit(id: "last", shop: "main", "TEA:1")
            func ids() throws -> [String?] {
                try (0..<KindShop.partitions).flatMap {
                    try shop.redis("LRANGE", shop.key($0, "own:ids:ids"), "0", "-1").elements.map(\.string)
                }
            }
            #expect(try ids() == ["first"])
            let mended = try shop.file("ids.lua", text.replacing("error('not this one')", with: "change.id = 'mended'"))
            _ = try await shop.run("group", "change", "ids", mended).succeeded()
            try await shop.settled("ids")
            #expect(try ids() == ["first", "poison", "last"])
            await worker.kill()
        }
    }

    @Test("a script is tried before it is recorded: its grammar, its commands and its keys")
    func tried() async throws {
        try await withKindShop { shop in
            let cases = [
                ("return function(c s) end", "bad.lua:1: ')' expected near 's'"),
                ("return 5", "it returns no function"),
                ("\nlocal x = nothing.here", "bad.lua:2: "),
                ("return function(c, s)\n\n  local x = c[1].nope.y end", "bad.lua:3: attempt to index field 'nope'"),
                ("return function(c, s) s.read('SET', s.key('x'), 1) end", "bad.lua:1: SET is no command that reads"),
                ("return function(c, s) s.write('GET', s.key('x')) end", "bad.lua:1: GET is no command that writes"),
                ("return function(c, s) s.write('BLPOP', s.key('x'), 1) end", "BLPOP is no command that writes"),
                ("return function(c, s) s.write('NOPE', s.key('x'), 1) end", "NOPE is no command that writes"),
                ("return function(c, s) s.write('FLUSHALL') end", "FLUSHALL: its keys are unclear"),
                ("return function(c, s) s.write('DEL', s.tag .. ':log') end", ":log: keys begin with {"),
                ("return function(c, s) s.write('DEL', s.key('x'), 'y') end", "DEL y: keys begin with {"),
                ("return function(c, s) s.read('GET', 'elsewhere') end", "GET elsewhere: keys begin with {"),
            ]
            for (text, reason) in cases {
                let file = try shop.file("bad.lua", text)
                let ran = try await shop.run("group", "add", "bad", "--kind", "redis-script", file)
                #expect(ran.code == 78 && ran.errors.contains(reason), "\(text): \(ran.code ?? -1) \(ran.errors)")
            }
            #expect(try shop.redis("KEYS", "*\(shop.servers.namespace):*:own:*").count == 0)
            let large = try shop.file("bad.lua", "--" + String(repeating: "x", count: 70_000))
            let ran = try await shop.run("group", "add", "bad", "--kind", "redis-script", large)
            #expect(ran.code == 78 && ran.errors.contains("larger than 64 KiB"), "\(ran.errors)")
        }
    }
}
