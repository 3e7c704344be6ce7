import Coordination
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Testing
import ThreadedIO

@Suite("A partition's session, in every sink")
struct SessionTests {
    @Test("applies new entries in log order, and acknowledges them", arguments: Group.builtIn)
    func appliesInOrder(_ group: Group) async throws {
        try await withWorld { world in
            let worker = try world.session(group, "a")
            try await worker.takeOver()
            let ids = try world.append(30)
            let progress = try await worker.work()
            #expect(progress.applied == 30)
            #expect(try world.position(group) == 30)
            #expect(try world.pending(group) == 0)
            if group != .stock { #expect(try world.applied(group) == ids) }
        }
    }

    @Test("takes over what a gone worker had read, and applies each entry once", arguments: Group.builtIn)
    func reclaims(_ group: Group) async throws {
        try await withWorld { world in
            let gone = try world.session(group, "gone")
            try await gone.takeOver()
            let ids = try world.append(25)
            _ = try await gone.session.process(try await gone.read(limit: 10))
            _ = try await gone.read(limit: 10)

            let next = try world.session(group, "next")
            let progress = try await next.takeOver()
            #expect(progress.reclaimed == 10)
            #expect(progress.applied == 10)
            #expect(try await next.work().applied == 5)
            #expect(try world.position(group) == 25)
            #expect(try world.pending(group) == 0)
            if group != .stock { #expect(try world.applied(group) == ids) }
            #expect(try world.consumers(group) == ["next"], "consumers without pending entries are removed")
        }
    }

    @Test("an old owner can't change the sink any more", arguments: Group.builtIn)
    func fenced(_ group: Group) async throws {
        try await withWorld { world in
            let zombie = try world.session(group, "zombie")
            try await zombie.takeOver()
            try world.append(5)
            let inHand = try await zombie.read()

            let owner = try world.session(group, "owner")
            try await owner.takeOver()
            await #expect(throws: SessionStop.fenced(by: "owner")) {
                try await zombie.session.process(inHand)
            }
            #expect(try world.position(group) == 5)
            if group != .stock { #expect(try world.applied(group).count == 5) }
            if group == .stock { #expect(try world.onHand().redis == "-5") }
        }
    }

    @Test(
        "entries that a zombie's read took are fetched from the log when a later one shows the gap",
        arguments: Group.builtIn)
    func fillsGap(_ group: Group) async throws {
        try await withWorld { world in
            let owner = try world.session(group, "owner")
            try await owner.takeOver()
            var ids = try world.append(3)
            _ = try await world.session(group, "zombie").read()
            ids += try world.append(2)
            #expect(try await owner.work().applied == 5)
            #expect(try world.position(group) == 5)
            #expect(try world.pending(group) == 0)
            if group != .stock { #expect(try world.applied(group) == ids) }
        }
    }

    @Test(
        "the log's last entries are found by a look at the head when a zombie's read took them",
        arguments: Group.builtIn)
    func looksAtHead(_ group: Group) async throws {
        try await withWorld { world in
            let owner = try world.session(group, "owner")
            try await owner.takeOver()
            try world.append(3)
            _ = try await world.session(group, "zombie").read()
            #expect(try await owner.work().applied == 0)
            #expect(try await owner.session.look(foundNothing: true).isBehind)
            #expect(try await owner.work().applied == 0)
            #expect(try await owner.session.look(foundNothing: true).applied == 3)
            #expect(try world.position(group) == 3)
            #expect(try world.pending(group) == 0)
        }
    }

    @Test("entries added by hand are set aside, and the rest goes on", arguments: Group.builtIn)
    func addedByHand(_ group: Group) async throws {
        try await withWorld { world in
            let worker = try world.session(group, "a")
            try await worker.takeOver()
            try world.append(2)
            try world.call("XADD", world.keys.log(world.partition), "*", "colour", "red")
            try world.call(
                "XADD", world.keys.log(world.partition), "*", "epoch", "1", "seq", "99", "type", "order.placed", "id",
                "x",
                "shop", World.shop, "customer", "c", "lines", "TEA:1")
            try world.append(2)
            let progress = try await worker.work()
            #expect(progress.applied == 4)
            #expect(progress.quarantined == 2)
            #expect(try world.position(group) == 4)
            #expect(try world.pending(group) == 0)
            #expect(try world.deadLetters(group).map(\.reason) == ["added-by-hand", "added-by-hand"])
        }
    }

    @Test(
        "an entry by hand that claims a later place is told apart when the real ones come behind it",
        arguments: Group.builtIn)
    func outOfPlace(_ group: Group) async throws {
        try await withWorld { world in
            let worker = try world.session(group, "a")
            try await worker.takeOver()
            try world.append(2)
            try world.call(
                "XADD", world.keys.log(world.partition), "*", "epoch", "1", "seq", "4", "type", "order.placed", "id",
                "x",
                "shop", World.shop, "customer", "c", "lines", "TEA:1")
            try world.append(3)
            #expect(try await worker.work().applied == 5)
            #expect(try world.position(group) == 5)
            #expect(try world.deadLetters(group).map(\.reason) == ["added-by-hand"])
        }
    }

    @Test("an entry outside the limits is set aside in the step that advances the position", arguments: Group.builtIn)
    func invalidContent(_ group: Group) async throws {
        try await withWorld { world in
            let worker = try world.session(group, "a")
            try await worker.takeOver()
            try world.append(1)
            // By hand, but with the place that the head gives: as a producer would that doesn't check.
            try world.call("HSET", world.keys.head(world.partition), "seq", "2")
            try world.call(
                "XADD", world.keys.log(world.partition), "*", "epoch", "1", "seq", "2", "type", "order.placed", "id",
                "bad",
                "shop", World.shop, "customer", "c", "lines", "TEA:0")
            try world.append(1)
            let progress = try await worker.work()
            #expect(progress.applied == 2)
            #expect(progress.quarantined == 1)
            #expect(try world.position(group) == 3)
            let letters = try world.deadLetters(group)
            #expect(letters.map(\.reason) == ["invalid"])
            #expect(letters.first?.error == "quantity: expected a whole number from 1 to 1 000 000, got \"0\"")
        }
    }

    @Test("a group that vanished is made again at the position", arguments: Group.builtIn)
    func groupVanished(_ group: Group) async throws {
        try await withWorld { world in
            let before = try world.session(group, "a")
            try await before.takeOver()
            let ids = try world.append(4)
            try await before.work()
            try world.call("XGROUP", "DESTROY", world.keys.log(world.partition), group.name)
            let more = try world.append(3)
            let after = try world.session(group, "b")
            try await after.takeOver()
            let entries = try await after.read()
            #expect(entries.count == 3, "delivery goes on behind the position, not from the log's beginning")
            #expect(try await after.session.process(entries).applied == 3)
            if group != .stock { #expect(try world.applied(group) == ids + more) }
        }
    }

    @Test("entries that were trimmed before they were applied halt the partition", arguments: Group.builtIn)
    func trimmed(_ group: Group) async throws {
        try await withWorld { world in
            let worker = try world.session(group, "a")
            try await worker.takeOver()
            try world.append(6)
            try world.call("XTRIM", world.keys.log(world.partition), "MAXLEN", "=", "3")
            await #expect {
                try await worker.work()
            } throws: { error in
                guard case SessionStop.halt(let reason) = error else { return false }
                return reason.contains("lacks seq 1 to 3")
            }
            #expect(try world.position(group) == 0, "nothing behind the hole is applied")
        }
    }

    @Test("nothing is applied once the lease may have run out", arguments: Group.builtIn)
    func leaseUncertain(_ group: Group) async throws {
        try await withWorld { world in
            let old = Lease(term: LeaseTerm(duration: .seconds(10)), sent: .now - .seconds(9))
            let worker = try world.session(group, "a", lease: old)
            try await worker.takeOver()
            try world.append(1)
            await #expect(throws: SessionStop.leaseUncertain) { try await worker.work() }
            #expect(try world.position(group) == 0)
            #expect(try world.pending(group) == 1)
        }
    }

    @Test("a session of an old history neither applies nor acknowledges", arguments: Group.builtIn)
    func historyChanged(_ group: Group) async throws {
        try await withWorld { world in
            let worker = try world.session(group, "a")
            try await worker.takeOver()
            try world.append(2)
            let inHand = try await worker.read()
            try world.closeLog()
            if group == .postgres {
                // Postgres learns of it by the reservation of the next opening.
                try await world.session(.postgres, "opener").takeOver()
            }
            await #expect {
                try await worker.session.process(inHand)
            } throws: { error in
                guard let stop = error as? SessionStop else { return false }
                return stop == .historyChanged
            }
            if group != .postgres { #expect(try world.position(group) == 0) }
        }
    }
}
