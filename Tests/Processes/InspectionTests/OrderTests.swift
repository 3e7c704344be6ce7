import Foundation
import OrderLog
import PrivateServers
import RedisClient
import RedisLog
import Testing
import TestSupport

@Suite("order")
struct OrderTests {
    @Test("before anything is applied, the place comes from what Redis remembers")
    func notApplied() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1", "ord-2")
            try await shop.deliver(2, to: "worker-c", of: .delivery, in: await shop.partition())
            let order = try await shop.run("order", "ord-2", "--shop", Shop.name, "--json").object()
            #expect(order.text("schema") == "onewrite/order/v1" && order.text("id") == "ord-2")
            #expect(order.int("seq") == 2 && order.int("epoch") == 1 && order.text("shop") == Shop.name)
            #expect(order.isNull("order") && order.isNull("cancellation") && order.isNull("postgres_error"))
            #expect(
                try order.group("stock").text("state") == "lagging" && order.group("stock").int("entries_before") == 1)
            let delivery = try order.group("delivery")
            #expect(delivery.text("state") == "pending" && delivery.text("consumer") == "worker-c")
            #expect(try order.object("job").text("state") == "not-made")
            let unknownShop = try await shop.run("order", "ord-2")
            #expect(unknownShop.code == 1 && unknownShop.errors.contains("--shop"))
        }
    }

    @Test("an applied and cancelled order is found with its lines, its cancellation, and the jobs in the list")
    func applied() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1", "ord-2")
            try await shop.cancel("ord-2")
            let workers = try await [Group.postgres, .stock, .delivery].asyncMap {
                try await BuiltExecutable.spawn("worker", "--group", $0.name, on: servers, errors: .discarded)
            }
            try await eventually("all is applied") {
                try await shop.run("status", "--json").object().objects("groups").allSatisfy { $0.int("lag") == 0 }
            }
            for worker in workers { await worker.stop() }
            // What Redis remembers is not needed any more.
            let partition = await shop.partition()
            try await shop.call(RedisCommand("DEL", shop.keys.seen(partition)))
            let order = try await shop.run("order", "ord-2", "--json").object()
            let stored = try order.object("order")
            #expect(stored.text("status") == "cancelled" && stored.text("customer") == "c-1")
            #expect(try stored.objects("lines").map { $0.text("sku") } == ["MUG", "TEA"])
            #expect(try stored.objects("lines").map { $0.int("quantity") } == [1, 2])
            #expect(try order.objects("groups").allSatisfy { $0.text("state") == "applied" })
            #expect(try order.group("postgres").text("applied_at")?.hasSuffix("Z") == true)
            let cancellation = try order.object("cancellation")
            #expect(cancellation.text("id") == "ord-2/cancel" && cancellation.int("seq") == 3)
            #expect(try order.object("job").int("jobs_before") == 1)
            #expect(try cancellation.object("job").int("jobs_before") == 2)
            // The delivery service takes one.
            try await shop.call(RedisCommand("LPOP", shop.keys.deliveries(partition)))
            #expect(try await shop.run("order", "ord-1", "--json").object().object("job").text("state") == "taken")
            #expect(try await shop.run("order", "ord-2", "--json").object().object("job").int("jobs_before") == 0)
            let text = try await shop.run("order", "ord-2").output
            #expect(text.hasPrefix("ord-2  shop main  cancelled\n") && text.contains("TEA × 2"))
        }
    }

    @Test("an order set aside shows why, in Redis and in Postgres")
    func deadLetter() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1")
            let place = try await shop.run("order", "ord-1", "--shop", Shop.name, "--json").object()
            let (entry, partition) = (try #require(place.text("entry")), await shop.partition())
            try await shop.call(
                RedisCommand(
                    "XADD", shop.keys.dead(partition, .stock), "*", "epoch", "1", "seq", "1", "entry", entry, "reason",
                    "taken",
                    "error", "by hand\u{1b}[31m"))
            try await shop.call(RedisCommand("HSET", shop.keys.position(partition, .stock), "seq", "1"))
            try await shop.sql("UPDATE partitions SET seq = 1 WHERE partition = \(partition)")
            try await shop.sql(
                "INSERT INTO dead_letters (partition, epoch, entry, seq, id, shop, type, fields, reason, error) "
                    + "VALUES (\(partition), 1, '\(entry)', 1, 'ord-1', 'main', 'order.placed', '', 'invalid', 'lines: too many')"
            )
            let order = try await shop.run("order", "ord-1", "--json").object()
            #expect(
                try order.group("stock").text("state") == "dead-letter"
                    && order.group("stock").text("reason") == "taken")
            #expect(try order.group("postgres").text("error") == "lines: too many")
            #expect(try await !shop.run("order", "ord-1").output.contains("\u{1b}"))
        }
    }

    @Test("not found is 1; an ID of several shops is 64 and names them; without Postgres Redis alone tells")
    func exitCodes() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1", of: "left")
            try await shop.order("ord-1", of: "right")
            let down: [String: String?] = ["DATABASE_URL": "postgres://me:hunter2@127.0.0.1:1/none"]
            #expect(try await shop.run("order", "nobody", "--shop", Shop.name).code == 1)
            #expect(try await shop.run("order", "nobody", "--shop", Shop.name, environment: down).code == 69)
            #expect(try await shop.run("order", "nobody", environment: ["DATABASE_URL": nil]).code == 69)
            for environment in [down, ["DATABASE_URL": nil]] {
                let several = try await shop.run("order", "ord-1", environment: environment)
                #expect(several.code == 64 && several.errors.contains("left right"), "\(several.errors)")
            }
            #expect(try await shop.run("order", "ord 1 ").code == 64)
            let order = try await shop.run("order", "ord-1", "--shop", "left", "--json", environment: down)
            #expect(
                try order.object().text("postgres_error") != nil
                    && order.object().group("postgres").text("state") == "unknown")
            #expect(try order.object().group("stock").text("state") == "lagging")
            #expect(!(order.output + order.errors).contains("hunter2"))
            let worker = try await BuiltExecutable.spawn(
                "worker", "--group", "postgres", on: servers, errors: .discarded)
            try await eventually("both are applied") {
                try await shop.run("status", "--json").object().group("postgres").int("lag") == 0
            }
            await worker.stop()
            let several = try await shop.run("order", "ord-1")
            #expect(several.code == 64 && several.errors.contains("left right"))
            #expect(try await shop.run("order", "ord-1", "--shop", "right").code == 0)
        }
    }
}

