import Foundation
import OrderLog
import PrivateServers
import TestSupport
import Testing

@Suite("Durability replicas=N")
struct ReplicasTests {
    @Test("accepted means that the replicas have it; a stopped one makes it unknown, also for a duplicate")
    func replica() async throws {
        try await withReplicas(1) { try await Self.stoppedReplica($0) }
    }

    /// Runs on the newer server too.
    static func stoppedReplica(_ world: Replicated) async throws {
        let shop = world.shop
        let accepted = try await shop.submit("one", "--durability", "replicas=1")
        #expect(accepted.status == .exited(0), "\(accepted.errors)")
        #expect(accepted.output.hasPrefix("one  accepted  ") && accepted.output.hasSuffix("  replicas=1\n"))

        world.replicas[0].pause()
        let unknown = try await shop.submit("two", "--durability", "replicas=1", "--timeout", "2s", "--json")
        #expect(unknown.status == .exited(75))
        let receipt = try #require(try ReceiptLine.all(unknown.output).first)
        #expect(receipt.outcome == "unknown" && receipt.seq == nil)
        #expect(receipt.error == "appended, but 0 of 1 replica acknowledged it")
        // A connection that has appended nothing yet: the order is in the log, and still not on the replica.
        let duplicate = try await shop.submit("two", "--durability", "replicas=1", "--timeout", "2s")
        #expect(duplicate.status == .exited(75))
        #expect(duplicate.output.isEmpty)
        #expect(
            duplicate.errors.contains("two may be in the log or not (appended, but 0 of 1 replica acknowledged it)"),
            "\(duplicate.errors)")
        #expect(try await shop.submit("two").output.hasPrefix("two  duplicate  "))

        world.replicas[0].resume()
        let again = try await shop.submit("two", "--durability", "replicas=1", "--json")
        #expect(again.status == .exited(0), "\(again.errors)")
        #expect(
            again.output.contains(#""outcome":"duplicate""#) && again.output.contains(#""durability":"replicas=1""#))
        #expect(try shop.ids() == ["one", "two"])
    }

    @Test("fewer replicas than asked for: unknown after the time, and told how many have it")
    func tooFew() async throws {
        try await withReplicas(1) { world in
            let file = try world.shop.file("rows.ndjson", orders("o", 0..<100))
            let result = try await world.shop.run(
                "submit", file, "--json", "--durability", "replicas=2", "--timeout", "2s")
            #expect(result.status == .exited(75))
            let receipts = try ReceiptLine.all(result.output)
            #expect(receipts.count == 100 && receipts.allSatisfy { $0.outcome == "unknown" })
            #expect(result.errors.contains("gave up: 1 of 2 replicas acknowledged it"), "\(result.errors)")
        }
    }

    @Test("a file is waited for by the batch, not by the order")
    func throughput() async throws {
        try await withReplicas(1) { world in
            let file = try world.shop.file("rows.ndjson", orders("o", 0..<20_000))
            let before = try await (appends: world.calls(of: "evalsha"), waits: world.calls(of: "wait"))
            let result = try await world.shop.run("submit", file, "--json", "--durability", "replicas=1")
            #expect(result.status == .exited(0), "\(result.errors)")
            let receipts = try ReceiptLine.all(result.output)
            #expect(receipts.map(\.id) == (0..<20_000).map { "o-\($0)" })
            #expect(receipts.allSatisfy { $0.outcome == "accepted" })
            let appends = try await world.calls(of: "evalsha") - before.appends
            let waits = try await world.calls(of: "wait") - before.waits
            #expect(waits >= 1 && waits <= appends && appends < 200, "\(appends) appends, \(waits) waits")
        }
    }

    @Test("after a lost connection the append is sent again: the new one alone would prove nothing")
    func reconnected() async throws {
        try await withReplicas(1) { try await Self.lostConnection($0) }
    }

    /// Runs on the newer server too, where WAIT on a new connection is satisfied at once.
    static func lostConnection(_ world: Replicated) async throws {
        world.replicas[0].pause()
        let process = try await world.shop.startSubmit("a", "--durability replicas=1 --timeout 4s")
        try await eventually("it waits") { world.shop.has("0 of 1 replica", in: "errors") }
        try await world.cutClients()
        #expect(try await process.exit(within: .seconds(30)) == .exited(75))
        #expect(try world.shop.lines("out").isEmpty)
        #expect(world.shop.has("lost the connection", in: "errors"))

        let second = try await world.shop.startSubmit("b", "--durability replicas=1")
        try await eventually("it waits") { world.shop.has("0 of 1 replica", in: "errors") }
        try await world.cutClients()
        try await eventually("it lost its connection") { world.shop.has("lost the connection", in: "errors") }
        world.replicas[0].resume()
        #expect(try await second.exit(within: .seconds(30)) == .exited(0))
        // It was sent again, and found.
        #expect(try world.shop.lines("out").first?.contains("  duplicate  ") == true)
    }

    @Test("a master that was a replica between append and WAIT can't confirm it: sent again when the log is open")
    func roles() async throws {
        try await withReplicas(1) { world in
            let process = try await world.shop.startSubmit(
                "one", "--durability replicas=1 --timeout 20s", fault: "afterSend:stop:1")
            try await eventually("it is in the log, and nothing was asked yet") { try world.shop.length() == 1 }
            try await world.swapRoles()
            try await eventually("the replica follows again") { try world.onlineReplicas() == 1 }
            try await eventually("it goes on, and asks") {
                process.send(SIGCONT)
                return world.shop.has("changed its role or history", in: "errors")
            }
            try await eventually("the log is closed") { world.shop.has("the log is closed", in: "errors") }
            #expect(process.isRunning)
            let worker = try await world.shop.worker(.postgres)
            #expect(try await process.exit(within: .seconds(30)) == .exited(0))
            #expect(try world.shop.lines("out").first?.contains("  duplicate  ") == true)
            #expect(try world.shop.ids() == ["one"])
            await worker.stop()
        }
    }

    @Test("a master that became a replica while it was waited for: unknown, never accepted")
    func demoted() async throws {
        try await withReplicas(1) { world in
            world.replicas[0].pause()
            let process = try await world.shop.startSubmit("one", "--durability replicas=1 --timeout 3s")
            try await eventually("it waits") { world.shop.has("0 of 1 replica", in: "errors") }
            try world.shop.redis("REPLICAOF", "127.0.0.1", "1")
            #expect(try await process.exit(within: .seconds(30)) == .exited(75))
            #expect(try world.shop.lines("out").isEmpty)
            #expect(world.shop.has("one may be in the log or not", in: "errors"))
        }
    }

    @Test("a master that wants replicas refuses: tried again, then told; nothing is in the log")
    func refusing() async throws {
        try await withReplicas(0) { world in
            try world.shop.redis("CONFIG", "SET", "min-replicas-to-write", "1")
            let refused = try await world.shop.submit("one", "--durability", "replicas=1", "--timeout", "2s")
            #expect(refused.status == .exited(75))
            #expect(
                refused.errors.contains("one is not in the log") && refused.errors.contains("NOREPLICAS"),
                "\(refused.errors)")
            #expect(try world.shop.length() == 0)

            let process = try await world.shop.startSubmit("one", "")
            try await eventually("it tries again") { world.shop.has("NOREPLICAS", in: "errors") }
            try world.shop.redis("CONFIG", "SET", "min-replicas-to-write", "0")
            #expect(try await process.exit(within: .seconds(30)) == .exited(0))
            #expect(try world.shop.ids() == ["one"])
        }
    }
}
