import Foundation
import OrderLog
import PrivateServers
import RedisClient
import Testing
import TestSupport

@Suite("Waiting, cancelling, stock")
struct WaitTests {
    @Test("--wait returns when all groups have applied it, and names the one that lags")
    func wait() async throws {
        try await withShop { shop in
            let file = try shop.file("rows.ndjson", orders("o", 0..<2000))
            let postgres = try await shop.worker(.postgres)
            let stock = try await shop.worker(.stock)

            let applied = try await shop.run("submit", file, "--wait=postgres,stock")
            #expect(applied.status == .exited(0), "\(applied.errors)")
            #expect(try shop.postgres("SELECT count(*) FROM ledger") == ["2000"])
            let lagging = try await shop.run("submit", file, "--wait", "--timeout", "1s")
            #expect(lagging.status == .exited(75))
            #expect(
                lagging.errors.contains("delivery has not applied") && lagging.errors.contains("no worker serves it"),
                "\(lagging.errors)")

            let delivery = try await shop.worker(.delivery)
            let again = try await shop.run("submit", file, "--wait")
            #expect(again.status == .exited(0), "\(again.errors)")
            let jobs = try (0..<8).reduce(0) { sum, partition in
                sum
                    + Int(
                        try shop.redis("LLEN", "{\(shop.servers.namespace):\(partition)}:deliveries").requireInteger())
            }
            #expect(jobs == 2000)

            let one = try await shop.run(
                "submit", "--id", "single", "--shop", "main", "--customer", "c", "--line", "TEA:1",
                "--wait=postgres,stock")
            #expect(one.status == .exited(0))
            #expect(try shop.postgres("SELECT id FROM ledger WHERE id = 'single'") == ["single"])
            for worker in [postgres, stock, delivery] { await worker.stop() }
        }
    }

    @Test("waiting is not satisfied by a position: the ledger must hold this very change")
    func anotherChange() async throws {
        try await withShop { shop in
            #expect(try await shop.run("submit", try shop.file("one", [order("mine")])).status == .exited(0))
            let partition = try #require(try shop.entries().first?["partition"])
            _ = try shop.postgres(
                """
                INSERT INTO ledger (partition, seq, epoch, entry, digest, id, type, shop, lines, appended_at)
                VALUES (\(partition), 1, 1, '1-0', '', 'theirs', 'order.placed', 'main', 'TEA:1', now())
                """)
            _ = try shop.postgres("UPDATE partitions SET seq = 1 WHERE partition = \(partition)")
            let result = try await shop.run("submit", "one", "--wait=postgres")
            #expect(result.status == .exited(75))
            #expect(result.errors.contains("mine is not in the log any more"), "\(result.errors)")
        }
    }

    @Test("an entry that was set aside is told")
    func setAside() async throws {
        try await withShop { shop in
            #expect(try await shop.run("submit", try shop.file("one", [order("mine")])).status == .exited(0))
            let partition = try #require(try shop.entries().first?["partition"])
            _ = try shop.postgres(
                """
                INSERT INTO dead_letters (partition, epoch, entry, seq, id, shop, fields, reason, error)
                VALUES (\(partition), 1, '1-0', 1, 'mine', 'main', '', 'taken', 'by hand')
                """)
            let result = try await shop.run("submit", "one", "--wait=postgres")
            #expect(result.status == .exited(1))
            #expect(result.errors.contains("mine was set aside by postgres: taken"), "\(result.errors)")
        }
    }

    @Test("stock is counted, received, and shown from both stores")
    func stock() async throws {
        try await withShop { shop in
            let postgres = try await shop.worker(.postgres)
            let stock = try await shop.worker(.stock)
            let counted = try await shop.run(
                "stock", "count", "--shop", "main", "TEA:1200", "MUG:0", "--wait=postgres,stock")
            #expect(counted.status == .exited(0), "\(counted.errors)")
            #expect(counted.output.hasPrefix("stock.counted-"))
            for _ in 0..<2 {
                let received = try await shop.run(
                    "stock", "receive", "--shop", "main", "TEA:34", "--id", "note-1", "--wait=postgres,stock")
                #expect(received.status == .exited(0), "\(received.errors)")
            }
            let same = try await shop.run("stock", "show", "--shop", "main")
            #expect(same.status == .exited(0))
            #expect(same.output == "SKU  REDIS  POSTGRES\nMUG      0         0\nTEA  1 234     1 234\n")

            _ = try shop.postgres("UPDATE stock SET on_hand = 7 WHERE sku = 'TEA'")
            let differing = try await shop.run("stock", "show", "--shop", "main", "TEA")
            #expect(differing.output == "SKU  REDIS  POSTGRES\nTEA  1 234         7  ! differ\n")

            let json = try await shop.run("stock", "show", "--shop", "main", "TEA", "NONE", "--json")
            #expect(json.status == .exited(1))
            #expect(json.output.contains(#""schema":"onewrite/stock/v1","shop":"main""#))
            #expect(
                json.output.contains(
                    #"[{"differs":false,"postgres":null,"redis":null,"sku":"NONE"},{"differs":true,"postgres":7,"redis":1234,"sku":"TEA"}]"#
                ), "\(json.output)")
            await postgres.stop()
            await stock.stop()
        }
    }

    @Test("a count that names a SKU twice is refused by the command, in a file, and by every sink")
    func countedTwice() async throws {
        try await withShop { shop in
            let typed = try await shop.run("stock", "count", "--shop", "main", "TEA:40", "MUG:1", "TEA:41")
            #expect(typed.status == .exited(65))
            #expect(
                typed.errors
                    == "error: lines: TEA is there twice: a count says of each SKU once how many there are\n")
            let file = try shop.file(
                "counts.ndjson",
                [
                    #"{"type":"stock.counted","id":"n","shop":"main","lines":[{"sku":"TEA","quantity":40},{"sku":"TEA","quantity":41}]}"#
                ])
            let read = try await shop.run("submit", file)
            #expect(read.status == .exited(65) && read.output.contains("  line 1: lines: TEA is there twice: "))
            #expect(try shop.length() == 0)

            // As a producer of before would have appended it.
            let good = try await shop.run("stock", "count", "--shop", "main", "TEA:5")
            #expect(good.status == .exited(0))
            let partition = try #require(try shop.entries().first?["partition"])
            let tag = "{\(shop.servers.namespace):\(partition)}"
            try shop.redis("HINCRBY", "\(tag):head", "seq", "1")
            try shop.redis(
                "XADD", "\(tag):log", "*", "epoch", "1", "seq", "2", "type", "stock.counted", "id", "old", "shop",
                "main",
                "lines", "TEA:40 TEA:41")
            var workers: [ChildProcess] = []
            for group in Group.builtIn { workers.append(try await shop.worker(group)) }
            let after = try await shop.run("stock", "receive", "--shop", "main", "MUG:2", "--wait")
            #expect(after.status == .exited(0), "\(after.errors)")
            for worker in workers { await worker.stop() }
            let dead = try await shop.run("dead", "list", "--json", "--reason", "invalid")
            let letter = try #require(try Ran(dead).objects().first)
            #expect(letter.text("letter") == "\(partition):2")
            #expect(try letter.objects("groups").count == 3)
            let shown = try await shop.run("stock", "show", "--shop", "main", "TEA")
            #expect(shown.output == "SKU  REDIS  POSTGRES\nTEA      5         5\n")
        }
    }

    @Test("without Postgres nothing is said to differ, and waiting for it is refused at once")
    func withoutPostgres() async throws {
        try await withShop { shop in
            let shown = try await shop.shell(
                """
                unset DATABASE_URL
                $onewrite stock count --shop main TEA:5 --wait; echo $?
                $onewrite stock show --shop main --json
                """)
            #expect(shown.output.hasPrefix("78\n"), "\(shown.output)")
            #expect(shown.errors.contains("--wait: no Postgres is configured"))
            #expect(shown.output.contains(#""skus":[]"#))
            #expect(try shop.length() == 0)
        }
    }
}
