import Foundation
import OrderLog
import RedisClient
import RedisLog
import Testing
import TestSupport
import ThreadedIO

@Suite("Producers in other languages")
struct FunctionTests {
    /// A log, and the arguments by which the functions know it.
    private static func call(_ world: World, _ fields: [(String, [UInt8])], window: String = "") -> RedisCommand {
        let (keys, partition) = (world.keys, world.partition)
        var command = RedisCommand(
            "FCALL", "onewrite_append", "4", keys.head(partition), keys.log(partition), keys.seen(partition),
            keys.seenBefore(partition), world.identity.log, "1", window)
        for (name, value) in fields {
            command.append(name)
            command.append(value)
        }
        return command
    }

    private static func append(_ world: World, _ fields: KeyValuePairs<String, String>) throws -> [String] {
        let reply = try world.redis.call(call(world, fields.map { ($0, Array($1.utf8)) }), until: .after(.seconds(5)))
        return reply.elements.map { $0.string ?? "?" }
    }

    @Test(
        "a shop's partition and keys, and an append: accepted, a duplicate, a conflict, as the program's own appends see it"
    )
    func append() async throws {
        try await withWorld { world in
            try FunctionLibrary.load(on: world.redis, for: .names)
            let meta = "\(world.keys.namespace):meta"
            let found = try world.call("FCALL_RO", "onewrite_partition", "1", meta, World.shop).elements.map(\.string)
            let tag = "{\(world.keys.namespace):0}"
            #expect(
                found == ["0", world.identity.log, "1", "\(tag):head", "\(tag):log", "\(tag):seen", "\(tag):seen:old"])
            let order: KeyValuePairs = [
                "type": "order.placed", "id": "ord-0", "shop": World.shop, "customer": "c-1", "lines": "TEA:1",
            ]
            let first = try Self.append(world, order)
            #expect(first.count == 4 && first[0] == "accepted" && first[1] == "0" && first[2] == "1")
            #expect(try Self.append(world, order) == ["duplicate", "0", "1", first[3]])
            // The same change from the program itself, and another one under its ID.
            guard case .appended(_, let again) = try world.append([world.order("ord-0")]) else { throw Missing() }
            #expect(again.map(\.outcome) == [.duplicate])
            guard case .appended(_, let other) = try world.append([world.order("ord-0", quantity: 2)]) else {
                throw Missing()
            }
            #expect(other.map(\.outcome) == [.conflict])
            let conflict = try Self.append(
                world,
                ["type": "order.placed", "id": "ord-0", "shop": World.shop, "customer": "c-1", "lines": "TEA:2"])
            #expect(conflict == ["conflict", "0", "1", first[3]])
            // What the program appended is known to the functions.
            _ = try world.append([world.order("ord-1")])
            let second = try Self.append(
                world,
                ["type": "order.placed", "id": "ord-1", "shop": World.shop, "customer": "c-1", "lines": "TEA:1"])
            #expect(second[0] == "duplicate" && second[2] == "2")
            try await world.applyAll()
            #expect(try world.ledger() == ["ord-0", "ord-1"])
        }
    }

    @Test(
        "what can't be taken is rejected with field and reason, and a log that is closed, missing or another is named")
    func refusals() async throws {
        try await withWorld { world in
            try FunctionLibrary.load(on: world.redis, for: .names)
            let rejected = try Self.append(
                world,
                ["type": "order.placed", "id": "a\u{200B}b", "shop": World.shop, "customer": "c", "lines": "TEA:1"])
            #expect(rejected == ["rejected", "id", "expected \(NameRule.text)"])
            let deep = try Self.append(
                world,
                [
                    "type": "order.placed", "id": "a", "shop": World.shop, "customer": "c", "lines": "TEA:1",
                    "attributes": #"{"a":"\u0000"}"#,
                ])
            #expect(deep == ["rejected", "attributes", #"has a \u0000, which Postgres can't hold, at byte 7"#])
            let shop = try world.call("FCALL_RO", "onewrite_partition", "1", "\(world.keys.namespace):meta", "no shop ")
            #expect(shop.elements.first?.string == "rejected")
            let none = try world.call("FCALL_RO", "onewrite_partition", "1", "none:meta", "main")
            #expect(none.elements.map(\.string) == ["nolog"])
            // The keys of another partition than the shop's; another log; half a call.
            let order = ["type", "order.placed", "id", "a", "shop", World.shop, "customer", "c", "lines", "TEA:1"]
            func fcall(_ log: String, partitions: String) throws -> RedisReply {
                let tag = "{\(world.keys.namespace):0}"
                var command = RedisCommand(
                    "FCALL", "onewrite_append", "4", "\(tag):head", "\(tag):log", "\(tag):seen", "\(tag):seen:old", log,
                    partitions, "")
                command.append(contentsOf: order)
                return try world.redis.call(command, until: .after(.seconds(5)))
            }
            let elsewhere = try #require(
                (2...1024).first { Partitioning(count: $0)?.partition(ofShop: World.shop) != Partition(0) })
            #expect(try fcall(world.identity.log, partitions: "\(elsewhere)").elements[1].string == "shop")
            #expect(try fcall("another", partitions: "1").elements.first?.string == "mismatch")
            #expect(throws: RedisError.self) { try world.call("FCALL", "onewrite_append", "0") }
            #expect(try world.call("XLEN", world.keys.log(world.partition)).integer == 0)
            _ = try world.call("HSET", world.keys.head(world.partition), "replid", "0")
            #expect(try fcall(world.identity.log, partitions: "1").elements.map(\.string) == ["closed"])
            _ = try world.call("DEL", world.keys.head(world.partition))
            #expect(try fcall(world.identity.log, partitions: "1").elements.map(\.string) == ["nolog"])
        }
    }

    /// `ONEWRITE_TEST_FUZZ=100000` for many.
    private static let count =
        ProcessInfo.processInfo.environment["ONEWRITE_TEST_FUZZ"].flatMap { Int($0) } ?? 6000

    @Test("random changes, right and wrong: the functions and the program come to the same outcomes and bytes")
    func fuzz() async throws {
        try await withServers { servers in
            let theirs = try await World(servers)
            let ours = try await World(
                TestServers(redis: servers.redis, postgres: servers.postgres))
            try FunctionLibrary.load(on: theirs.redis, for: .names)
            let seed = UInt64.random(in: 0...UInt64.max)
            var random = Fuzz(state: seed)
            var accepted = 0
            for _ in 0..<Self.count / 100 {
                let drafts = (0..<100).map { _ in random.fields() }
                let replies = try theirs.redis.pipeline(
                    drafts.map { Self.call(theirs, $0) }, until: .after(.seconds(30)))
                for (fields, reply) in zip(drafts, replies) {
                    let theirs = reply.elements.map { $0.string ?? "?" }
                    guard case .change(let change) = try Self.decoded(fields) else {
                        #expect(theirs.first == "rejected", "seed \(seed): \(Self.text(fields)): \(theirs)")
                        continue
                    }
                    guard case .appended(_, let results) = try ours.append([change]), let own = results.first else {
                        throw Missing()
                    }
                    accepted += 1
                    #expect(
                        Array(theirs.prefix(3)) == [own.outcome.rawValue, "0", "\(own.seq)"],
                        "seed \(seed): \(Self.text(fields)): \(theirs) \(reply.error.map { "\($0)" } ?? "")")
                }
            }
            #expect(accepted > Self.count / 4 && accepted < Self.count * 9 / 10)
            try Self.compare(theirs, ours)
        }
    }

    /// The entry that such fields would be, as workers read it.
    private static func decoded(_ fields: [(String, [UInt8])]) throws -> Entry.Content {
        var decoder = EntryDecoder()
        for (name, value) in [("epoch", Array("1".utf8)), ("seq", Array("1".utf8))] + fields {
            Array(name.utf8).withUnsafeBytes { name in
                value.withUnsafeBytes { value in decoder.add(name: name, value: value) }
            }
        }
        return decoder.finish(id: try #require(EntryID("1-1"))) { [] }.content
    }

    /// Both logs and windows are the same, but for the entries' IDs.
    private static func compare(_ theirs: World, _ ours: World) throws {
        func entries(_ world: World) throws -> [[String?]] {
            try world.call("XRANGE", world.keys.log(world.partition), "-", "+").elements.map { entry in
                entry[1].elements.map { $0.withBytes { String(decoding: $0, as: UTF8.self) } }
            }
        }
        func window(_ world: World) throws -> [[UInt8]: [UInt8]] {
            // But for the entry's ID, behind digest, seq and a blank.
            try world.window.records().mapValues { Array($0.prefix(16) + $0.dropFirst(16).prefix { $0 != 0x20 }) }
        }
        #expect(try entries(theirs) == entries(ours))
        #expect(try window(theirs) == window(ours))
        let buckets = try theirs.window.buckets()
        #expect(try buckets == ours.window.buckets() && buckets.count == window(ours).count)
    }

    private static func text(_ fields: [(String, [UInt8])]) -> String {
        fields.map { "\($0)=\(String(decoding: $1.prefix(200), as: UTF8.self).debugDescription)" }.joined(
            separator: " ")
    }
}

