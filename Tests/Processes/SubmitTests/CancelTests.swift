import Foundation
import OrderLog
import PrivateServers
import TestSupport
import Testing

@Suite("Cancelling")
struct CancelTests {
    private func place(_ id: String, on shop: Shop, _ options: String...) async throws {
        let placed = try await ChildProcess.run(
            [
                BuiltExecutable.path, "submit", "--id", id, "--shop", "main", "--customer", "c", "--line", "TEA:2",
                "--line", "MUG:1", "--line", "TEA:1",
            ] + options, environment: shop.servers.environment)
        try #require(placed.status == .exited(0), "\(placed.errors)")
    }

    private func cancellations(_ shop: Shop) throws -> [String] {
        try shop.entries().filter { $0["type"] == "order.cancelled" }.map {
            "\($0["order"] ?? "") \($0["lines"] ?? "")"
        }
    }

    @Test("an accepted order that isn't applied yet is cancelled with the log's lines, with Postgres and without")
    func fromLog() async throws {
        try await withShop { shop in
            for (id, prefix) in [
                ("a", ""), ("b", "unset DATABASE_URL; "), ("c", "DATABASE_URL=postgresql://127.0.0.1:1/x "),
            ] {
                try await place(id, on: shop)
                let cancelled = try await shop.shell("\(prefix)$onewrite cancel \(id) --shop main")
                #expect(cancelled.status == .exited(0), "\(cancelled.errors)")
                #expect(cancelled.output.hasPrefix("\(id)/cancel  accepted  "))
                let again = try await shop.run("cancel", id, "--shop", "main")
                #expect(again.status == .exited(0) && again.output.hasPrefix("\(id)/cancel  duplicate  "))
            }
            #expect(try cancellations(shop) == ["a MUG:1 TEA:3", "b MUG:1 TEA:3", "c MUG:1 TEA:3"])
            // From Postgres the same lines come, so that the same cancellation stays the same.
            let postgres = try await shop.worker(.postgres)
            try await place("d", on: shop, "--wait=postgres")
            #expect(try await shop.run("cancel", "d", "--shop", "main").status == .exited(0))
            #expect(try cancellations(shop).last == "d MUG:1 TEA:3")
            await postgres.stop()
        }
    }

    @Test("an order that nobody knows is not there; where nobody who knows can be asked, try again")
    func unknown() async throws {
        try await withShop { shop in
            let missing = try await shop.run("cancel", "ghost", "--shop", "main")
            #expect(missing.status == .exited(1))
            #expect(missing.errors.hasPrefix("error: there is no order ghost of shop main: "), "\(missing.errors)")
            for url in ["", "postgresql://127.0.0.1:1/x"] {
                let unknown = try await shop.shell(
                    url.isEmpty
                        ? "unset DATABASE_URL; $onewrite cancel ghost --shop main"
                        : "DATABASE_URL=\(url) $onewrite cancel ghost --shop main")
                #expect(unknown.status == .exited(75) && unknown.errors.contains("Postgres can't tell: "))
            }
            // What the window has forgotten is in the log, with its cancellation.
            try await place("old", on: shop)
            let home = try #require(try shop.entries().first?["partition"])
            for outcome in ["accepted", "duplicate"] {
                try shop.redis("DEL", "{\(shop.servers.namespace):\(home)}:seen")
                let old = try await shop.shell("unset DATABASE_URL; $onewrite cancel old --shop main")
                #expect(old.status == .exited(0) && old.output.hasPrefix("old/cancel  \(outcome)  "), "\(old.errors)")
            }
            try shop.redis("XTRIM", "{\(shop.servers.namespace):\(home)}:log", "MAXLEN", "0")
            // Accepted, not applied, and its entry is gone.
            try await place("a", on: shop)
            let partition = try #require(try shop.entries().first?["partition"])
            try shop.redis("XTRIM", "{\(shop.servers.namespace):\(partition)}:log", "MAXLEN", "0")
            let gone = try await shop.run("cancel", "a", "--shop", "main")
            #expect(gone.status == .exited(75) && gone.errors.contains("not in the log any more"), "\(gone.errors)")
            let count = try await shop.run("stock", "count", "--shop", "main", "TEA:5", "--id", "count-1")
            #expect(count.status == .exited(0))
            let other = try await shop.run("cancel", "count-1", "--shop", "main")
            #expect(other.status == .exited(1) && other.errors.contains("another change, stock.counted"))
            #expect(try cancellations(shop) == [])
        }
    }