extension OrderTests {
    @Test(
        "without Postgres the log tells: by its shop or without, also when the idempotency window is over",
        arguments: [nil, "postgres://me:hunter2@127.0.0.1:1/none"])
    func withoutPostgres(url: String?) async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            for number in 1...3 { try await shop.order("ord-\(number)") }
            try await shop.cancel("ord-2")
            let worker = try await BuiltExecutable.spawn("worker", "--group", "stock", on: servers, errors: .discarded)
            try await eventually("stock has applied all") {
                try await shop.run("status", "--json").object().group("stock").int("lag") == 0
            }
            await worker.stop()
            for window in [true, false] {
                if !window {
                    let seen = await shop.keys.seen(shop.partition())
                    try await shop.call(RedisCommand("DEL", seen))
                }
                for arguments in [["order", "ord-2", "--shop", Shop.name], ["order", "ord-2"]] {
                    let order = try await runAlone(arguments + ["--json"], servers, ["DATABASE_URL": url]).object()
                    #expect(order.int("seq") == 2 && order.text("shop") == Shop.name && order.int("epoch") == 1)
                    #expect(try order.group("stock").text("state") == "applied")
                    #expect(try order.group("delivery").text("state") == "lagging")
                    #expect(try order.group("postgres").text("state") == "unknown")
                    #expect(order.isNull("order") && order.text("postgres_error")?.isEmpty == false)
                    #expect(try order.object("cancellation").int("seq") == 4)
                    let text = try await runAlone(arguments, servers, ["DATABASE_URL": url]).succeeded().output
                    #expect(text.hasPrefix("ord-2  shop main  ?\n") && text.contains("  postgres  ?\n"))
                    #expect(text.contains("! postgres can't be asked: ") && !text.contains("hunter2"))
                }
            }
        }
    }
}

extension Array {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async throws -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
