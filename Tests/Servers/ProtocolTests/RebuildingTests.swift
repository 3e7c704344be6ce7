import Coordination
import OrderLog
import RedisClient
import RedisLog
import Testing
import TestSupport

@Suite("Rebuilding")
struct RebuildingTests {
    @Test("jobs come to their places in the list, and one that somebody put there meanwhile stays the only one")
    func jobs() async throws {
        try await withWorld { world in
            try world.append(6)
            try await world.applyAll()
            let all = try world.jobs()
            #expect(all.count == 6)
            let key = world.keys.deliveries(world.partition)
            // The service took 1 and 2, and somebody 4 and 6.
            try world.call("LTRIM", key, "2", "-1")
            try world.call("LREM", key, "1", all[3])
            try world.call("LREM", key, "1", all[5])
            let history = try #require(try world.redis.look(at: world.partition, world.keys).history)
            func again(_ seqs: [Int], _ history: History) throws -> RedisConnection.JobsOutcome {
                try world.redis.deliverAgain(
                    seqs.map { (seq: Seq(Int64($0)), json: $0 <= all.count ? all[$0 - 1] : "{}") }, in: world.partition,
                    under: history, world.keys)
            }
            #expect(try again([6, 4, 2, 1], history) == .pushed(4))
            #expect(try world.jobs() == all)
            #expect(try again([6, 4, 2, 1], history) == .pushed(0), "somebody else's come second")
            #expect(try world.jobs() == all)
            #expect(try again([7], history) == .changed, "what the sink has not applied")
            #expect(try again([1], History(epoch: Epoch(history.epoch.number + 1), replid: history.replid)) == .changed)
            try world.call("DEL", key)
            #expect(try again([6, 5, 4, 3, 2, 1], history) == .pushed(6))
            #expect(try world.jobs() == all)
        }
    }

    @Test("counters are swapped in under a raised token: a batch that was read before is refused")
    func swap() async throws {
        try await withWorld { world in
            try world.append(4)
            let before = try world.session(.stock, "before")
            try await before.takeOver()
            _ = try await before.session.process(try await before.read(limit: 2))
            let inHand = try await before.read()
            let position = world.keys.position(world.partition, .stock)
            let token = try #require(try world.call("HGET", position, "token").string.flatMap { Int($0) })
            let history = try #require(try world.redis.look(at: world.partition, world.keys).history)

            var shadow = StockShadow(world.redis, world.keys, world.partition, by: try #require(WorkerName("maker")))
            try shadow.write(World.shop, [Name("TEA"): -2])
            let outcome = try shadow.swapIn(
                Position(epoch: history.epoch, seq: Seq(2), entry: nil), under: history,
                former: [World.shop, "gone"].map(Name.init))
            #expect(outcome == .done(before: Seq(2)))
            #expect(try world.call("HGET", position, "token").string == "\(token + 1)")
            await #expect(throws: SessionStop.fenced(by: "maker")) { try await before.session.process(inHand) }
            #expect(try world.onHand().redis == "-2")

            try await world.applyAll("behind")
            #expect(try world.onHand() == ("-4", "-4"))
        }
    }

    @Test("a partition is planted only where nothing is, on the server that was looked at, with all that was made")
    func plant() async throws {
        try await withWorld { world in
            let maker = try #require(WorkerName("maker"))
            func plant(_ look: LogLook, losing: String? = nil) throws -> StockShadow.Outcome {
                var window = WindowShadow(world.redis, world.keys, world.partition, by: maker)
                try window.write([
                    LedgerEntry(
                        seq: Seq(5), fields: [], change: AppendedChange(try world.order("ord-5")),
                        location: EntryLocation(
                            place: Place(epoch: Epoch(1), seq: Seq(5)), entry: EntryID(milliseconds: 7, counter: 1)))
                ])
                var shadow = StockShadow(world.redis, world.keys, world.partition, by: maker)
                try shadow.write(World.shop, [Name("TEA"): 5])
                if let losing { try world.call("DEL", losing) }
                return try shadow.plant(
                    Place(epoch: Epoch(9), seq: Seq(3)), on: look, of: world.identity, stock: Seq(5), delivery: Seq(4),
                    window: window)
            }
            let head = world.keys.head(world.partition)
            try world.call("DEL", head)
            let look = try world.redis.look(at: world.partition, world.keys)
            #expect(try plant(LogLook(replid: "another", isMaster: true, head: nil)) == .changed)
            for key in [
                world.keys.stockShadow(world.partition, shop: World.shop, by: maker),
                world.keys.seenShadow(world.partition, by: maker),
            ] { #expect(try plant(look, losing: key) == .lost) }
            // An ID that the ledger doesn't know, and one of the former window.
            try world.call("HSET", world.keys.seen(world.partition), "main ord-6", "d 6 8-1", "since", "1")
            try world.call("HSET", world.keys.seenBefore(world.partition), "main ord-5", "d 5 7-1")
            try world.call("XADD", world.keys.log(world.partition), "1-1", "a", "b")
            #expect(try plant(look) == .changed, "entries without a head")
            try world.call("XTRIM", world.keys.log(world.partition), "MAXLEN", "0")
            #expect(try world.call("EXISTS", head).integer == 0)

            #expect(try plant(look) == .done(before: .none))
            #expect(try world.call("HMGET", head, "seq", "first", "replid").elements.map(\.string) == ["3", "4", ""])
            #expect(try world.position(.stock) == 5 && world.position(.delivery) == 4)
            let seen = try world.call("HGETALL", world.keys.seen(world.partition)).elements.compactMap(\.string)
            #expect(seen.count == 4 && seen.contains { $0.hasSuffix(" 5 7-1") } && !seen.contains("main ord-6"))
            #expect(try world.call("TTL", world.keys.seen(world.partition)).integer == -1)
            #expect(try world.call("EXISTS", world.keys.seenBefore(world.partition)).integer == 0)
            try world.call("HSET", world.keys.stock(world.partition, shop: World.shop), "TEA", "4")
            #expect(try plant(look) == .changed, "somebody planted it meanwhile")
            #expect(try world.onHand().redis == "4")
        }
    }
}

extension World {
    fileprivate func jobs() throws -> [String] {
        try call("LRANGE", keys.deliveries(partition), "0", "-1").elements.compactMap(\.string)
    }
}