    @Test("lines that are not the order's own are refused with both, before it is applied and after, unless forced")
    func otherLines() async throws {
        try await withShop { shop in
            let workers = [try await shop.worker(.postgres), try await shop.worker(.stock)]
            let counted = try await shop.run(
                "stock", "count", "--shop", "main", "TEA:84", "MUG:1", "--wait=postgres,stock")
            #expect(counted.status == .exited(0))
            for (id, options) in [("late", [String]()), ("a", ["--wait=postgres,stock"])] {
                if options.isEmpty { try await place(id, on: shop) } else { try await place(id, on: shop, options[0]) }
                let wrong = try await shop.run("cancel", id, "--shop", "main", "--line", "TEA:201", "--line", "MUG:1")
                #expect(wrong.status == .exited(65))
                #expect(
                    wrong.errors.contains("order \(id) of shop main has the lines MUG:1 TEA:3, not MUG:1 TEA:201."),
                    "\(wrong.errors)")
                let ghost = try await shop.run("cancel", "no-\(id)", "--shop", "main", "--line", "TEA:1")
                #expect(ghost.status == .exited(1) && ghost.errors.contains("--force"), "\(ghost.errors)")
            }
            #expect(try cancellations(shop) == [])
            // Its own lines, in whichever order and however they are added up.
            let own = try await shop.run(
                "cancel", "a", "--shop", "main", "--line", "TEA:1", "--line", "MUG:1", "--line", "TEA:2",
                "--wait=postgres,stock")
            #expect(own.status == .exited(0), "\(own.errors)")
            #expect(try shop.postgres("SELECT on_hand::text FROM stock WHERE sku = 'TEA'") == ["81"])
            let bare = try await shop.run("cancel", "b", "--shop", "main", "--force")
            #expect(bare.status == .exited(64))
            let forced = try await shop.run("cancel", "ghost", "--shop", "main", "--line", "TEA:1", "--force")
            #expect(forced.status == .exited(0), "\(forced.errors)")
            #expect(try cancellations(shop) == ["a MUG:1 TEA:3", "ghost TEA:1"])
            for worker in workers { await worker.stop() }
        }
    }

    @Test("an order that is cancelled already is a duplicate, also beyond the idempotency window")
    func cancelled() async throws {
        try await withShop { shop in
            let postgres = try await shop.worker(.postgres)
            try await place("ord-1", on: shop)
            let cancelled = try await shop.run("cancel", "ord-1", "--shop", "main", "--json", "--wait=postgres")
            #expect(cancelled.status == .exited(0), "\(cancelled.errors)")
            #expect(try ReceiptLine.all(cancelled.output).map(\.id) == ["ord-1/cancel"])
            #expect(try shop.postgres("SELECT status FROM orders WHERE id = 'ord-1'") == ["cancelled"])
            // The log would take it again once it has forgotten the ID: the ledger hasn't.
            let partition = try #require(try shop.entries().first?["partition"])
            try shop.redis("DEL", "{\(shop.servers.namespace):\(partition)}:seen")
            for lines in ["", " --line MUG:1 --line TEA:3"] {
                let again = try await shop.shell("$onewrite cancel ord-1 --shop main\(lines)")
                #expect(again.status == .exited(0), "\(again.errors)")
                #expect(again.output.hasPrefix("ord-1/cancel  duplicate  "), "\(again.output)")
            }
            let wrong = try await shop.run("cancel", "ord-1", "--shop", "main", "--line", "TEA:4")
            #expect(wrong.status == .exited(65))
            #expect(try cancellations(shop).count == 1)
            await postgres.stop()
        }
    }
}
