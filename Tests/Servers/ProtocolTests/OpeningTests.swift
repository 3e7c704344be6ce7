import Coordination
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import TestSupport
import Testing
import ThreadedIO

extension World {
    /// Makes the log look as after a restart of Redis: the head was opened under another replid.
    func closeLog() throws {
        try call("HSET", keys.head(partition), "replid", String(repeating: "0", count: 40))
    }
}

@Suite("Opening a log whose server was restarted")
struct OpeningTests {
    @Test("append refuses a closed log, and workers of the sinks in Redis wait")
    func closed() async throws {
        try await withWorld { world in
            try world.closeLog()
            #expect(try world.append([world.order("x")]) == .closed)
            guard case .waiting(let reason) = try await world.session(.stock, "a").session.takeOver() else {
                Issue.record("took a closed log over")
                return
            }
            #expect(reason.contains("closed"))
        }
    }

    @Test("a worker of group postgres opens it under a new epoch, and the order of seqs goes on")
    func opens() async throws {
        try await withWorld { world in
            try world.append(2)
            let before = try world.session(.postgres, "a")
            try await before.takeOver()
            try await before.work()
            try world.closeLog()
            let after = try world.session(.postgres, "b")
            try await after.takeOver()
            try world.append(2)
            try await after.work()
            #expect(try world.ledger().count == 4)
            #expect(try world.call("HGET", world.keys.head(world.partition), "epoch").string == "2")
            let stock = try world.session(.stock, "s")
            try await stock.takeOver()
            try await stock.work()
            #expect(try world.onHand() == ("-4", "-4"))
        }
    }

    @Test("a log with another change than the ledger at the same place halts the partition and names both")
    func forked() async throws {
        try await withWorld { world in
            let worker = try world.session(.postgres, "a")
            try await worker.takeOver()
            try world.append(3)
            try await worker.work()
            try world.loseTail(keeping: 2)
            try world.call("HSET", world.keys.head(world.partition), "seq", "3")
            try world.call(
                "XADD", world.keys.log(world.partition), "*", "epoch", "1", "seq", "3", "type", "order.placed", "id",
                "other",
                "shop", World.shop, "customer", "c", "lines", "TEA:1")
            await #expect {
                try await world.session(.postgres, "b").takeOver()
            } throws: { error in
                guard case SessionStop.halt(let reason) = error else { return false }
                return reason.contains("forked") && reason.contains("other") && reason.contains("ord-2")
            }
        }
    }

    @Test("a duplicate that names another change than the ledger's halts the partition")
    func duplicateForked() async throws {
        try await withWorld { world in
            let worker = try world.session(.postgres, "a")
            try await worker.takeOver()
            try world.append(2)
            try await worker.work()
            try world.call(
                "XADD", world.keys.log(world.partition), "*", "epoch", "1", "seq", "2", "type", "order.placed", "id",
                "other",
                "shop", World.shop, "customer", "c", "lines", "TEA:1")
            await #expect {
                try await worker.work()
            } throws: { error in
                guard case SessionStop.halt(let reason) = error else { return false }
                return reason.contains("forked") && reason.contains("other")
            }
        }
    }

    @Test("an opening that crashed behind the reservation is taken up by the next")
    func crashedOpening() async throws {
        try await withWorld { world in
            try world.append(1)
            let worker = try world.session(.postgres, "a")
            let ledger = try #require(worker.sink as? any Ledger)
            let row = try await ledger.row(of: world.partition)
            let look = try await worker.log.look(at: world.partition)
            let owner = try #require(WorkerName("crashed"))
            let epoch = try await ledger.reserve(
                world.partition, row: row, headEpoch: look.head?.epoch, replid: look.replid, owner: owner)
            #expect(epoch == Epoch(2))
            try await worker.takeOver()
            #expect(try await worker.work().applied == 1)
            #expect(try world.call("HGET", world.keys.head(world.partition), "epoch").string == "3")
        }
    }

    @Test("a server whose log was opened elsewhere since is left alone")
    func superseded() async throws {
        try await withWorld { world in
            let replid = String(repeating: "9", count: 40)
            try world.postgres.query(
                "UPDATE partitions SET epoch = 7, replid = $1", [.text(replid)], until: .after(.seconds(5)))
            await #expect {
                try await world.session(.postgres, "a").takeOver()
            } throws: { error in
                guard case SessionStop.halt(let reason) = error else { return false }
                return reason.contains("superseded")
            }
            #expect(try world.call("HGET", world.keys.head(world.partition), "epoch").string == "1")
        }
    }

    @Test("a log that is gone although Postgres has a ledger is not created anew")
    func lostEverything() async throws {
        try await withWorld { world in
            let worker = try world.session(.postgres, "a")
            try await worker.takeOver()
            try world.append(2)
            try await worker.work()
            try world.call("DEL", world.keys.head(world.partition), world.keys.log(world.partition))
            #expect(try world.append([world.order("x")]) == .noLog)
            await #expect {
                try await world.session(.postgres, "b").takeOver()
            } throws: { error in
                guard case SessionStop.halt(let reason) = error else { return false }
                return reason.contains("not created anew")
            }
            #expect(try world.call("EXISTS", world.keys.head(world.partition)).integer == 0)
        }
    }
}

extension World {
    /// Cuts the log as a restart from a cut AOF would: entries, head, window and history.
    func loseTail(keeping count: Int) throws {
        let entries = try call("XRANGE", keys.log(partition), "-", "+").elements
        for entry in entries.dropFirst(count) {
            try call("XDEL", keys.log(partition), entry[0].requireString())
            let fields = entry[1].elements.compactMap(\.string)
            if let id = fields.firstIndex(of: "id").map({ fields[$0 + 1] }) {
                try window.forget("\(World.shop) \(id)")
            }
        }
        try call("HSET", keys.head(partition), "seq", String(count))
        try closeLog()
    }
}
