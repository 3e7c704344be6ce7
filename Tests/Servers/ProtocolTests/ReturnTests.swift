import Coordination
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Testing
import TestSupport
import ThreadedIO

@Suite("Orders that come back")
struct ReturnTests {
    @Test(
        "in one batch with their order or behind it, beside dead letters, on replays: lines, status, stock and jobs are the same",
        arguments: [1, 2, 3, 100])
    func applied(batch: Int) async throws {
        try await withWorld { world in
            _ = try world.append([
                try world.placed("a", "TEA:3 MUG:1"), try world.returned("a", 1, "TEA:1"),
                try world.placed("b", "TEA:2 MUG:2"), try world.returned("a", 2, "TEA:2 MUG:1"),
                try world.returned("b", 1, "MUG:1 CUP:4"), try world.placed("c", "TEA:1"),
                try world.returned("c", 1, "TEA:1"), try world.cancelled("c", "TEA:1"),
                try world.returned("nobody", 1, "TEA:5"), try world.placed("d", "TEA:1"),
                try world.cancelled("d", "TEA:1"),
                try world.returned("d", 1, "TEA:1"), try world.returned("b", 2, "MUG:1"),
            ])
            try world.call("XADD", world.keys.log(world.partition), "*", "colour", "red")
            // An order that is placed again beyond the window keeps its row, and what came back of it.
            try world.call("DEL", world.keys.seen(world.partition))
            _ = try world.append([
                try world.placed("b", "TEA:9"), try world.returned("b", 3, "TEA:1"), try world.placed("e", "MUG:1"),
            ])
            for group in Group.builtIn {
                let session = try world.session(group, "w-\(group)")
                try await session.takeOver()
                while true {
                    let entries = try await session.read(limit: batch)
                    if entries.isEmpty { break }
                    _ = try await session.session.process(entries)
                }
            }
            #expect(
                try world.orders() == [
                    "a returned MUG:1:1 TEA:3:3", "b placed MUG:2:2 TEA:2:1", "c cancelled TEA:1:1",
                    "d cancelled TEA:1:1", "e placed MUG:1:0",
                ])
            let stock = try world.postgres.query(
                "SELECT sku || ':' || on_hand FROM stock ORDER BY sku", until: .after(.seconds(5)))
            #expect(stock.map { $0.string(0) } == ["CUP:4", "MUG:-1", "TEA:-3"])
            #expect(try world.onHand().redis == "-3")
            let jobs = try world.call("LRANGE", world.keys.deliveries(world.partition), "0", "-1").elements
                .compactMap(\.string)
            #expect(
                jobs.contains(
                    #"{"job":"return","id":"a/return/2","order":"a","shop":"main","customer":null,"lines":[{"sku":"TEA","quantity":2},"#
                        + #"{"sku":"MUG","quantity":1}],"attributes":null,"partition":0,"epoch":1,"seq":4}"#))
            #expect(jobs.count == 16)
        }
    }

    @Test("a return's ID is its order's and a number; another is refused, by the program and by the functions alike")
    func ids() async throws {
        for id in ["a/return/0", "a/return/01", "a/return/1000000", "a/return/", "b/return/1", "a/return/1x", "a", nil]
        {
            #expect(throws: FieldError.self) {
                try Change(
                    ChangeDraft(type: "order.returned", id: id, shop: "main", order: "a", lines: .text("TEA:1")))
            }
        }
        let change = try Change.orderReturned(
            order: "a", number: 7, shop: "main", lines: [Line(sku: "TEA", quantity: 2)])
        #expect(
            change.id == "a/return/7" && change.format == .names, "builds that know formats 1 and 2 know no returns")
        try await withWorld { world in
            try FunctionLibrary.load(on: world.redis, for: .names)
            func append(_ id: String?) throws -> [String] {
                let (keys, partition) = (world.keys, world.partition)
                var words = [
                    "onewrite_append", "4", keys.head(partition), keys.log(partition), keys.seen(partition),
                    keys.seenBefore(partition), world.identity.log, "1", "", "type", "order.returned", "shop",
                    World.shop, "order", "a", "lines", "TEA:1",
                ]
                if let id { words += ["id", id] }
                var command = RedisCommand("FCALL")
                command.append(contentsOf: words)
                return try world.redis.call(command, until: .after(.seconds(5))).elements.map { $0.string ?? "?" }
            }
            for id in ["a/return/0", "a/return/01", "a/return/1000000", "a/return/", "b/return/1", "a/return/1x"] {
                #expect(try append(id).prefix(2) == ["rejected", "id"], "\(id)")
            }
            #expect(try append(nil) == ["rejected", "id", "is missing"])
            #expect(try append("a/return/1").first == "accepted")
            let same = try Change.orderReturned(
                order: "a", number: 1, shop: World.shop, lines: [Line(sku: "TEA", quantity: 1)])
            guard case .appended(_, let results) = try world.append([same]) else { return }
            #expect(results.map(\.outcome) == [.duplicate], "the same bytes, the same digest")
        }
    }

    @Test("the functions for logs before format 3 take no returns")
    func earlierFormat() async throws {
        // A server has one library for all its logs: this one is not for the other tests.
        try await withOwnServers { servers in
            let world = try await World(servers)
            try FunctionLibrary.load(on: world.redis, for: .trimmed)
            let (keys, partition) = (world.keys, world.partition)
            var command = RedisCommand("FCALL")
            command.append(contentsOf: [
                "onewrite_append", "4", keys.head(partition), keys.log(partition), keys.seen(partition),
                keys.seenBefore(partition), world.identity.log, "1", "", "type", "order.returned", "id", "a/return/1",
                "shop", World.shop, "order", "a", "lines", "TEA:1",
            ])
            let reply = try world.redis.call(command, until: .after(.seconds(5)))
            #expect(reply.elements.prefix(2).map(\.string) == ["rejected", "type"])
        }
    }
}

extension World {
    fileprivate func placed(_ id: String, _ lines: String) throws -> Change {
        try Change(ChangeDraft(id: id, shop: Self.shop, customer: "c", lines: .text(lines)))
    }

    fileprivate func cancelled(_ order: String, _ lines: String) throws -> Change {
        try Change(ChangeDraft(type: "order.cancelled", shop: Self.shop, order: order, lines: .text(lines)))
    }

    fileprivate func returned(_ order: String, _ number: Int, _ lines: String) throws -> Change {
        try Change(
            ChangeDraft(
                type: "order.returned", id: "\(order)/return/\(number)", shop: Self.shop, order: order,
                lines: .text(lines)))
    }

    /// Each order with its status and its lines, as SKU, quantity and what came back.
    fileprivate func orders() throws -> [String] {
        try postgres.query(
            """
            SELECT concat_ws(' ', id, status, (
                SELECT string_agg(concat_ws(':', sku, quantity, returned), ' ' ORDER BY sku) FROM order_lines
                WHERE order_id = id))
            FROM orders ORDER BY id
            """, until: .after(.seconds(5))
        ).compactMap { $0.string(0) }
    }
}
