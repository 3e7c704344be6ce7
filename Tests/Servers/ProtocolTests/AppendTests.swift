import Coordination
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Testing
import TestSupport
import ThreadedIO

@Suite("append.lua")
struct AppendTests {
    private func results(_ reply: Appender.Reply) throws -> [Appender.Result] {
        guard case .appended(_, let results) = reply else {
            Issue.record("not appended: \(reply)")
            return []
        }
        return results
    }

    @Test("a change ID is in the log once: its repetition is told its place, another payload is a conflict")
    func idempotent() async throws {
        try await withWorld { world in
            let first = try results(try world.append([world.order("a"), world.order("b")]))
            #expect(first.map(\.outcome) == [.accepted, .accepted])
            #expect(first.map(\.seq.number) == [1, 2])
            let again = try results(
                try world.append([world.order("b"), world.order("a", quantity: 9), world.order("c")]))
            #expect(again.map(\.outcome) == [.duplicate, .conflict, .accepted])
            #expect(again[0].entry == first[1].entry)
            #expect(again[1].seq.number == 1)
            #expect(again[2].seq.number == 3)
            #expect(try world.call("XLEN", world.keys.log(world.partition)).integer == 3)
        }
    }

    @Test("sees repetitions within one call")
    func withinCall() async throws {
        try await withWorld { world in
            let outcomes = try results(
                try world.append([world.order("a"), world.order("a"), world.order("a", quantity: 2)]))
            #expect(outcomes.map(\.outcome) == [.accepted, .duplicate, .conflict])
            #expect(try world.call("XLEN", world.keys.log(world.partition)).integer == 1)
        }
    }

    @Test("an ID is remembered for one window at least, and forgotten after two")
    func window() async throws {
        try await withWorld { world in
            _ = try world.append([world.order("a")])
            try world.window.age()
            // The next new change rotates: what was seen before is in the old half now.
            _ = try world.append([world.order("b")])
            #expect(try results(try world.append([world.order("a")])).map(\.outcome) == [.duplicate])
            try world.window.age()
            _ = try world.append([world.order("c")])
            #expect(try results(try world.append([world.order("b")])).map(\.outcome) == [.duplicate])
            #expect(try results(try world.append([world.order("a")])).map(\.outcome) == [.accepted])
        }
    }

    @Test("refuses another log than the submitter knows, and writes nothing")
    func mismatch() async throws {
        try await withWorld { world in
            let other = LogIdentity(partitioning: world.identity.partitioning, log: "another")
            let appender = Appender(world.redis, keys: world.keys, identity: other, window: .seconds(60))
            let reply = try appender.append([world.order("a")], to: world.partition, until: .after(.seconds(5)))
            #expect(reply == .mismatch)
            #expect(try world.call("XLEN", world.keys.log(world.partition)).integer == 0)
        }
    }

    @Test("a replica is no log, even when its replid is the head's")
    func replica() async throws {
        try await withWorld { world in
            let look = LogLook(
                replid: "x", isMaster: false,
                head: Head(epoch: Epoch(1), seq: .none, replid: "x", partitions: 1, log: world.identity.log))
            #expect(look.history == nil)
            #expect(LogState(look, row: nil, identity: world.identity) == .closed)
        }
    }

    @Test("a log of the wrong type is refused before anything is written")
    func wrongType() async throws {
        try await withWorld { world in
            try world.call("DEL", world.keys.log(world.partition))
            try world.call("SET", world.keys.log(world.partition), "not a stream")
            #expect(throws: StoreError.self) { try world.append([world.order("a")]) }
            #expect(try world.call("HGET", world.keys.head(world.partition), "seq").string == "0")
            #expect(try world.window.records().isEmpty)
        }
    }
}

@Suite("The sinks' effects")
struct EffectTests {
    private func change(_ draft: ChangeDraft) throws -> Change { try Change(draft) }

