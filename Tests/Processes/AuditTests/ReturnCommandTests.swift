import Foundation
import OrderLog
import Testing
import TestSupport

@Suite("onewrite return")
struct ReturnCommandTests {
    @Test("parts of an order come back; no more than there was, applied or not; the same number is the same return")
    func returns() async throws {
        try await AuditedShop.open(partitions: 2) { shop in
            func run(_ arguments: String...) async throws -> Ran { try await shop.run(arguments) }
            func submit(_ id: String, _ lines: String...) async throws {
                let flags = lines.flatMap { ["--line", $0] }
                let done = try await shop.run(["submit", "--shop", "main", "--id", id, "--customer", "c"] + flags)
                try #require(done.code == 0, "\(done.errors)")
            }
            await shop.stopWorkers([.postgres])
            try await submit("o-1", "TEA:3", "MUG:1")
            // Before anything is applied: the log tells.
            let first = try await run("return", "o-1", "--shop", "main", "--line", "TEA:2")
            #expect(first.code == 0 && first.output.hasPrefix("o-1/return/1  accepted"), "\(first.errors)")
            #expect(
                try await run("return", "o-1", "--shop", "main", "--line", "TEA:2").output.hasPrefix(
                    "o-1/return/1  duplicate"))
            #expect(
                try await run("return", "o-1", "--shop", "main", "--line", "TEA:1").code == 65,
                "another under its number")
            let much = try await run("return", "o-1", "--shop", "main", "--line", "TEA:2", "--number", "2")
            #expect(much.code == 65)
            #expect(
                much.errors.contains(
                    "TEA: 2 can't come back: order o-1 of shop main has 3 of it, and 2 came back already"))
            let never = try await run("return", "o-1", "--shop", "main", "--line", "CUP:1", "--number", "2")
            #expect(never.code == 65 && never.errors.contains("has 0 of it"))
            let cancel = try await run("cancel", "o-1", "--shop", "main")
            #expect(cancel.code == 1 && cancel.errors.contains("came back TEA:2 already"), "\(cancel.errors)")

            try await shop.startWorkers([.postgres])
            #expect(
                try await run(
                    "return", "o-1", "--shop", "main", "--line", "TEA:1", "--line", "MUG:1", "--number", "2", "--wait"
                )
                .code == 0)
            #expect(try await run("return", "o-1", "--shop", "main", "--line", "TEA:1", "--number", "3").code == 65)
            let order = try await run("order", "o-1", "--shop", "main")
            #expect(order.output.contains("o-1  shop main  returned"), "\(order.output)")
            #expect(order.output.contains("MUG × 1 (1 back), TEA × 3 (3 back)"))
            #expect(order.output.contains("\no-1/return/1\n") && order.output.contains("\no-1/return/2\n"))
            let json = try await run("order", "o-1", "--shop", "main", "--json").object()
            #expect(try json.objects("returns").map { $0.text("id") } == ["o-1/return/1", "o-1/return/2"])
            #expect(try await run("return", "nobody", "--shop", "main", "--line", "TEA:1").code == 1)
            #expect(try await run("return", "o-1", "--shop", "main").code == 64)
            #expect(try await run("return", "o-1", "--shop", "main", "--line", "TEA:1", "--number", "0").code == 64)
            try await submit("o-2", "TEA:1")
            #expect(try await run("cancel", "o-2", "--shop", "main", "--wait").code == 0)
            let cancelled = try await run("return", "o-2", "--shop", "main", "--line", "TEA:1")
            #expect(cancelled.code == 1 && cancelled.errors.contains("is cancelled"))

            // Audit knows them, and finds what was changed; so do repair and a table made anew.
            #expect(try await run("audit").code == 0)
            let damage = "UPDATE order_lines SET returned = 1 WHERE order_id = 'o-1' AND sku = 'TEA'"
            try await shop.sql(damage)
            let found = try await run("audit")
            #expect(found.code == 1 && found.output.contains("expected 3 TEA returned, found 1"), "\(found.output)")
            #expect(found.output.contains("expected status placed, found status returned"), "\(found.output)")
            #expect(try await run("repair", "--reason", "test", "--yes").code == 0)
            #expect(try await run("audit").code == 0)
            try await shop.sql("DELETE FROM order_lines; DELETE FROM orders")
            #expect(try await run("rebuild", "tables", "--yes").code == 0)
            #expect(try await run("audit").code == 0)
        }
    }
}
