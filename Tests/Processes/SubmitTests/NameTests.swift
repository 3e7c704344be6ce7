import Foundation
import OrderLog
import PrivateServers
import RedisClient
import TestSupport
import Testing

@Suite("Names as shops have them")
struct NameTests {
    /// `ONEWRITE_TEST_FUZZ=20000` for more.
    private static let count =
        ProcessInfo.processInfo.environment["ONEWRITE_TEST_FUZZ"].flatMap { Int($0) } ?? 6300

    @Test("ten scripts, emoji and what keys, texts and shells part words by: every store has them, byte for byte")
    func everything() async throws {
        try await withShop { shop in
            var names = NameMaker(seed: UInt64.random(in: 0...UInt64.max))
            let shops = (0..<Self.count / 10).map { _ in names.next() }
            let skus = (0..<Self.count / 2).map { _ in names.next() }
            var expected: [Key: Int64] = [:]
            var lines: [String] = []
            var placed: [(shop: String, id: String)] = []
            for _ in 0..<Self.count {
                let (id, owner) = (names.next(), shops.randomElement(using: &names.random) ?? "")
                let items = (0..<3).map { _ in skus.randomElement(using: &names.random) ?? "" }
                for sku in items { expected[Key(owner, sku), default: 0] -= 2 }
                placed.append((owner, id))
                lines.append(try Self.json(id: id, shop: owner, skus: items))
            }
            let file = try shop.file("names.ndjson", lines)
            // Both forms of a name beside each other, for one batch to take.
            for name in (0..<200).map({ _ in names.next() }) {
                let other = name.decomposedStringWithCanonicalMapping
                guard other.utf8.count <= 120, !other.utf8.elementsEqual(name.utf8) else { continue }
                for id in [name, other] {
                    for sku in [name, other] {
                        try Self.append(shop, id: "\(id)-\(sku.utf8.count)", shop: "twins", sku: sku)
                        expected[Key("twins", sku), default: 0] -= 1
                    }
                }
            }
            let workers = try await Group.builtIn.asyncMap { try await shop.worker($0) }
            let submitted = Ran(try await shop.run("submit", file, "--json", "--wait"))
            #expect(submitted.code == 0, "\(submitted.errors) seed \(names.seed)")
            let receipts = try ReceiptLine.all(submitted.output)
            #expect(receipts.count == Self.count && receipts.allSatisfy { $0.outcome == "accepted" })
            for (receipt, order) in zip(receipts, placed) {
                #expect(receipt.id.map { Array($0.utf8) } == Array(order.id.utf8))
            }

            // Those of one spelling, in their other form and by another way: others.
            let twins = placed.prefix(400).filter { $0.id.utf8.contains { $0 >= 0x80 } }
            try shop.redis("FUNCTION", "LIST")
            for order in twins {
                let (shop0, sku) = (order.shop, order.id.decomposedStringWithCanonicalMapping)
                guard sku.utf8.count <= 120, !sku.utf8.elementsEqual(order.id.utf8) else { continue }
                try Self.append(shop, id: sku, shop: shop0, sku: sku)
                expected[Key(shop0, sku), default: 0] -= 1
            }
            try await eventually(within: .seconds(60), "all is applied") {
                try Ran(try await shop.run("status", "--json")).object().objects("groups").allSatisfy {
                    $0.int("lag") == 0 && $0.int("pending") == 0
                }
            }
            let first = Ran(try await shop.run("audit"))
            #expect(first.code == 0, "\(first.output)\(first.errors) seed \(names.seed)")
            try await Self.compare(shop, expected)

            // What is asked for by a name is found.
            let some = placed.shuffled(using: &names.random).prefix(12)
            for order in some {
                let found = try Ran(try await shop.run("order", "--json", "--shop=\(order.shop)", "--", order.id))
                    .object()
                #expect(found.text("id").map { Array($0.utf8) } == Array(order.id.utf8))
                let stock = try Ran(try await shop.run("stock", "show", "--json", "--shop=\(order.shop)")).object()
                for row in try stock.objects("skus") {
                    let sku = try #require(row.text("sku"))
                    let onHand = expected[Key(order.shop, sku)].map(Int.init)
                    #expect(row.int("redis") == onHand && row.int("postgres") == onHand, "\(order.shop) \(sku)")
                }
            }
            for order in some {
                let cancelled = Ran(
                    try await shop.run("cancel", "--json", "--wait", "--shop=\(order.shop)", "--", order.id))
                #expect(cancelled.code == 0, "\(cancelled.errors)")
            }
            // The same file again is known, name by name.
            let again = try ReceiptLine.all(Ran(try await shop.run("submit", file, "--json")).succeeded().output)
            #expect(again.allSatisfy { $0.outcome == "duplicate" })

            // What is made anew from the ledger is the same.
            for what in [["stock"], ["tables"]] {
                let made = Ran(
                    try await ChildProcess.run(
                        [BuiltExecutable.path, "rebuild"] + what + ["--yes"], environment: shop.servers.environment))
                #expect(made.code == 0, "\(what): \(made.output)\(made.errors)")
            }
            let audit = Ran(try await shop.run("audit"))
            #expect(audit.code == 0, "\(audit.output)\(audit.errors) seed \(names.seed)")
            for worker in workers { #expect(await worker.stop() == .exited(0)) }
        }
    }

    @Test("a name in either form is one to whoever submits, and in a CSV too; one that can't be is named, by its line")
    func submitting() async throws {
        try await withShop { shop in
            let csv = try shop.file(
                "orders.csv",
                [
                    "id,shop,customer,sku,quantity", "#1,Cafe\u{301},c,\"TEE, RED/M\",1", "#1,Caf\u{E9},c,e\u{301},2",
                    "#1,Caf\u{E9},c,\u{E9},3", "#2,Caf\u{E9},c,a\u{200B}b,1",
                ])
            let result = Ran(try await shop.run("submit", csv, "--json"))
            let receipts = try ReceiptLine.all(result.output)
            #expect(result.code == 65)
            #expect(receipts.map(\.outcome) == ["accepted", "rejected"])
            #expect(receipts.map(\.line) == [nil, 5] && receipts.map(\.field) == [nil, "sku"])
            #expect(receipts[1].error?.contains("without invisible characters") == true)
            let entry = try #require(try shop.entries().first)
            #expect(entry["lines"] == "TEE,%20RED/M:1 \u{E9}:5")
            #expect(entry["shop"].map { Array($0.utf8) } == Array("Caf\u{E9}".utf8))
            let flags = Ran(
                try await shop.run(
                    "submit", "--id", "#1", "--shop", "Cafe\u{301}", "--customer", "c", "--line", "TEE, RED/M:1",
                    "--line", "e\u{301}:5", "--json"))
            #expect(try ReceiptLine.all(flags.output).map(\.outcome) == ["duplicate"], "\(flags.errors)")
        }
    }

    // MARK: -

    /// A shop and a SKU, by their bytes.
    private struct Key: Hashable {
        let shop, sku: [UInt8]

        init(_ shop: String, _ sku: String) { (self.shop, self.sku) = (Array(shop.utf8), Array(sku.utf8)) }
    }

    private static func json(id: String, shop: String, skus: [String]) throws -> String {
        let order: [String: Any] = [
            "id": id, "shop": shop, "customer": "c", "lines": skus.map { ["sku": $0, "quantity": 2] as [String: Any] },
        ]
        return String(decoding: try JSONSerialization.data(withJSONObject: order), as: UTF8.self)
    }

    /// Appends as a producer in another language does, which keeps a name's bytes.
    private static func append(_ place: Shop, id: String, shop: String, sku: String) throws {
        let meta = "\(place.servers.namespace):meta"
        let found = try place.redis("FCALL_RO", "onewrite_partition", "1", meta, shop).elements.map { $0.string ?? "?" }
        var command = RedisCommand("FCALL", "onewrite_append", "4")
        command.append(contentsOf: found[3...])
        command.append(contentsOf: [found[1], found[2], ""])
        let encoded = sku.replacing("%", with: "%25").replacing(" ", with: "%20").replacing(":", with: "%3A")
        command.append(contentsOf: [
            "type", "order.placed", "id", id, "shop", shop, "customer", "c", "lines", "\(encoded):1",
        ])
        let reply = try place.redis().call(command, until: .soon)
        #expect(reply[0].string == "accepted", "\(id): \(reply.elements.map { $0.string ?? "?" })")
    }

    /// Reads the stock of both stores as bytes, by none of Onewrite's code that knows names.
    private static func compare(_ place: Shop, _ expected: [Key: Int64]) async throws {
        let rows = try place.postgres(
            "SELECT encode(convert_to(shop, 'UTF8'), 'hex') || ' ' || encode(convert_to(sku, 'UTF8'), 'hex') || ' ' || on_hand FROM stock"
        )
        func text(_ key: Key, _ onHand: Int64) -> String {
            func hex(_ bytes: [UInt8]) -> String { bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
            return "\(hex(key.shop)) \(hex(key.sku)) \(onHand)"
        }
        let wanted = Set(expected.map { text($0.key, $0.value) })
        #expect(Set(rows) == wanted && rows.count == wanted.count)
        var found: Set<String> = []
        let redis = try place.redis()
        var cursor = "0"
        repeat {
            let page = try redis.call(
                RedisCommand("SCAN", cursor, "MATCH", "{\(place.servers.namespace):?}:stock:*", "COUNT", "1000"),
                until: .soon)
            cursor = try page[0].requireString()
            for name in page[1].elements {
                let key = try name.requireString()
                let prefix = "{\(place.servers.namespace):0}:stock:".utf8.count
                let shop = String(decoding: key.utf8.dropFirst(prefix), as: UTF8.self)
                let values = try redis.call(RedisCommand("HGETALL", key), until: .soon).elements
                for index in stride(from: 0, to: values.count, by: 2) {
                    found.insert(
                        text(Key(shop, try values[index].requireString()), Int64(values[index + 1].string ?? "") ?? 0))
                }
            }
        } while cursor != "0"
        #expect(found == wanted)
    }
}

/// Makes names that no two have, in normal form C, as `submit` writes them.
private struct NameMaker {
    let seed: UInt64
    var random: Random
    private var made: Set<String> = []

    struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    private static let alphabets: [[String]] = [
        Array("aäéîñøßțŵž").map(String.init), Array("абвёйжџґ").map(String.init), Array("αβγάώϊΰς").map(String.init),
        Array("ابتثجأؤئ").map(String.init), Array("אבגדהושת").map(String.init), ["क", "ख", "की", "क़", "ज्ञ", "ड़"],
        ["ก", "ข", "กำ", "ที่", "ไ"], Array("茶红杯子豈樂").map(String.init), Array("차컵가각힣한").map(String.init),
        Array("がぎパピャーヴ").map(String.init), ["🍵", "🎁", "❤\u{FE0F}", "👩🏽", "🇩🇪"],
        Array("#%{}[]*?\"'\\/:;,.<>&=+|~^$!@() -_").map(String.init), Array("AZaz09").map(String.init),
    ]

    init(seed: UInt64) {
        self.seed = seed
        random = Random(state: seed)
    }

    mutating func next() -> String {
        while true {
            let most = Int.random(in: 1...10, using: &random) == 1 ? 60 : 8
            var text = ""
            for _ in 0..<Int.random(in: 1...most, using: &random) {
                let alphabet = Self.alphabets[Int.random(in: 0..<Self.alphabets.count, using: &random)]
                text += alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
            }
            text = text.trimmingCharacters(in: .whitespaces).precomposedStringWithCanonicalMapping
            // An option's value, or an ID behind "--", may begin with a dash; a cancellation's ID needs room for itself.
            if (1...128).contains(text.utf8.count), made.insert(text).inserted { return text }
        }
    }
}

extension Collection {
    fileprivate func asyncMap<Value>(_ body: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await body(element)) }
        return values
    }
}
