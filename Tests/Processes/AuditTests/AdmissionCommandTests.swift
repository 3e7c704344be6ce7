import Foundation
import OrderLog
import RedisLog
import Testing
import TestSupport

@testable import OnewriteCommand

@Suite("onewrite admission")
struct AdmissionCommandTests {
    @Test(
        "turned on, an order that stock doesn't cover is refused with what is there; show, audit and off tell the rest")
    func refuses() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit([stock("received", "in-1", "main", "TEA:3 MUG:1"), order("o-1", "main", "TEA:1")])
            #expect(try await shop.run("admission", "show").output == "no shop has admission on\n")
            let on = try await shop.run("admission", "on", "main")
            #expect(on.code == 0 && on.output == "admission of shop main is on\n", "\(on.errors)")
            #expect(try await shop.run("admission", "on", "main").code == 0, "again")
            #expect(try await shop.run("admission", "show").output == "main  on\n")

            let one = try await shop.run(
                "submit", "--shop", "main", "--id", "o-2", "--customer", "c", "--line", "TEA:3")
            #expect(one.code == 1)
            #expect(one.errors.contains("o-2 is not covered by the stock: TEA: 3 wanted, 2 available. Not in the log."))
            let json = try await shop.run(
                "submit", "--shop", "main", "--id", "o-2", "--customer", "c", "--line", "TEA:3", "--json")
            #expect(json.code == 1)
            let receipt = try #require(try json.objects().first)
            #expect(receipt.text("outcome") == "refused" && receipt["seq"] is NSNull && receipt["entry"] is NSNull)
            #expect(receipt.int("after") == 2)
            let lacking = try receipt.objects("lacking")
            #expect(lacking.count == 1 && lacking[0].text("sku") == "TEA")
            #expect(lacking[0].int("wanted") == 3 && lacking[0].int("available") == 2)
            #expect(
                try await shop.run("submit", "--shop", "main", "--id", "o-2", "--customer", "c", "--line", "TEA:2").code
                    == 0)

            let show = try await shop.run("admission", "show", "main", "TEA", "MUG", "NONE")
            #expect(show.code == 0)
            let rows = show.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            #expect(rows.dropFirst(2).map { $0.prefix(2) } == [["TEA", "0"], ["MUG", "1"], ["NONE", "?"]])
            try await shop.drained()
            let shown = try await shop.run("admission", "show", "main", "--json").object()
            #expect(shown.text("schema") == "onewrite/admission/v1")
            #expect(try shown.objects("shops").map { $0.text("state") } == ["on"])
            #expect(
                try shown.objects("skus").map {
                    "\($0.text("sku") ?? "") \($0.int("available") ?? -1) \($0.int("on_hand") ?? -1)"
                }
                    == ["MUG 1 1", "TEA 0 0"])
            let audit = try await shop.audit("--json")
            #expect(audit.code == 0)
            #expect(try audit.report().compared("available") == 2)

            let off = try await shop.run("admission", "off", "main")
            #expect(off.code == 0 && off.output == "admission of shop main is off\n")
            #expect(
                try await shop.run("submit", "--shop", "main", "--id", "o-3", "--customer", "c", "--line", "TEA:9").code
                    == 0)
            #expect(try await shop.run("admission", "show", "main").output == "admission of shop main is off\n")
            #expect(try await shop.run("admission", "on", " main").code == 65, "no blank at either end")
        }
    }

    @Test("a file goes in but for what isn't covered; that is written down, and goes in later as it is")
    func file() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit([stock("received", "in-1", "main", "TEA:4")])
            try #require(try await shop.run("admission", "on", "main").code == 0)
            let path = "\(FileManager.default.temporaryDirectory.path)/admission-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: path) }
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            let lines = [
                order("o-1", "main", "TEA:3"), order("o-2", "main", "TEA:2"), order("o-3", "other", "TEA:2"),
                order("o-4", "main", "TEA:1"),
            ]
            try lines.joined(separator: "\n").write(toFile: "\(path)/in.ndjson", atomically: false, encoding: .utf8)
            let sent = try await shop.run("submit", "\(path)/in.ndjson", "--rejects", "\(path)/rejects.ndjson")
            #expect(sent.code == 1, "\(sent.errors)")
            #expect(sent.output.contains("4 rows · 3 accepted · 1 refused → "), "\(sent.output)")
            #expect(sent.output.contains("line 2: lines: o-2 is not covered by the stock: TEA: 2 wanted, 1 available"))
            let again = try await shop.run("submit", "\(path)/in.ndjson")
            #expect(again.output.contains("3 duplicates · 1 refused"), "\(again.output)")
            try await shop.submit([stock("received", "in-2", "main", "TEA:2")])
            let later = try await shop.run("submit", "\(path)/in.ndjson")
            #expect(later.code == 0 && later.output.contains("1 accepted · 3 duplicates"), "\(later.output)")
            #expect(try await shop.audit().code == 0)
        }
    }

    @Test(
        "audit finds what may be sold wrongly, and repair mends it; so it does where Redis and Postgres differ on who has it"
    )
    func repaired() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit([stock("received", "in-1", "main", "TEA:4 MUG:2"), order("o-1", "main", "TEA:1")])
            try #require(try await shop.run("admission", "on", "main").code == 0)
            try await shop.drained()
            let main = shop.partition(of: "main")
            try await shop.redis("HSET", shop.keys.available(main, shop: "main"), "TEA", "7", "GHOST", "5")
            let audit = try await shop.audit("--json")
            #expect(audit.code == 1)
            let differences = try audit.report().differences
            #expect(
                Set(differences.map { "\($0.subject) \($0.name) \($0.expected) \($0.found)" })
                    == ["available main TEA 3 7", "available main GHOST 0 5"])
            let repair = try await shop.run("repair", "--reason", "test", "--yes")
            #expect(
                repair.code == 0 && repair.output.contains("2 mended, 0 left · audit: agree"),
                "\(repair.output)\(repair.errors)")

            try await shop.sql("DELETE FROM admission")
            let switched = try await shop.run("audit")
            #expect(switched.code == 1 && switched.output.contains("main"), "\(switched.output)")
            #expect(try await shop.run("repair", "--reason", "test", "--yes").code == 0)
            #expect(try await shop.run("admission", "show").output == "no shop has admission on\n")
            try await shop.sql("INSERT INTO admission (shop, partition) VALUES ('main', \(main.number))")
            #expect(try await shop.audit().code == 1)
            #expect(try await shop.run("repair", "--reason", "test", "--yes").code == 0)
            #expect(try await shop.run("admission", "show").output == "main  on\n")
        }
    }

    @Test("what may be sold is of another type: orders wait with the reason, audit says so, and repair makes it anew")
    func wrongType() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit([stock("received", "in-1", "main", "TEA:4")])
            try #require(try await shop.run("admission", "on", "main").code == 0)
            try await shop.drained()
            let key = shop.keys.available(shop.partition(of: "main"), shop: "main")
            try await shop.redis("DEL", key)
            try await shop.redis("SET", key, "no hash")
            let waits = try await shop.run(
                "submit", "--shop", "main", "--id", "o-1", "--customer", "c", "--line", "TEA:1", "--timeout", "1s")
            #expect(waits.code == 75 && waits.errors.contains("what may be sold can't be told: \(key): WRONGTYPE"))
            let audit = try await shop.audit("--json")
            #expect(audit.code == 1)
            #expect(try audit.report().differences.map { "\($0.subject) \($0.name)" } == ["available main"])
            let repair = try await shop.run("repair", "--reason", "test", "--yes")
            #expect(
                repair.code == 0 && repair.output.contains("1 mended, 0 left · audit: agree"),
                "\(repair.output)\(repair.errors)")
            #expect(
                try await shop.run("submit", "--shop", "main", "--id", "o-1", "--customer", "c", "--line", "TEA:5").code
                    == 1)
            #expect(
                try await shop.run("submit", "--shop", "main", "--id", "o-1", "--customer", "c", "--line", "TEA:4").code
                    == 0)
        }
    }

    @Test("a rebuilt stock, an entry that stock sets aside, and a log that is made anew: it is counted by itself")
    func countedByItself() async throws {
        try await AuditedShop.open { shop in
            try await shop.submit([stock("received", "in-1", "main", "TEA:9 MUG:2")])
            try #require(try await shop.run("admission", "on", "main").code == 0)
            try await shop.submit([order("o-1", "main", "TEA:2")])
            try await shop.drained()
            let main = shop.partition(of: "main")
            // A counter that somebody changed: what may be sold was right, and is wrong with the mended one unless it is counted.
            try await shop.redis("HSET", shop.keys.stock(main, shop: "main"), "MUG", "1")
            try await shop.redis("HSET", shop.keys.available(main, shop: "main"), "MUG", "1")
            #expect(try await shop.run("rebuild", "stock", "--yes").code == 0)
            try await shop.isOn()
            #expect(try await shop.audit().code == 0)
            #expect(try await shop.available("MUG") == 2)

            // Stock can't apply it, and sets it aside: what it took is there again.
            try await shop.redis("HSET", shop.keys.stock(main, shop: "main"), "TEA", "many")
            try await shop.submit([order("o-2", "main", "TEA:3")])
            try await shop.becomes("stalled", .stock)
            let taken = try await shop.run(
                "dead", "take", "--group", "stock", "--partition", "\(main.number)", "--reason", "test", "--yes")
            #expect(taken.code == 0, "\(taken.errors)")
            #expect(try await shop.run("admission", "show").output == "main  counting\n")
            try await shop.redis("HSET", shop.keys.stock(main, shop: "main"), "TEA", "7")
            try await shop.isOn()
            #expect(try await shop.available("TEA") == 7)

            try await shop.drained()
            await shop.stopWorkers()
            try await shop.deleteEverything()
            let rebuilt = try await shop.run("rebuild", "log", "--no-deliveries", "--yes")
            #expect(rebuilt.code == 0, "\(rebuilt.errors)")
            #expect(try await shop.run("admission", "show").output == "main  counting\n")
            try await shop.startWorkers()
            try await shop.isOn()
            #expect(
                try await shop.run("submit", "--shop", "main", "--id", "o-9", "--customer", "c", "--line", "MUG:3").code
                    == 1)
            #expect(
                try await shop.run("submit", "--shop", "main", "--id", "o-9", "--customer", "c", "--line", "MUG:2").code
                    == 0)
        }
    }
}

extension AuditedShop {
    fileprivate nonisolated func isOn() async throws {
        try await eventually(within: .seconds(30), "what may be sold is counted") {
            try await self.run("admission", "show").output == "main  on\n"
        }
    }

    fileprivate nonisolated func available(_ sku: String) async throws -> Int {
        let shown = try await run("admission", "show", "main", sku, "--json").object()
        return try #require(try shown.objects("skus").first?.int("available"))
    }
}