private struct Missing: Error {}

/// Makes the fields of random changes, about half of which can be taken.
private struct Fuzz {
    var state: UInt64

    /// A step of splitmix64.
    private mutating func step() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    private mutating func below(_ limit: Int) -> Int { Int(step() % UInt64(limit)) }
    private mutating func one<T>(of values: [T]) -> T { values[below(values.count)] }

    mutating func fields() -> [(String, [UInt8])] {
        let type = one(of: ["order.placed", "order.placed", "order.cancelled", "stock.received", "stock.counted"])
        // Few IDs, so that many are there already.
        let id = "\(one(of: ["ord", "o:/_.-", "X", "# 1%", "Ünï", "U\u{308}"]))-\(below(400))"
        var fields: [(String, String)] = [("type", type)]
        if type == "order.cancelled" {
            fields.append(("order", id))
            if below(2) == 0 { fields.append(("id", id + "/cancel")) }
        } else {
            fields.append(("id", id))
        }
        fields.append(("shop", one(of: ["main", "a/b", "s", "Café & 20%", "Cafe\u{301} & 20%", "店"])))
        if type == "order.placed" {
            fields.append(
                ("customer", one(of: ["c", "Zoë \"x\" \\", "客户", "e\u{301}", String(repeating: "z", count: 250)])))
            if below(2) == 0 { fields.append(("attributes", object(0))) }
        }
        fields.append(("lines", lines(type == "stock.counted")))
        if below(4) == 0 { fields.shuffle(using: &self) }
        var bytes = fields.map { ($0, Array($1.utf8)) }
        if below(3) == 0 { spoil(&bytes) }
        return bytes
    }

