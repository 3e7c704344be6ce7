import Foundation
import OrderLog
import PrivateServers
import RedisClient
import RedisLog
import TestSupport
import Testing

@Suite("pending")
struct PendingTests {
    @Test("a line has the contract's keys and its entry's content")
    func contract() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1")
            let partition = await shop.partition()
            try await shop.deliver(1, to: "worker-c", of: .delivery, in: partition)
            let line = try #require(try await shop.run("pending", "--json").succeeded().objects().first)
            #expect(
                Set(line.keys) == [
                    "group", "partition", "entry", "seq", "consumer", "idle_ms", "deliveries", "id", "type", "state",
                ])
            #expect(line.text("group") == "delivery" && line.int("partition") == partition.number)
            #expect(line.int("seq") == 1 && line.text("id") == "ord-1" && line.text("type") == "order.placed")
            #expect(line.text("consumer") == "worker-c" && line.int("deliveries") == 1)
            #expect(line.text("entry").flatMap { EntryID($0) } != nil && line.int("idle_ms") != nil)
        }
    }

    @Test("an entry of a present worker is in flight, of a gone one orphaned, and one that is gone itself lost")
    func states() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1", "ord-2", "ord-3")
            let partition = await shop.partition()
            try await shop.deliver(1, to: "here", of: .stock, in: partition)
            try await shop.deliver(2, to: "gone", of: .stock, in: partition)
            let presence = try await shop.pretendPresence(of: "here", in: .stock)
            let before = try await shop.run("pending", "--json").succeeded().objects()
            #expect(before.map { $0.text("state") } == ["in-flight", "orphaned", "orphaned"])
            let last = try #require(before.last?.text("entry"))
            try await shop.call(RedisCommand("XDEL", shop.keys.log(partition), last))
            let lost = try #require(try await shop.run("pending", "--json").succeeded().objects().last)
            #expect(lost.text("state") == "lost" && lost.text("entry") == last)
            #expect(lost.isNull("seq") && lost.isNull("id") && lost.isNull("type"))
            withExtendedLifetime(presence) {}
        }
    }

    @Test(
        "entries of all partitions and groups come oldest first, as many as asked for", arguments: [1, 7, 25, 90, 300])
    func merging(limit: Int) async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers, partitions: 8)
            // Uneven on purpose: one partition has most, and the oldest.
            for round in 0..<60 {
                try await shop.order("a-\(round)", of: "first")
                if round % 7 == 0 { for other in 0..<9 { try await shop.order("b-\(round)", of: "shop-\(other)") } }
            }
            for number in 0..<8 {
                try await shop.deliver(1000, to: "gone", of: .stock, in: Partition(number))
                if number % 2 == 0 { try await shop.deliver(1000, to: "gone", of: .delivery, in: Partition(number)) }
            }
            let all = try await shop.run("pending", "--limit", "100000", "--json").succeeded().objects()
            let total = try await shop.run("status", "--json").object().objects("groups").compactMap {
                $0.int("pending")
            }
            .reduce(0, +)
            #expect(all.count == total && total > 150)
            let ids = all.compactMap { $0.text("entry").flatMap { EntryID($0) } }
            #expect(ids == ids.sorted())
            let ran = try await shop.run("pending", "--limit", "\(limit)", "--json")
            let some = try ran.succeeded().objects().map {
                "\($0["group"] ?? "") \($0["partition"] ?? "") \($0["entry"] ?? "")"
            }
            #expect(
                some == all.prefix(limit).map { "\($0["group"] ?? "") \($0["partition"] ?? "") \($0["entry"] ?? "")" })
            #expect(ran.errors.contains("of \(total)") == (limit < total))
            let stock = try await shop.run("pending", "--group", "stock", "--limit", "\(limit)", "--json").succeeded()
                .objects()
            #expect(stock.allSatisfy { $0.text("group") == "stock" } && !stock.isEmpty)
        }
    }

    @Test("hostile bytes of an entry added by hand reach neither the terminal nor break the JSON")
    func hostileBytes() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            let id = Array("\u{1b}]0;owned\u{7}\u{202E}".utf8) + [0xFF, 0xC2, 0x9B, 0x00]
            try await shop.call(
                RedisCommand(
                    "XADD", shop.keys.log(Partition(0)), "*", "id", id, "type", [0xFF] as [UInt8], [0xFE] as [UInt8],
                    "x"))
            try await shop.deliver(1, to: "evil\u{1b}[2J\u{2028}", of: .stock, in: Partition(0))
            let json = try await shop.run("pending", "--json")
            let line = try #require(try json.succeeded().objects().first)
            #expect(
                line.text("id") == "\u{1b}]0;owned\u{7}\u{202E}\u{FFFD}\u{9b}\u{0}" && line.text("type") == "\u{FFFD}")
            #expect(line.text("consumer") == "evil\u{1b}[2J\u{2028}" && line.isNull("seq"))
            let table = try await shop.run("pending")
            #expect(table.code == 0 && table.output.contains("evil"))
            for output in [json.output, table.output] {
                let hostile = output.unicodeScalars.filter { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator: scalar != "\n"
                    default: false
                    }
                }
                #expect(hostile.isEmpty)
            }
        }
    }

    @Test("the table has the columns of the drawing, and nothing pending is said on stderr")
    func table() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            let nothing = try await shop.run("pending")
            #expect(nothing.code == 0 && nothing.output.isEmpty && nothing.errors == "nothing is pending\n")
            try await shop.order("ord-1")
            try await shop.deliver(1, to: "worker-c", of: .delivery, in: await shop.partition())
            let lines = try await shop.run("pending").output.split(separator: "\n").map { $0.split(separator: " ") }
            #expect(lines.first?.joined(separator: " ") == "ENTRY ID P GROUP CONSUMER IDLE TRY ORDER STATE")
            #expect(lines.count == 2 && lines.last?.suffix(3) == ["1", "ord-1", "orphaned"])
        }
    }
}
