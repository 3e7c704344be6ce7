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
        BadRow(field: "id", text: row(id: #""a\u200bb""#)),
        BadRow(field: "id", text: row(id: "null")),
        BadRow(field: "shop", text: row(shop: #""""#)),
        BadRow(field: "shop", text: row(shop: "\"\(long(129))\"")),
        BadRow(field: "shop", text: row(shop: #""Käse ""#)),
        BadRow(field: "customer", text: row(customer: #""""#)),
        BadRow(field: "customer", text: row(customer: "\"\(long(257))\"")),
        BadRow(field: "customer", text: row(customer: #""a\u0007b""#)),
        BadRow(field: "lines", text: row(lines: "[]")),
        BadRow(
            field: "lines",
            text: row(lines: "[\(long(100, #"{"sku":"A","quantity":1},"#))\(#"{"sku":"A","quantity":1}"#)]")),
        BadRow(field: "sku", text: row(lines: item(""))),
        BadRow(field: "sku", text: row(lines: item(long(129)))),
        BadRow(field: "sku", text: row(lines: item("A\\u00adB"))),
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

    @Test("a CSV's rejected rows are a CSV again, with the reason beside them: mended and submitted, they go in")
    func sheet() async throws {
        try await withShop { shop in
            let file = try shop.file(
                "orders.csv",
                [
                    "id,shop,customer,sku,quantity", "a,main,c,TEA,1", "b,main,\"Smith, \"\"J\"\"\",TEA,0",
                    "b,main,\"Smith, \"\"J\"\"\",MUG,2", "c,main,c,TEA,two",
                ])
            let ran = Ran(try await shop.run("submit", file, "--rejects", "bad.csv"))
            #expect(ran.code == 65 && ran.output.contains("2 rejected → bad.csv"), "\(ran.output)")
            let expected = "expected a whole number from 1 to 1 000 000, got"
            #expect(
                try shop.lines("bad.csv") == [
                    "id,shop,customer,sku,quantity,rejected",
                    "b,main,\"Smith, \"\"J\"\"\",TEA,0,\"line 3: quantity: \(expected) \"\"0\"\"\"",
                    "b,main,\"Smith, \"\"J\"\"\",MUG,2,",
                    "c,main,c,TEA,two,\"line 5: quantity: \(expected) \"\"two\"\"\"",
                ])
            // Rejected once more, by way of two such columns; then mended.
            _ = try await shop.run("submit", "bad.csv", "--rejects", "again.csv", "--on-error", "stop")
            let again = try shop.lines("again.csv").joined(separator: "\n")
            let mended = again.replacing(",TEA,0,", with: ",TEA,1,").replacing(",two,", with: ",3,")
            let good = try shop.file("good.csv", mended.split(separator: "\n").map(String.init))
            let done = try Ran(try await shop.run("submit", good)).succeeded()
            #expect(done.output.contains("2 orders · 2 accepted"), "\(done.output)")

            // An export's, with a line break within quotes, semicolons, and the columns that nobody reads.
            let export = try shop.file(
                "export.csv",
                [
                    "Name;Note;Email;Lineitem sku;Lineitem quantity", "#1;\"ring", "\"\"twice\"\"\";c;A;0", "#1;;;B;1",
                    "#2;;c;A;1",
                ])
            let options = ["--format", "shopify", "--shop", "main"]
            func submit(_ words: String...) async throws -> Ran {
                Ran(
                    try await ChildProcess.run(
                        [BuiltExecutable.path, "submit"] + words + options, environment: shop.servers.environment))
            }
            #expect(try await submit(export, "--rejects", shop.path("bad2.csv")).code == 65)
            let lines = try shop.lines("bad2.csv")
            #expect(lines.count == 4 && lines[0].hasSuffix(";rejected") && lines[3] == "#1;;;B;1;", "\(lines)")
            let text = lines.joined(separator: "\n").replacing(";A;0;", with: ";A;5;")
            let last = try shop.file("good2.csv", text.split(separator: "\n").map(String.init))
            #expect(try await submit(last).succeeded().output.contains("1 order · 1 accepted"))

            // Of an order that is too long to be kept nothing is there to be submitted: it would have too few lines.
            let note = String(repeating: "n", count: 9000)
            let long = try shop.file(
                "long.csv",
                ["Name;Note;Email;Lineitem sku;Lineitem quantity"]
                    + (1...8).map { "#4;\(note);c;S\($0);\($0 == 1 ? 0 : 1)" })
            _ = try await submit(long, "--rejects", shop.path("bad4.csv"))
            let fourth = try shop.lines("bad4.csv")
            #expect(fourth.count == 2 && fourth[1].hasPrefix(";;;;;\"line 2: quantity: "), "\(fourth)")
            let length = try shop.length()
            #expect(try await submit(shop.path("bad4.csv")).output.contains(" · 0 accepted"))
            #expect(try shop.length() == length)

            // An order and its cancellation are the same rows.
            let cancelled = try shop.file(
                "cancelled.csv",
                ["Name,Email,Lineitem sku,Lineitem quantity,Cancelled at", "#3,c,A,60,2026-11-30", "#3,,B,1,"])
            _ = try await submit(cancelled, "--max-quantity", "50", "--rejects", shop.path("bad3.csv"))
            let third = try shop.lines("bad3.csv")
            #expect(third.count == 3 && third[2] == "#3,,B,1,,", "\(third)")
        }
    }

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

    @Test(
        "--on-error stop sends nothing behind an ID that is in the log with another payload", arguments: [false, true])
    func stopAtConflict(isInFile: Bool) async throws {
        try await withShop { shop in
            // More than is looked at together, in all partitions, with one of the IDs taken before: in the log, or in the file.
            var rows = orders("a", 0..<40_000)
            rows[25_000] = SubmitTests.order(isInFile ? "a-7" : "taken", shop: "shop-7", quantity: 9)
            if !isInFile {
                let taken = try shop.file("taken.ndjson", [SubmitTests.order("taken", shop: "shop-7")])
                #expect(try await shop.run("submit", taken).status == .exited(0))
            }
            let file = try shop.file("rows.ndjson", rows)
            let result = try await shop.run("submit", file, "--on-error", "stop", "--json")
            #expect(result.status == .exited(65))
            #expect(
                result.errors.contains(
                    "sent: what stands before line 25 001, 25 000 rows, listed with their places; nothing behind it."),
                "\(result.errors)")
            let receipts = try ReceiptLine.all(result.output)
            #expect(receipts.count == 25_001 && receipts.dropLast().allSatisfy { $0.outcome == "accepted" })
            #expect(receipts.last?.outcome == "conflict" && receipts.last?.line == 25_001)
            let ids = Set(try shop.ids()).subtracting(["taken"])
            #expect(ids == Set((0..<25_000).map { "a-\($0)" }))

            // Mended, the same goes on where it stopped.
            rows[25_000] = SubmitTests.order("a-25000", shop: "shop-7")
            let again = try await shop.run("submit", try shop.file("rows.ndjson", rows), "--on-error", "stop")
            #expect(again.status == .exited(0) && again.output.contains("15 000 accepted · 25 000 duplicates"))
            #expect(Set(try shop.ids()).count == 40_000 + (isInFile ? 0 : 1))
        }
    }

    @Test("an order whose rows are parted by others' is rejected with its lines before a part of it is sent")
    func parted() async throws {
        try await withShop { shop in
            let rows = (0..<5000).flatMap { ["o-\($0),shop-\($0 % 9),c,TEA,1", "o-\($0),shop-\($0 % 9),c,MUG,1"] }
            let file = try shop.file(
                "x.csv", ["id,shop,customer,sku,quantity", "o-4000,shop-4,c,POT,1"] + rows)
            for option in [["--on-error", "continue"], ["--on-error", "stop"]] {
                let result = try await shop.run("submit", file, option[0], option[1])
                #expect(result.status == .exited(65))
                let message =
                    "  line 2: id: o-4000 has rows at lines 2 and 8 003-8 004, with others' between them: an order's rows must "
                    + "follow each other. Sort the file by id\n  line 8 003: id: o-4000 has rows at lines 2 and 8 003-8 004"
                #expect(result.output.contains(message), "\(result.output)")
                if option[1] == "stop" {
                    #expect(result.output.hasPrefix("nothing was submitted: 2 of 5 001 orders rejected\n"))
                }
                #expect(try shop.length() == 4999 && !shop.ids().contains("o-4000"))
            }
        }
    }

    @Test("an order whose rows are farther apart than can be seen is a conflict that says what it may come from")
    func partedFarApart() async throws {
        try await withShop { shop in
            let rows = (0..<20_000).map { "o-\($0),shop-\($0 % 9),c,TEA,1" }
            let file = try shop.file(
                "x.csv", ["id,shop,customer,sku,quantity"] + rows + ["o-7,shop-7,c,MUG,1", "p,shop-7,c,MUG,1"])
            let result = try await shop.run("submit", file, "--rejects", shop.path("bad"))
            #expect(result.status == .exited(65))
            #expect(
                result.output.contains(
                    "perhaps from rows far above: an order's rows must follow each other. Sort the file by id"))
            #expect(result.output.contains("  line 20 002: id: o-7 is in the log with another payload"))
            #expect(try shop.length() == 20_001)
            #expect(try shop.lines("bad").count == 1)
        }
    }

    @Test("a CSV that comes slowly is not held back: an order is sent once the next one begins")
    func slowly() async throws {
        try await withShop { shop in
            let process = try await shop.start(
                """
                { echo id,shop,customer,sku,quantity; echo a,main,c,TEA,1; echo b,main,c,TEA,1; \
                until [ -e end ] || ! kill -0 $$ 2> /dev/null; do sleep 0.02; done; echo c,main,c,TEA,1; } \
                | $onewrite submit - > out
                """)
            try await eventually("the first order is in the log") { try shop.ids() == ["a"] }
            _ = try shop.file("end", [])
            #expect(try await process.exit(within: .seconds(20)) == .exited(0))
            #expect(try shop.ids() == ["a", "b", "c"])
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
