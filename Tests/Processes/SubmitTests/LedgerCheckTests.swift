import Foundation
import OrderLog
import PrivateServers
import TestSupport
import Testing

@Suite("onewrite submit of orders that were submitted long ago")
struct LedgerCheckTests {
    private static let header = "Name,Email,Lineitem quantity,Lineitem name,Lineitem sku,Cancelled at"

    /// As if the idempotency window had passed.
    private static func forget(_ shop: Shop) throws {
        for partition in 0..<8 { try shop.redis("DEL", "{\(shop.servers.namespace):\(partition)}:seen") }
    }

    private static func submit(_ shop: Shop, _ file: String, _ more: String...) async throws -> Ran {
        Ran(
            try await ChildProcess.run(
                [BuiltExecutable.path, "submit", file, "--format", "shopify", "--shop", "s"] + more,
                environment: shop.servers.environment))
    }

    @Test("an export that comes again beyond the window is known, and its cancellations give nothing back twice")
    func again() async throws {
        try await withShop { shop in
            var workers: [ChildProcess] = []
            for group in Group.builtIn { workers.append(try await shop.worker(group)) }
            let rows = [Self.header, "#1,c,2,A,A,", "#2,c,1,B,B,2026-11-30", "#3,c,3,A,A,", "#4,c,1,A,A,"]
            let file = try shop.file("export.csv", rows)
            let first = try ReceiptLine.all(try await Self.submit(shop, file, "--json", "--wait").succeeded().output)
            #expect(first.map(\.outcome) == Array(repeating: "accepted", count: 5))
            for stop in ["continue", "stop"] {
                try Self.forget(shop)
                let again = try await Self.submit(shop, file, "--json", "--wait", "--on-error", stop).succeeded()
                let receipts = try ReceiptLine.all(again.output)
                #expect(receipts.map(\.outcome) == Array(repeating: "duplicate", count: 4))
                #expect(receipts.map(\.seq) == first.filter { $0.id?.hasSuffix("/cancel") == false }.map(\.seq))
                #expect(again.errors.contains("1 order was cancelled or given back already"), "\(again.errors)")
                #expect(try shop.length() == 5)
            }
            // Later: one is another one, one is cancelled, one of which a part came back is cancelled, and one is new.
            _ = try Ran(try await shop.run("return", "#3", "--shop", "s", "--line", "A:1", "--wait")).succeeded()
            let later = [
                Self.header, "#1,c,5,A,A,", "#2,c,1,B,B,2026-11-30", "#3,c,3,A,A,2026-12-01", "#4,c,1,A,A,2026-12-01",
                "#5,c,1,A,A,",
            ]
            try Self.forget(shop)
            let dry = try await Self.submit(shop, try shop.file("later.csv", later), "--dry-run")
            #expect(dry.code == 65, "\(dry.errors)")
            #expect(
                dry.output.hasPrefix(
                    "nothing was sent; it would be 1 order.placed · 1 order.cancelled with 2 lines · 3 there already · 2 rejected"
                ),
                "\(dry.output)")
            let next = try await Self.submit(shop, try shop.file("later.csv", later), "--json", "--wait")
            #expect(next.code == 65, "\(next.errors)")
            let outcomes = try ReceiptLine.all(next.output).map { "\($0.id ?? "?") \($0.outcome)" }
            #expect(
                outcomes.sorted() == [
                    "#1 conflict", "#2 duplicate", "#3 duplicate", "#3/cancel rejected", "#4 duplicate",
                    "#4/cancel accepted", "#5 accepted",
                ])
            #expect(next.errors.contains("came back in part"), "\(next.errors)")
            #expect(try shop.length() == 8)
            let stock = try Ran(try await shop.run("stock", "show", "--json", "--shop", "s")).object()
            #expect(
                try stock.objects("skus").map { "\($0.text("sku") ?? "?") \($0.int("redis") ?? 0)" } == ["A -5", "B 0"])
            let audit = Ran(try await shop.run("audit"))
            #expect(audit.code == 0, "\(audit.output)")
            for worker in workers { #expect(await worker.stop() == .exited(0)) }
        }
    }

    @Test(
        "our own formats are looked up when that is asked for, and nothing goes in behind a conflict that is to stop it"
    )
    func ownFormats() async throws {
        try await withShop { shop in
            let worker = try await shop.worker(.postgres)
            let file = try shop.file("orders.ndjson", [order("a"), order("b"), order("c", shop: "other")])
            _ = try Ran(try await shop.run("submit", file, "--wait=postgres")).succeeded()
            try Self.forget(shop)
            let mixed = try shop.file(
                "mixed.ndjson",
                [order("a"), order("d"), order("b", quantity: 9), order("e"), order("c", shop: "other")])
            let stopped = Ran(
                try await shop.run("submit", mixed, "--ledger-check", "--on-error", "stop", "--json"))
            #expect(stopped.code == 65, "\(stopped.errors)")
            #expect(
                try ReceiptLine.all(stopped.output).map { "\($0.id ?? "?") \($0.outcome)" } == [
                    "a duplicate", "d accepted", "b conflict",
                ])
            let whole = Ran(try await shop.run("submit", mixed, "--ledger-check", "--json"))
            #expect(
                try ReceiptLine.all(whole.output).map { "\($0.id ?? "?") \($0.outcome)" } == [
                    "a duplicate", "d duplicate", "b conflict", "e accepted", "c duplicate",
                ])
            #expect(try shop.length() == 5)
            // Without it the log takes them for new: that is what the window is.
            try Self.forget(shop)
            _ = try Ran(try await shop.run("submit", file)).succeeded()
            #expect(try shop.length() == 8)
            #expect(await worker.stop() == .exited(0))
        }
    }

    @Test("a cancellation at the end of what came through a pipe so far goes in, whether or not more comes")
    func pipe() async throws {
        try await withShop { shop in
            // As objects: each is given when it is there, and not only when the next one is.
            func order(_ name: String, _ cancelled: String) -> String {
                ##"{"name":"\##(name)","email":"c","cancelled_at":\##(cancelled),"line_items":[{"sku":"A","quantity":1}]}"##
            }
            // The first 64 KiB are read at once, to tell how they are encoded.
            let many = (0..<800).map { order("#many-\($0)", "null") }
            _ = try shop.file("a.json", many + [order("#2", "\"2026-11-30\"")])
            _ = try shop.file("b.json", [order("#3", "\"2026-11-30\"")])
            for check in ["--ledger-check", "--no-ledger-check"] {
                let before = try shop.length()
                let ran = Ran(
                    try await shop.shell(
                        "(cat a.json; sleep 1; cat b.json; sleep 1) | $onewrite submit - --format shopify --shop 's\(check)' \(check)"
                    ))
                #expect(
                    ran.code == 0 && ran.output.contains("804 orders · 804 accepted"), "\(ran.output) \(ran.errors)")
                #expect(try shop.length() == before + 804)
            }
        }
    }

    @Test("without Postgres an export is not sent, unless it needn't be asked")
    func withoutPostgres() async throws {
        try await withShop { shop in
            let file = try shop.file("export.csv", [Self.header, "#1,c,2,A,A,"])
            var environment = shop.servers.environment
            environment["DATABASE_URL"] = "postgres://nobody@127.0.0.1:1/none"
            let arguments = [
                BuiltExecutable.path, "submit", file, "--format", "shopify", "--shop", "s", "--timeout", "1s",
            ]
            let refused = Ran(try await ChildProcess.run(arguments, environment: environment))
            #expect(refused.code == 69, "\(refused.errors)")
            #expect(refused.errors.contains("--no-ledger-check goes without Postgres"), "\(refused.errors)")
            #expect(try shop.length() == 0)
            let dry = Ran(try await ChildProcess.run(arguments + ["--dry-run"], environment: environment))
            #expect(dry.code == 0 && dry.output.contains("it would be 1 order.placed"), "\(dry.output)")
            #expect(dry.output.contains("Postgres couldn't be asked which are there already: "), "\(dry.output)")
            let unasked = Ran(try await ChildProcess.run(arguments + ["--no-ledger-check"], environment: environment))
            #expect(unasked.code == 0, "\(unasked.errors)")
            #expect(try shop.length() == 1)
        }
    }
}
