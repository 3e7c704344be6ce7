import Foundation
import OrderLog
import PrivateServers
import TestSupport
import Testing

@Suite("Durability fsync")
struct FsyncTests {
    @Test(
        "a server that can't be asked must sync before each answer, and let us see that it does",
        .disabled("the server knows WAITAOF") { try await RedisProgram.current().knowsWAITAOF })
    func older() async throws {
        try await withReplicas(0) { world in
            let shop = world.shop
            func refusal() async throws -> String {
                let result = try await shop.submit("one", "--durability", "fsync")
                #expect(result.status == .exited(78), "\(result.errors)")
                return result.errors
            }
            #expect(try await refusal().contains("its appendfsync is everysec. Set appendonly yes, appendfsync always"))
            try shop.redis("CONFIG", "SET", "appendfsync", "always")
            try shop.redis("CONFIG", "SET", "no-appendfsync-on-rewrite", "yes")
            #expect(try await refusal().contains("its no-appendfsync-on-rewrite is yes"))
            try shop.redis("CONFIG", "SET", "no-appendfsync-on-rewrite", "no")
            try shop.redis("ACL", "SETUSER", "default", "-config")
            #expect(try await refusal().contains("its settings may not be read"))
            try shop.redis("ACL", "SETUSER", "default", "+@all")
            #expect(try shop.length() == 0)

            let accepted = try await shop.submit("one", "--durability", "fsync")
            #expect(accepted.output.hasSuffix("  fsync\n"), "\(accepted.errors)")
            // Somebody changes the setting while orders come in.
            let process = try await shop.startSubmit(
                "two", "--durability fsync --json --timeout 3s", fault: "beforeSend:stop:1")
            try await eventually("it is about to append") { shop.has("fault: ", in: "errors") }
            try shop.redis("CONFIG", "SET", "appendfsync", "everysec")
            try await eventually("it goes on") {
                process.send(SIGCONT)
                return !process.isRunning
            }
            #expect(try await process.exit(within: .seconds(30)) == .exited(78))
            #expect(try ReceiptLine.all(try shop.lines("out").joined()).map(\.outcome) == ["unknown"])
        }
    }

    @Test(
        "a newer server says when its disk has it",
        .enabled("ONEWRITE_TEST_REDIS names a server of 7.2 or newer") {
            try await RedisProgram.current().knowsWAITAOF
        })
    func newerServer() async throws {
        try await withReplicas(0) { world in
            let shop = world.shop
            let file = try shop.file("rows.ndjson", orders("o", 0..<20_000))
            let accepted = try await shop.run("submit", file, "--json", "--durability", "fsync")
            #expect(accepted.status == .exited(0), "\(accepted.errors)")
            let receipts = try ReceiptLine.all(accepted.output)
            #expect(receipts.count == 20_000 && receipts.allSatisfy { $0.outcome == "accepted" })
            let (appends, waits) = try await (world.calls(of: "evalsha"), world.calls(of: "waitaof"))
            #expect(waits > 0 && waits <= appends, "\(appends) appends, \(waits) waits")

            // With appendfsync no, only the kernel decides when.
            try shop.redis("CONFIG", "SET", "appendfsync", "no")
            let unknown = try await shop.submit("late", "--durability", "fsync", "--timeout", "2s")
            #expect(unknown.status == .exited(75))
            #expect(unknown.errors.contains("Redis has not synced it to its disk yet"), "\(unknown.errors)")

            try shop.redis("CONFIG", "SET", "appendonly", "no")
            let refused = try await shop.submit("never", "--durability", "fsync")
            #expect(refused.status == .exited(78))
            #expect(refused.errors.contains("keeps no append-only file"), "\(refused.errors)")
        }
        try await withReplicas(1) { world in
            try await ReplicasTests.stoppedReplica(world)
            try await ReplicasTests.lostConnection(world)
        }
    }
}
