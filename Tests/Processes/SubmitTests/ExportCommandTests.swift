import Foundation
import OrderLog
import PrivateServers
import TestSupport
import Testing

@Suite("onewrite submit of shops' exports")
struct ExportCommandTests {
    private static let files = [
        ("shopify", "shopify.csv", 6), ("woocommerce", "woocommerce.csv", 4), ("amazon", "amazon.txt", 2),
        ("etsy", "etsy.csv", 2), ("ebay", "ebay.csv", 2),
    ]
    private static let jsonFiles = [
        ("shopify", "shopify.json", 5), ("woocommerce", "woocommerce.json", 4), ("magento", "magento.json", 3),
    ]

    private static func path(_ file: String) -> String {
        Repository.root.appending(path: "Tests/Fixtures/exports/\(file)").path
    }

    @Test("each goes in as it is, the stores agree, and again it is all known")
    func goIn() async throws {
        try await withShop { shop in
            var workers: [ChildProcess] = []
            for group in Group.builtIn { workers.append(try await shop.worker(group)) }
            for (format, file, count) in Self.files + Self.jsonFiles {
                func submit(_ more: String...) async throws -> Ran {
                    Ran(
                        try await ChildProcess.run(
                            [
                                BuiltExecutable.path, "submit", Self.path(file), "--format", format, "--shop",
                                file == "shopify.csv" ? "shopify" : file,
                                "--no-sku", "name",
                            ] + more, environment: shop.servers.environment))
                }
                let before = try shop.length()
                let dry = try await submit("--dry-run").succeeded()
                #expect(dry.output.hasPrefix("nothing was sent; it would be "), "\(dry.output)")
                #expect(try shop.length() == before)
                let receipts = try ReceiptLine.all(try await submit("--json", "--wait").succeeded().output)
                #expect(receipts.count == count && receipts.allSatisfy { $0.outcome == "accepted" }, "\(format)")
                #expect(try shop.length() == before + count)
                let again = try await submit().succeeded()
                let orders = receipts.count { $0.id?.hasSuffix("/cancel") == false }
                #expect(again.output.contains("\(orders) orders · 0 accepted · \(orders) duplicate"), "\(again.output)")
                #expect(again.output.contains("cancelled or given back already") == (orders < count), "\(again.output)")
                #expect(again.output.contains("\n  all of it was in the log already"), "\(again.output)")
            }
            let audit = Ran(try await shop.run("audit"))
            #expect(audit.code == 0, "\(audit.output)")
            let stock = try Ran(try await shop.run("stock", "show", "--json", "--shop", "shopify")).object()
            let onHand = try stock.objects("skus").map { "\($0.text("sku") ?? "?") \($0.int("redis") ?? 0)" }
            #expect(onHand == ["CAFÉ-1 -3", "Gift card 25 € -1", "MUG-1 -2", "TEE RED/M -5", "Tip -1"])
            // What was cancelled in the export is cancelled for `cancel`, too.
            let cancelled = Ran(try await shop.run("cancel", "#1002", "--shop", "shopify", "--json"))
            #expect(try ReceiptLine.all(cancelled.output).map(\.outcome) == ["duplicate"], "\(cancelled.errors)")
            for worker in workers { #expect(await worker.stop() == .exited(0)) }
        }
    }

    @Test("a broken row is named by its line, its field, its value and what was expected; the others go in")
    func broken() async throws {
        try await withShop { shop in
            let breaks = [
                ("shopify", "shopify.csv", ",1,\"Becher", ",none,\"Becher"),
                ("woocommerce", "woocommerce.csv", ",POT-1,1,", ",POT-1,-1,"),
                ("ebay", "ebay.csv", ";\"3\";", ";\"0\";"),
                ("amazon", "amazon.txt", "\t2\tEUR", "\t2.000\tEUR"),
                ("etsy", "etsy.csv", "coolbuyer42,2,", "coolbuyer42,two,"),
                ("shopify", "shopify.json", "\"quantity\": 3", "\"quantity\": 3.5"),
                ("woocommerce", "woocommerce.json", "\"quantity\": 2", "\"quantity\": \"2.000\""),
                ("magento", "magento.json", "\"qty_ordered\": 3", "\"qty_ordered\": 0.5"),
            ]
            for (format, file, good, bad) in breaks {
                let encoding: String.Encoding =
                    switch format {
                    case "amazon": .windowsCP1252
                    case "etsy": .utf16
                    default: .utf8
                    }
                let text = try String(contentsOfFile: Self.path(file), encoding: encoding)
                #expect(text.contains(good), "\(format)")
                try text.replacing(good, with: bad, maxReplacements: 1).write(
                    toFile: shop.path(file), atomically: true, encoding: encoding)
                let ran = Ran(
                    try await shop.run(
                        "submit", file, "--format", format, "--shop", file, "--no-sku", "skip", "--rejects",
                        "\(file).rejects"))
                #expect(ran.code == 65, "\(ran.errors)")
                #expect(
                    ran.output.contains(/line \d+: quantity: expected a whole number from 1 to 1 000 000, got "/),
                    "\(ran.output)")
                #expect(ran.output.contains("1 rejected → \(file).rejects"), "\(ran.output)")
                #expect(try shop.lines("\(file).rejects").count == 1)
            }
        }
    }

    @Test("what gzip or zstd compressed goes in as it is, from a file and through a pipe; cut off, it says so")
    func compressed() async throws {
        try await withShop { shop in
            let source = Self.path("shopify.csv")
            let flags = "--format shopify --shop s --no-sku name"
            #expect(
                try await shop.shell("gzip -c \(source) > s.csv.gz").status
                    == .exited(0))
            // Looked at whole before anything is sent: read twice.
            for input in ["s.csv.gz", "- < s.csv.gz", "s.csv.gz --on-error stop", "- --on-error stop < s.csv.gz"] {
                let command = input.replacing(" <", with: " \(flags) <")
                let ran = Ran(
                    try await shop.shell("$onewrite submit \(command == input ? "\(input) \(flags)" : command)"))
                #expect(ran.code == 0 && ran.output.contains("6 orders · "), "\(input): \(ran.output) \(ran.errors)")
            }
            let piped = Ran(
                try await shop.shell("cat s.csv.gz | $onewrite submit - \(flags) --on-error stop"))
            #expect(piped.code == 0 && piped.output.contains("6 duplicate"), "\(piped.output) \(piped.errors)")
            #expect(try shop.length() == 6)
            let own = try shop.file("own.ndjson", [order("a"), order("b")])
            let zipped = Ran(try await shop.shell("gzip -k \(own) && $onewrite submit \(own).gz --dry-run"))
            #expect(zipped.code == 0 && zipped.output.contains("2 order.placed"), "\(zipped.output)")
            let zstd = Ran(
                try await shop.run(
                    "submit", Self.path("woocommerce.csv.zst"), "--format", "woocommerce", "--shop", "w", "--no-sku",
                    "name"))
            #expect(zstd.code == 0 && zstd.output.contains("4 orders · 4 accepted"), "\(zstd.output) \(zstd.errors)")
            #expect(try shop.length() == 10)
            // A file's checksum is looked at before anything is sent; through a pipe all that came is sent.
            let many = try shop.file("many.ndjson", (0..<4000).map { order("m\($0)") })
            #expect(
                try await shop.shell("gzip \(many) && head -c $(($(stat -c %s \(many).gz) / 2)) \(many).gz > cut.gz")
                    .status == .exited(0))
            let cut = Ran(try await shop.run("submit", "cut.gz"))
            #expect(
                cut.code == 65 && cut.errors.contains("cut.gz can't be read: its gzip data is cut off"), "\(cut.errors)"
            )
            #expect(try shop.length() == 10 && cut.output.isEmpty)
            let cutPipe = Ran(try await shop.shell("cat cut.gz | $onewrite submit -"))
            #expect(cutPipe.code == 65 && cutPipe.errors.contains("its gzip data is cut off"), "\(cutPipe.errors)")
            #expect(try shop.length() > 1000 && cutPipe.output.contains(" rows · "), "\(cutPipe.output)")
        }
    }

    @Test(
        "an order that the log has with other lines, or that is refused, is not cancelled by the export",
        arguments: [1, 700])
    func cancelsOnlyItsOwn(orders: Int) async throws {
        try await withShop { shop in
            let before = ["submit", "--id", "#7", "--shop", "s", "--customer", "c", "--line", "A:2"]
            _ = try Ran(
                try await ChildProcess.run([BuiltExecutable.path] + before, environment: shop.servers.environment)
            ).succeeded()
            var rows = ["Name,Email,Lineitem quantity,Lineitem name,Lineitem sku,Cancelled at"]
            // More than a call's changes, so that some are answered before the rest is read.
            for number in 0..<orders { rows.append("#a\(number),c,1,A,A,2026-11-30") }
            rows += ["#7,c,1,A,A,2026-11-30", "#8,c,60,A,A,2026-11-30", "#9,c,1,A,A,"]
            let file = try shop.file("export.csv", rows)
            let ran = Ran(
                try await shop.run(
                    "submit", file, "--format", "shopify", "--shop", "s", "--max-quantity", "50", "--json"))
            #expect(ran.code == 65, "\(ran.errors)")
            let receipts = try ReceiptLine.all(ran.output)
            #expect(receipts.count == 2 * orders + 5)
            #expect(receipts.count { $0.outcome == "accepted" } == 2 * orders + 1)
            #expect(receipts.filter { $0.id == "#7" }.map(\.outcome) == ["conflict"])
            let cancelled = receipts.filter { $0.id == "#7/cancel" }
            #expect(cancelled.map(\.outcome) == ["rejected"] && cancelled.first?.field == "order")
            #expect(cancelled.first?.error?.contains("so it is not cancelled") == true)
            #expect(receipts.filter { $0.id?.hasPrefix("#8") == true }.map(\.outcome) == ["rejected", "rejected"])
            #expect(try shop.ids().filter { $0.hasSuffix("/cancel") }.count == orders)
            #expect(try Set(shop.ids()).isDisjoint(with: ["#7/cancel", "#8", "#8/cancel"]))
            // The same again: nothing new.
            let length = try shop.length()
            #expect(
                try await shop.run("submit", file, "--format", "shopify", "--shop", "s", "--max-quantity", "50").status
                    == .exited(65))
            #expect(try shop.length() == length)
        }
    }

    @Test("an order of more than can be meant is refused, from a file and by flags; counts may be as large as they are")
    func maxQuantity() async throws {
        try await withShop { shop in
            let count = #"{"type":"stock.counted","id":"n","shop":"main","lines":[{"sku":"A","quantity":5000}]}"#
            let file = try shop.file("orders.ndjson", [order("a", quantity: 10), order("b", quantity: 11), count])
            let ran = Ran(try await shop.run("submit", file, "--max-quantity", "10"))
            #expect(ran.code == 65 && ran.output.contains("3 rows · 2 accepted · 1 rejected"), "\(ran.output)")
            #expect(
                ran.output.contains(
                    #"line 2: quantity: "TEA-250" is ordered 11 times, and --max-quantity is 10"#), "\(ran.output)")
            let own = Ran(try await shop.run("submit", file, "--max-quantity", "5", "--max-quantity", "main=10"))
            #expect(own.code == 65 && own.output.contains("and --max-quantity is 10 for \"main\""), "\(own.output)")
            let twice = Ran(try await shop.run("submit", file, "--max-quantity", "5", "--max-quantity", "6"))
            #expect(twice.code == 64 && twice.errors.contains("--max-quantity is there twice"), "\(twice.errors)")
            let none = Ran(try await shop.run("submit", file, "--max-quantity", "main=x"))
            #expect(none.code == 64 && none.errors.contains("or SHOP= and that, got \"main=x\""), "\(none.errors)")
            let single = ["submit", "--id", "c", "--shop", "main", "--customer", "c", "--line", "A:6", "--line", "A:5"]
            let flags = Ran(
                try await ChildProcess.run(
                    [BuiltExecutable.path] + single + ["--max-quantity", "10"], environment: shop.servers.environment))
            #expect(flags.code == 65 && flags.errors.contains(#""A" is ordered 11 times"#), "\(flags.errors)")
            #expect(try shop.length() == 2)
        }
    }

    @Test("what doesn't go together is said before anything is read")
    func usage() async throws {
        try await withShop { shop in
            let file = Self.path("shopify.csv")
            for (arguments, words) in [
                (["--format", "shopify"], "says nothing of shop: --shop NAME for all orders, or shop=COLUMN"),
                (["--format", "csv", "--shop", "x"], "--shop doesn't go with a file"),
                (["--no-sku", "skip"], "--no-sku goes with --map or an export's --format"),
                (["--format", "shopify", "--shop", "x", "--no-sku", "drop"], "expected refuse, skip or name"),
                (["--map", "id=Name", "--shop", "x"], "says nothing of customer, sku, quantity"),
                (["--map", "colour=Name", "--shop", "x"], "expected one of id, shop, customer"),
            ] {
                let ran = Ran(
                    try await ChildProcess.run(
                        [BuiltExecutable.path, "submit", file] + arguments, environment: shop.servers.environment))
                #expect(ran.code == 64 && ran.errors.contains(words), "\(arguments): \(ran.errors)")
            }
            let wrong = Ran(try await shop.run("submit", file, "--format", "etsy", "--shop", "x"))
            #expect(
                wrong.code == 65 && wrong.errors.contains("no column \"Order ID\" for id; there are: Name, Email"),
                "\(wrong.errors)")
            #expect(try shop.length() == 0)
        }
    }
}
