import Foundation
import PrivateServers
import TestSupport
import Testing

@Suite("Rows that can't be taken")
struct RejectedRowsTests {
    private struct BadRow {
        let field: String
        let text: String
    }

    private static func row(
        id: String = #""bad""#, shop: String = #""main""#, customer: String = #""c""#,
        lines: String = #"[{"sku":"A","quantity":1}]"#, more: String = ""
    ) -> String {
        #"{"id":\#(id),"shop":\#(shop),"customer":\#(customer),"lines":\#(lines)\#(more)}"#
    }

    private static func item(_ sku: String = "A", _ quantity: String = "1") -> String {
        #"[{"sku":"\#(sku)","quantity":\#(quantity)}]"#
    }

    private static func long(_ count: Int, _ text: String = "x") -> String { String(repeating: text, count: count) }

    private static let badRows: [BadRow] = [
        BadRow(field: "id", text: row(id: #""""#)),
        BadRow(field: "id", text: row(id: "\"\(long(129))\"")),
        BadRow(field: "id", text: row(id: #""a b""#)),
        BadRow(field: "id", text: row(id: "null")),
        BadRow(field: "shop", text: row(shop: #""""#)),
        BadRow(field: "shop", text: row(shop: "\"\(long(129))\"")),
        BadRow(field: "shop", text: row(shop: #""Käse""#)),
        BadRow(field: "customer", text: row(customer: #""""#)),
        BadRow(field: "customer", text: row(customer: "\"\(long(257))\"")),
        BadRow(field: "customer", text: row(customer: #""a\u0007b""#)),
        BadRow(field: "lines", text: row(lines: "[]")),
        BadRow(
            field: "lines",
            text: row(lines: "[\(long(100, #"{"sku":"A","quantity":1},"#))\(#"{"sku":"A","quantity":1}"#)]")),
        BadRow(field: "sku", text: row(lines: item(""))),
        BadRow(field: "sku", text: row(lines: item(long(65)))),
        BadRow(field: "sku", text: row(lines: item("A:B"))),
        BadRow(field: "quantity", text: row(lines: item("A", "0"))),
        BadRow(field: "quantity", text: row(lines: item("A", "1000001"))),
        BadRow(field: "quantity", text: row(lines: item("A", "-1"))),
        BadRow(field: "quantity", text: row(lines: item("A", "1.5"))),
        BadRow(field: "quantity", text: row(lines: item("A", #""two""#))),
        BadRow(field: "quantity", text: row(lines: #"[{"sku":"A","quantity":999999},{"sku":"A","quantity":2}]"#)),
        BadRow(field: "attributes", text: row(more: #","attributes":[1]"#)),
        BadRow(field: "attributes", text: row(more: #","attributes":{"a":"\#(long(16 * 1024))"}"#)),
        BadRow(field: "attributes", text: row(more: #","attributes":{"a":\#(long(32, "["))\#(long(32, "]"))}"#)),
        BadRow(field: "attributes", text: row(more: #","attributes":{"a":"\u0000"}"#)),
        BadRow(field: "attributes", text: row(more: #","attributes":{"a":"\ud800"}"#)),
        BadRow(field: "type", text: row(more: #","type":"order.lost""#)),
        BadRow(field: "order", text: #"{"type":"order.cancelled","shop":"main","lines":[{"sku":"A","quantity":1}]}"#),
        BadRow(field: "customer", text: row(more: #","type":"stock.counted""#)),
        BadRow(
            field: "quantity",
            text: #"{"type":"stock.counted","id":"c","shop":"main","lines":[{"sku":"A","quantity":1000000000001}]}"#),
        BadRow(field: "line", text: "not JSON"),
        BadRow(field: "line", text: row(customer: "\"\(long(300_000))\"")),
    ]

    @Test("each limit is told by line and field, and the good rows go in")
    func limits() async throws {
        try await withShop { shop in
            var lines = [order("good-0")]
            for (index, bad) in Self.badRows.enumerated() { lines += [bad.text, order("good-\(index + 1)")] }
            let file = try shop.file("rows.ndjson", lines)
            let result = try await shop.run("submit", file, "--rejects", shop.path("bad.ndjson"))

            #expect(result.status == .exited(65), "\(result.errors)")
            #expect(try shop.ids() == (0...Self.badRows.count).map { "good-\($0)" })
            let rejects = try shop.lines("bad.ndjson").map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
            }
            #expect(rejects.map { $0["line"] as? Int } == Self.badRows.indices.map { 2 * $0 + 2 })
            for (reject, bad) in zip(rejects, Self.badRows) {
                #expect(reject["field"] as? String == bad.field, "\(reject["error"] ?? "") for \(bad.text.prefix(120))")
                let kept = try #require(reject["input"] as? String)
                #expect(bad.text.hasPrefix(kept))
            }
            // The first ten are named at once.
            #expect(result.output.contains("\n  line 2: id: "))
            #expect(result.output.contains("… and \(Self.badRows.count - 10) more, all in"))
        }
    }

    @Test("rows of CSV are told by the line that is wrong, and the whole order stays out")
    func csv() async throws {
        try await withShop { shop in
            let file = try shop.file(
                "orders.csv",
                [
                    "id,shop,customer,sku,quantity", "one,main,c,TEA,1", "one,main,c,MUG,1", "two,main,c,TEA,1",
                    "two,main,c,MUG,two", "three,main,c,TEA,1",
                ])
            let result = try await shop.run("submit", file)
            #expect(result.status == .exited(65))
            #expect(result.output.hasPrefix("3 orders · 2 accepted · 1 rejected · "), "\(result.output)")
            #expect(
                result.output.contains(
                    "\n  line 5: quantity: expected a whole number from 1 to 1 000 000, got \"two\"\n"))
            #expect(try shop.ids() == ["one", "three"])
            #expect(try shop.entries()[0]["lines"] == "TEA:1 MUG:1")
        }
    }

    @Test("--on-error stop lets nothing in when one row is bad", arguments: [false, true])
    func stop(isPiped: Bool) async throws {
        try await withShop { shop in
            _ = try shop.file("bad.ndjson", orders("a", 0..<900) + ["{}"])
            _ = try shop.file("good.ndjson", orders("a", 0..<900))
            func submit(_ name: String) -> String {
                isPiped
                    ? "cat \(name) | $onewrite submit --on-error stop -" : "$onewrite submit --on-error stop \(name)"
            }
            let refused = try await shop.shell(submit("bad.ndjson"))
            #expect(refused.status == .exited(65))
            #expect(
                refused.output.hasPrefix("nothing was submitted: 1 of 901 rows rejected\n  line 901: "),
                "\(refused.output)")
            #expect(try shop.length() == 0)

            let taken = try await shop.shell(submit("good.ndjson"))
            #expect(taken.status == .exited(0), "\(taken.errors)")
            #expect(try shop.length() == 900)
        }
    }

    @Test("--on-error stop reads standard input twice from where it stood")
    func rewinding() async throws {
        try await withShop { shop in
            _ = try shop.file("rows.ndjson", ["# not ours"] + orders("a", 0..<10))
            // dd reads byte by byte, so that the rest is left for the command.
            let result = try await shop.shell(
                "{ dd bs=1 count=11 status=none > /dev/null; $onewrite submit --on-error stop -; } < rows.ndjson")
            #expect(result.status == .exited(0), "\(result.errors)")
            #expect(try shop.length() == 10)
        }
    }

    @Test("a header that names no columns is an error with its line")
    func header() async throws {
        try await withShop { shop in
            let result = try await shop.run("submit", try shop.file("x.csv", ["id,shop", "a,b"]))
            #expect(result.status == .exited(65))
            #expect(result.errors.contains("x.csv, line 1: the column \"customer\" is missing"), "\(result.errors)")
        }
    }

    @Test("the input can't be the file of its own rejected rows")
    func sameFile() async throws {
        try await withShop { shop in
            let file = try shop.file("x.ndjson", [order("a")])
            let result = try await shop.run("submit", file, "--rejects", file)
            #expect(result.status == .exited(64))
            #expect(try shop.lines("x.ndjson") == [order("a")])
        }
    }
}
