import Foundation
import OrderLog
import PrivateServers
import RedisClient
import TestSupport
import Testing

@Suite("Durability applied")
struct AppliedTests {
    @Test("accepted means that Postgres has it; without a worker it is unknown")
    func applied() async throws {
        try await withShop { shop in
            let unknown = try await shop.submit("one", "--durability", "applied", "--timeout", "2s")
            #expect(unknown.status == .exited(75))
            #expect(unknown.output.isEmpty)
            #expect(
                unknown.errors.contains("appended, but Postgres has not applied partition")
                    && unknown.errors.contains("it is at seq 0"), "\(unknown.errors)")

            let worker = try await shop.worker(.postgres)
            let file = try shop.file("rows.ndjson", orders("o", 0..<20_000))
            let accepted = try await shop.run("submit", file, "--json", "--durability", "applied")
            #expect(try shop.postgres("SELECT count(*) FROM ledger") == ["20001"])
            #expect(accepted.status == .exited(0), "\(accepted.errors)")
            let receipts = try ReceiptLine.all(accepted.output)
            #expect(receipts.count == 20_000 && receipts.allSatisfy { $0.outcome == "accepted" })
            let duplicate = try await shop.submit("one", "--durability", "applied")
            #expect(duplicate.output.contains("  duplicate  ") && duplicate.output.hasSuffix("  applied\n"))
            await worker.stop()
        }
    }

    @Test("what was set aside is accounted for")
    func setAside() async throws {
        try await withShop { shop in
            #expect(try await shop.submit("mine").status == .exited(0))
            let partition = try #require(try shop.entries().first?["partition"])
            _ = try shop.postgres(
                """
                INSERT INTO dead_letters (partition, epoch, entry, seq, id, shop, fields, reason, error)
                VALUES (\(partition), 1, '1-0', 1, 'mine', 'main', '', 'taken', 'by hand')
                """)
            _ = try shop.postgres("UPDATE partitions SET seq = 1 WHERE partition = \(partition)")
            let result = try await shop.submit("mine", "--durability", "applied", "--timeout", "1s")
            #expect(result.status == .exited(0), "\(result.errors)")
        }
    }

    @Test("another change at the place is no proof: the change is submitted again, and applied behind it")
    func anotherHistory() async throws {
        try await withReplicas(1) { world in
            let (shop, replica) = (world.shop, world.replicas[0])
            // The replica is cut off before the order comes, so that its log ends where the order's place is.
            let connection = try RedisConnection(
                connectingTo: try RedisConfiguration(url: replica.url), until: .soon, interrupt: nil)
            try connection.call(RedisCommand("REPLICAOF", "NO", "ONE"), until: .soon)
            let process = try await shop.startSubmit("x", "--durability applied --json")
            try await eventually("x is in the log") { try shop.ids() == ["x"] }
            process.send(SIGSTOP)

            // The address leads to what the replica has: the tail is lost, and the connections stay up.
            try await world.rollBack(to: replica)
            #expect(try shop.ids().isEmpty)
            let worker = try await shop.worker(.postgres)
            let other = try await shop.submit("y", "--wait=postgres")
            #expect(other.status == .exited(0), "\(other.errors)")
            #expect(try shop.postgres("SELECT seq || ' ' || id FROM ledger") == ["1 y"])

            process.send(SIGCONT)
            #expect(try await process.exit(within: .seconds(30)) == .exited(0))
            let receipt = try #require(try ReceiptLine.all(try shop.lines("out").joined()).first)
            #expect(receipt.seq == 2 && receipt.outcome == "accepted")
            #expect(try shop.postgres("SELECT seq || ' ' || id FROM ledger ORDER BY seq") == ["1 y", "2 x"])
            await worker.stop()
        }
    }

    @Test("the level comes from the environment too, and one that makes no sense or can't be had is refused")
    func settings() async throws {
        try await withShop { shop in
            let shown = try await shop.shell(
                """
                export ONEWRITE_DURABILITY=replicas=2
                $onewrite config | grep durability
                $onewrite stock count --shop main TEA:5 --timeout 200ms; echo $?
                $onewrite stock count --shop main TEA:5 --durability server; echo $?
                unset DATABASE_URL
                $onewrite stock count --shop main TEA:5 --durability applied; echo $?
                for level in replicas=0 replicas= 2 disk; do $onewrite submit f --durability $level; echo $?; done
                """)
            let lines = shown.output.split(separator: "\n")
            #expect(lines.first?.contains(#/^durability +replicas=2 /#) == true, "\(shown.output)")
            #expect(lines.filter { Int($0) != nil } == ["75", "0", "78", "78", "78", "78", "78"], "\(shown.output)")
            #expect(shown.errors.contains("--durability applied: no Postgres is configured"), "\(shown.errors)")
            #expect(shown.errors.contains("durability (from flag): expected server, fsync, replicas=N"))
        }
    }
}