    private mutating func lines(_ isCount: Bool) -> String {
        let most = one(of: [1, 2, 5, 5, 99, 102])
        return (0..<1 + below(most)).map { (index: Int) -> String in
            let sku = one(of: [
                "TEA", "MUG-1", "a.b_c", "SKU-\(index)", "SKU-\(index)", "50%25%20a%3A", "é/茶", "e\u{301}/茶",
            ])
            let quantity = one(
                of: [
                    "1", "7", "999999", "1000000", "1000001", "0", "1000000000000", "1000000000001", "07", "+1", "1e3",
                    "",
                ]
                .prefix(below(4) == 0 ? 12 : 2 + (isCount ? 2 : 0)).map { $0 })
            return "\(sku):\(quantity)"
        }.joined(separator: below(40) == 0 ? "  " : " ")
    }

    private mutating func object(_ depth: Int) -> String {
        let members = (0..<below(4)).map { _ in
            "\(space())\(string())\(space()):\(space())\(value(depth + 1))"
        }
        return "\(space()){\(members.joined(separator: ","))\(space())}\(space())"
    }

    private mutating func space() -> String { below(6) == 0 ? one(of: [" ", "\n", "\t", "\r\n"]) : "" }

    private mutating func value(_ depth: Int) -> String {
        if depth < 40, below(3) == 0 {
            if below(30) == 0 {
                let deep = one(of: [10, 30, 31, 32, 33])
                return String(repeating: "[", count: deep) + String(repeating: "]", count: deep)
            }
            return below(2) == 0
                ? object(depth) : "[" + (0..<below(4)).map { _ in value(depth + 1) }.joined(separator: ",") + "]"
        }
        return below(2) == 0 ? string() : scalar()
    }