    /// Changes of every kind, with cancellations before and after their orders, across batches of any size.
    private func history() throws -> [Change] {
        let shop = World.shop
        func lines(_ text: String) -> ChangeDraft.DraftLines { .text(text) }
        var changes = [
            try change(ChangeDraft(type: "stock.counted", id: "count-1", shop: shop, lines: lines("TEA:100 MUG:5"))),
            try change(
                ChangeDraft(
                    id: "o1", shop: shop, customer: "c \"é\\", lines: lines("TEA:2 MUG:1"),
                    attributes: #"{"a" : 1.50, "a":2}"#)),
            try change(ChangeDraft(type: "order.cancelled", shop: shop, order: "o1", lines: lines("TEA:2 MUG:1"))),
            try change(ChangeDraft(type: "order.cancelled", shop: shop, order: "o2", lines: lines("TEA:1"))),
            try change(ChangeDraft(id: "o2", shop: shop, customer: "c", lines: lines("TEA:1"))),
            try change(ChangeDraft(type: "stock.received", id: "r1", shop: shop, lines: lines("TEA:7 CUP:3"))),
            try change(ChangeDraft(id: "o3", shop: shop, customer: "c", lines: lines("CUP:3"))),
            try change(ChangeDraft(type: "stock.counted", id: "count-2", shop: shop, lines: lines("MUG:50"))),
            try change(ChangeDraft(id: "o4", shop: shop, customer: "c", lines: lines("MUG:60"))),
            try change(ChangeDraft(type: "order.cancelled", shop: shop, order: "unknown", lines: lines("NEW:1"))),
        ]
        changes += try (0..<5).map {
            try change(ChangeDraft(id: "x\($0)", shop: shop, customer: "c", lines: lines("TEA:1")))
        }
        return changes
    }

    @Test("are the same however the log is cut into batches", arguments: [1, 2, 3, 4, 100])
    func sameForAnyBatch(_ size: Int) async throws {
        try await withWorld { world in
            let sessions = try Group.builtIn.map { try world.session($0, "w-\($0)") }
            for session in sessions { try await session.takeOver() }
            _ = try world.append(try history())
            for session in sessions {
                while true {
                    let entries = try await session.read(limit: size)
                    if entries.isEmpty { break }
                    _ = try await session.session.process(entries)
                }
            }
            let expected = ["CUP": "0", "MUG": "-10", "NEW": "1", "TEA": "102"]
            let inPostgres = try world.postgres.query(
                "SELECT sku, on_hand::text FROM stock", until: .after(.seconds(5)))
            #expect(
                Dictionary(uniqueKeysWithValues: inPostgres.map { ($0.string(0) ?? "", $0.string(1) ?? "") })
                    == expected)
            let inRedis = try world.call("HGETALL", world.keys.stock(world.partition, shop: World.shop)).elements
                .compactMap(\.string)
            #expect(
                Set(stride(from: 0, to: inRedis.count, by: 2).map { "\(inRedis[$0]) \(inRedis[$0 + 1])" })
                    == Set(expected.map { "\($0.key) \($0.value)" }))
            let orders = try world.postgres.query(
                "SELECT id, status FROM orders ORDER BY seq", until: .after(.seconds(5)))
            #expect(
                orders.map { "\($0.string(0) ?? "") \($0.string(1) ?? "")" }.prefix(4) == [
                    "o1 cancelled", "o2 placed", "o3 placed", "o4 placed",
                ])
            #expect(try world.deliveries().prefix(6) == ["o1", "o1", "o2", "o2", "o3", "o4"])
            let first = try world.call("LINDEX", world.keys.deliveries(world.partition), "0").string
            #expect(
                first
                    == #"{"job":"prepare","order":"o1","shop":"main","customer":"c \"é\\","lines":[{"sku":"TEA","quantity":2},"#
                    + #"{"sku":"MUG","quantity":1}],"attributes":{"a" : 1.50, "a":2},"partition":0,"epoch":1,"seq":2}"#)
            let ledger = try world.postgres.query(
                "SELECT attributes, digest FROM ledger WHERE id = 'o1'", until: .after(.seconds(5)))
            #expect(ledger.first?.string(0) == #"{"a" : 1.50, "a":2}"#, "byte for byte")
            #expect(ledger.first?.string(1)?.count == 32)
        }
    }

    @Test("an order that is there already keeps its first row and lines; the stock effect counts all the same")
    func repeatedOrder() async throws {
        try await withWorld { world in
            let postgres = try world.session(.postgres, "p")
            try await postgres.takeOver()
            _ = try world.append([world.order("o", quantity: 2)])
            try await postgres.work()
            // As beyond the idempotency window.
            try world.call("DEL", world.keys.seen(world.partition))
            let other = try Change(
                ChangeDraft(id: "o", shop: World.shop, customer: "other", lines: .text("TEA:5 MUG:1")))
            _ = try world.append([other])
            #expect(try await postgres.work().applied == 1)
            let rows = try world.postgres.query(
                "SELECT customer, (SELECT string_agg(sku || quantity, ' ') FROM order_lines) FROM orders",
                until: .after(.seconds(5)))
            #expect(rows.count == 1)
            #expect(rows.first?.string(0) == "c-1")
            #expect(rows.first?.string(1) == "TEA2")
            #expect(try world.onHand().postgres == "-7")
            #expect(try world.ledger() == ["o", "o"])
        }
    }

    @Test("orders placed twice in one batch, one of them known before, keep their first rows beside new ones")
    func repeatedInOneBatch() async throws {
        try await withWorld { world in
            let postgres = try world.session(.postgres, "p")
            try await postgres.takeOver()
            _ = try world.append([world.order("known", quantity: 1)])
            try await postgres.work()
            try world.call("DEL", world.keys.seen(world.partition))
            _ = try world.append([world.order("known", quantity: 2), world.order("twice", quantity: 3)])
            try world.call("DEL", world.keys.seen(world.partition))
            let other = try Change(
                ChangeDraft(id: "twice", shop: World.shop, customer: "other", lines: .text("TEA:4 MUG:1")))
            let cancel = try Change(
                ChangeDraft(
                    type: "order.cancelled", id: "twice/cancel", shop: World.shop, order: "twice", lines: .text("TEA:3")
                ))
            _ = try world.append([other, cancel, world.order("new", quantity: 5)])
            #expect(try await postgres.work().applied == 5)
            let rows = try world.postgres.query(
                """
                SELECT concat_ws(' ', id, status, customer, seq, (
                    SELECT string_agg(sku || ':' || quantity, ' ') FROM order_lines WHERE order_id = id))
                FROM orders ORDER BY seq
                """, until: .after(.seconds(5)))
            #expect(
                rows.map { $0.string(0) } == [
                    "known placed c-1 1 TEA:1", "twice cancelled c-1 3 TEA:3", "new placed c-1 6 TEA:5",
                ])
            #expect(try world.onHand().postgres == "-12")
            #expect(try world.ledger() == ["known", "known", "twice", "twice", "twice/cancel", "new"])
        }
    }

    @Test("a counter that is no number stalls the sink before its first write, and goes on once it is mended")
    func stalled() async throws {
        try await withWorld { world in
            let key = world.keys.stock(world.partition, shop: World.shop)
            try world.call("HSET", key, "TEA", "many")
            let stock = try world.session(.stock, "s")
            try await stock.takeOver()
            try world.append(2)
            await #expect {
                try await stock.work()
            } throws: { error in
                guard let error = error as? StoreError else { return false }
                return error.kind == .refused && error.message.contains("TEA: not a whole number")
            }
            #expect(try world.position(.stock) == 0)
            #expect(try world.pending(.stock) == 2)
            try world.call("HDEL", key, "TEA")
            #expect(try await stock.takeOver().applied == 2)
            #expect(try world.onHand().redis == "-2")
        }
    }

    @Test("a list of another type stalls the delivery sink before its first write")
    func wrongList() async throws {
        try await withWorld { world in
            let delivery = try world.session(.delivery, "d")
            try await delivery.takeOver()
            try world.call("SET", world.keys.deliveries(world.partition), "x")
            try world.append(1)
            await #expect(throws: StoreError.self) { try await delivery.work() }
            #expect(try world.position(.delivery) == 0)
        }
    }

    @Test(
        "a counter that Redis can't add to stalls the sink before its first write",
        arguments: ["007", "-0", "9007199254740993"])
    func notCanonical(_ value: String) async throws {
        try await withWorld { world in
            let key = world.keys.stock(world.partition, shop: World.shop)
            try world.call("HSET", key, "MUG", value)
            let stock = try world.session(.stock, "s")
            try await stock.takeOver()
            _ = try world.append([
                try change(ChangeDraft(id: "o", shop: World.shop, customer: "c", lines: .text("TEA:1 MUG:1")))
            ])
            await #expect(throws: StoreError.self) { try await stock.work() }
            #expect(try world.call("HGET", key, "TEA").isNull, "half of the batch would count twice")
        }
    }

    @Test(
        "dead letters' key of another type stalls a sink before its first write", arguments: [Group.stock, .delivery])
    func wrongDeadLetters(_ group: Group) async throws {
        try await withWorld { world in
            try world.call("SET", world.keys.dead(world.partition, group), "x")
            let worker = try world.session(group, "w")
            try await worker.takeOver()
            try world.append(1)
            try world.call("XADD", world.keys.log(world.partition), "*", "colour", "red")
            await #expect {
                try await worker.work()
            } throws: { error in
                (error as? StoreError)?.message.contains("expected a stream, found a string") == true
            }
            #expect(try world.onHand().redis == nil)
            #expect(try world.deliveries().isEmpty)
            try world.call("DEL", world.keys.dead(world.partition, group))
            let progress = try await worker.takeOver()
            #expect((progress.applied, progress.quarantined) == (1, 1))
        }
    }

    @Test("a cancellation waits for whoever is changing the order, and then takes effect")
    func cancelsBehindAnother() async throws {
        try await withWorld { world in
            let postgres = try world.session(.postgres, "p")
            try await postgres.takeOver()
            _ = try world.append([world.order("o")])
            try await postgres.work()
            _ = try world.append([
                try change(ChangeDraft(type: "order.cancelled", shop: World.shop, order: "o", lines: .text("TEA:1")))
            ])
            // Somebody's update is under way, and commits while the batch waits for the row.
            let servers = world.servers
            async let other: Void = TestLane().run { _ in
                let other = try World.connectPostgres(servers)
                let watch = try World.connectPostgres(servers)
                try other.begin(until: .after(.seconds(5)))
                try other.query("UPDATE orders SET customer = 'renamed'", until: .after(.seconds(5)))
                try await eventually("the batch waits for the row") {
                    try watch.query(
                        "SELECT FROM pg_stat_activity WHERE $1::int = ANY (pg_blocking_pids(pid))",
                        [.integer(Int64(other.processID))], until: .after(.seconds(5))
                    ).count > 0
                }
                try other.query("COMMIT", until: .after(.seconds(5)))
            }
            try await eventually("the row is locked") {
                try world.postgres.query(
                    "SELECT FROM pg_locks WHERE relation = 'orders'::regclass AND mode = 'RowExclusiveLock'",
                    until: .after(.seconds(5))
                ).count > 0
            }
            try await postgres.work()
            try await other
            let row = try world.postgres.query("SELECT customer, status FROM orders", until: .after(.seconds(5))).first
            #expect(row?.string(0) == "renamed")
            #expect(row?.string(1) == "cancelled")
        }
    }
}