    private mutating func string() -> String {
        let parts = [
            "a", "ë", "客", "😀", "\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude00", "\u{7F}", "", "\\u0001",
            "x y",
        ]
        let wrong = [
            "\\u0000", "\\ud83d", "\\ude00", "\\ud83dx", "\\ud83d\\u0041", "\\x", "\u{1}", "\t", "\\u12g4", "\\",
        ]
        return "\"" + (0..<below(5)).map { _ in below(60) == 0 ? one(of: wrong) : one(of: parts) }.joined() + "\""
    }

    private mutating func scalar() -> String {
        let right = [
            "0", "-0", "1", "12.50", "-3.25e2", "1E+308", "1e-308", "true", "false", "null", "1.5e-0000000308",
        ]
        let wrong = [
            "01", "1.", ".5", "-", "1e", "1e309", "1e-309", "+1", "tru", "nul", "NaN", "Infinity", "1e99999999999",
            "--1",
        ]
        return below(40) == 0 ? one(of: wrong) : one(of: right)
    }

    private mutating func spoil(_ fields: inout [(String, [UInt8])]) {
        let index = below(fields.count)
        switch below(9) {
        case 0: fields.remove(at: index)
        case 1: fields.append(fields[index])
        case 2: fields.append((one(of: ["customer", "order", "attributes", "colour", "", "Type"]), Array("{}".utf8)))
        case 3: fields[index].1 = []
        case 4: fields[index].1 += Array(repeating: UInt8(ascii: "x"), count: one(of: [1, 130, 300, 17_000]))
        case 5:
            let strange: [[UInt8]] = [
                [0], [0x1F], [0x7F], [0xC2, 0x85], [0xC2, 0xA0], [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80],
                [0xE2, 0x82],
                [0xE2, 0x80, 0x8B], [0xE2, 0x80, 0xA8], [0xF3, 0xA0, 0x81, 0xBF], [0xEF, 0xBB, 0xBF], [0xC2, 0xAD],
                [0xE3, 0x80, 0x80], Array("%".utf8), Array("%41".utf8), [0xF4, 0x90, 0x80, 0x80],
                [0xF0, 0x9F, 0x98, 0x80], [0x20], [0xE0, 0x80, 0xAF],
                [0xF0, 0x80, 0x80, 0x80],
            ]
            fields[index].1.insert(contentsOf: one(of: strange), at: below(fields[index].1.count + 1))
        case 6:
            guard !fields[index].1.isEmpty else { return }
            fields[index].1[below(fields[index].1.count)] = UInt8(below(256))
        case 7:
            guard !fields[index].1.isEmpty else { return }
            fields[index].1.remove(at: below(fields[index].1.count))
        default:
            guard !fields[index].1.isEmpty else { return }
            fields[index].1 = Array(fields[index].1.prefix(below(fields[index].1.count)))
        }
    }
}

extension Fuzz: RandomNumberGenerator {
    mutating func next() -> UInt64 { step() }
}
