import Coordination
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Testing
import ThreadedIO

/// Each check by itself, where no other one would cover for it.
@Suite("What the sinks and the scripts refuse")
struct RefusalTests {
    /// A session with entries in hand, and a batch of them that nobody has applied.
    private func inHand(
        _ world: World, _ group: Group, count: Int = 3, name: String = "a"
    ) async throws -> (worker: TestSession, batch: Batch, permit: Permit) {
        let worker = try world.session(group, name)
        guard let history = try await worker.log.look(at: world.partition).history,
            case .fenced(let permit, let position) = try await worker.sink.fence(
                world.partition, under: history, owner: try #require(WorkerName(name)))
        else { throw StoreError(.redis, .refused, "the world's log is closed") }
        try world.append(count)
        var batch = Batch(permit, after: position)
        for entry in try await worker.read() {
            guard case .change(let change) = entry.content, let place = entry.place else { continue }
            batch.apply(change, of: entry, at: place)
        }
        return (worker, batch, permit)
    }

    @Test("a token that was raised since is refused although the position has not moved", arguments: Group.builtIn)
    func token(_ group: Group) async throws {
        try await withWorld { world in
            let zombie = try world.session(group, "zombie")
            try await zombie.takeOver()
            try world.append(3)
            let entries = try await zombie.read()
            let history = try #require(try await zombie.log.look(at: world.partition).history)
            _ = try await world.session(group, "owner").sink.fence(
                world.partition, under: history, owner: try #require(WorkerName("owner")))
            await #expect(throws: SessionStop.fenced(by: "owner")) { try await zombie.session.process(entries) }
            #expect(try world.position(group) == 0)
            #expect(try world.refused(group) == 1, "the attempt is counted")
            #expect(try world.pending(group) == 3)
        }
    }

    @Test("the same owner's older token is refused: a name may come back", arguments: Group.builtIn)
    func sameOwner(_ group: Group) async throws {
        try await withWorld { world in
            let (worker, batch, permit) = try await inHand(world, group)
            _ = try await worker.sink.fence(world.partition, under: permit.history, owner: permit.owner)
            #expect(try await worker.sink.apply(batch) == .fenced(by: "a"))
            #expect(try world.position(group) == 0)
            #expect(try world.refused(group) == 1)
        }
    }

    @Test("another owner's equal token is refused: tokens repeat when a store is restored", arguments: Group.builtIn)
    func sameToken(_ group: Group) async throws {
        try await withWorld { world in
            let (worker, batch, _) = try await inHand(world, group)
            if group == .postgres {
                try world.postgres.query("UPDATE partitions SET owner = 'b'", until: .after(.seconds(5)))
            } else {
                try world.call("HSET", world.keys.position(world.partition, group), "owner", "b")
            }
            #expect(try await worker.sink.apply(batch) == .fenced(by: "b"))
            #expect(try world.position(group) == 0)
            #expect(try world.refused(group) == 1)
        }
    }

    @Test("a batch applies once, and never behind a hole", arguments: Group.builtIn)
    func onceWithoutHoles(_ group: Group) async throws {
        try await withWorld { world in
            let (worker, batch, permit) = try await inHand(world, group)
            var later = Batch(permit, after: Position(epoch: permit.history.epoch, seq: Seq(1), entry: nil))
            for entry in batch.applied.dropFirst() {
                later.apply(
                    entry.change, of: Entry(id: entry.id, place: entry.place, content: .change(entry.change)),
                    at: entry.place)
            }
            #expect(try await worker.sink.apply(later) == .positionMoved(to: .none))
            #expect(try world.position(group) == 0)
            #expect(try await worker.sink.apply(batch) == .applied)
            #expect(try await worker.sink.apply(batch) == .positionMoved(to: Seq(3)))
            #expect(try world.refused(group) == 0, "only what the token refused is counted")
            if group != .stock { #expect(try world.applied(group).count == 3) }
            if group != .delivery {
                let onHand = try world.onHand()
                #expect((group == .stock ? onHand.redis : onHand.postgres) == "-3")
            }
        }
    }

    @Test("an epoch that was opened since is refused, whatever else is right", arguments: Group.builtIn)
    func epoch(_ group: Group) async throws {
        try await withWorld { world in
            let (worker, batch, _) = try await inHand(world, group)
            if group == .postgres {
                try world.postgres.query("UPDATE partitions SET epoch = epoch + 1", until: .after(.seconds(5)))
            } else {
                try world.call("HINCRBY", world.keys.head(world.partition), "epoch", "1")
            }
            #expect(try await worker.sink.apply(batch) == .historyChanged)
            #expect(try world.position(group) == 0)
        }
    }

    @Test("a Redis sink applies nothing that the head no longer counts", arguments: [Group.stock, .delivery])
    func lostTail(_ group: Group) async throws {
        try await withWorld { world in
            let (worker, batch, _) = try await inHand(world, group)
            try world.call("HSET", world.keys.head(world.partition), "seq", "2")
            #expect(try await worker.sink.apply(batch) == .historyChanged)
            #expect(try world.position(group) == 0)
        }
    }

    @Test("nothing is acknowledged under another history", arguments: Group.builtIn)
    func acknowledgeHistory(_ group: Group) async throws {
        try await withWorld { world in
            let (worker, batch, permit) = try await inHand(world, group)
            let entries = batch.placedIDs.map { Acknowledgement(seq: $0.seq, entry: $0.id) }
            if group != .postgres {
                // As after a crash between the effect and what the worker learns of it.
                try world.call("HSET", world.keys.position(world.partition, group), "seq", "3")
            }
            try world.closeLog()
            #expect(
                try await worker.log.acknowledge(
                    entries, under: permit, heeding: group == .postgres ? .nothing : .position) == false)
            #expect(try world.pending(group) == 3)
        }
    }

    @Test("a Redis sink acknowledges nothing above the position that it has", arguments: [Group.stock, .delivery])
    func acknowledgeBound(_ group: Group) async throws {
        try await withWorld { world in
            let (worker, batch, permit) = try await inHand(world, group)
            let entries = batch.placedIDs.map { Acknowledgement(seq: $0.seq, entry: $0.id) }
            try world.call("HSET", world.keys.position(world.partition, group), "seq", "1")
            #expect(try await worker.log.acknowledge(entries, under: permit, heeding: .position))
            #expect(try world.pending(group) == 2)
        }
    }

    @Test("a partition is not fenced under a history that is over", arguments: Group.builtIn)
    func fenceHistory(_ group: Group) async throws {
        try await withWorld { world in
            let worker = try world.session(group, "a")
            let history = try #require(try await worker.log.look(at: world.partition).history)
            let over = History(epoch: Epoch(history.epoch.number + 1), replid: history.replid)
            let owner = try #require(WorkerName("a"))
            #expect(try await worker.sink.fence(world.partition, under: over, owner: owner) == .historyChanged)
            if group == .postgres { return }
            try world.closeLog()
            #expect(try await worker.sink.fence(world.partition, under: history, owner: owner) == .historyChanged)
            #expect(try world.call("EXISTS", world.keys.position(world.partition, group)).integer == 0)
        }
    }

    @Test("of two who open, one reserves; and none opens what it did not see")
    func openingIsCompareAndSet() async throws {
        try await withWorld { world in
            try world.append(1)
            let worker = try world.session(.postgres, "a")
            let ledger = try #require(worker.sink as? any Ledger)
            let owner = try #require(WorkerName("a"))
            let row = try await ledger.row(of: world.partition)
            let look = try await worker.log.look(at: world.partition)
            func reserve() async throws -> Epoch? {
                try await ledger.reserve(
                    world.partition, row: row, headEpoch: look.head?.epoch, replid: look.replid, owner: owner)
            }
            let epoch = try #require(try await reserve())
            #expect(try await reserve() == nil, "the row is not the one that was read")

            func open(_ seen: LogLook) async throws -> OpenOutcome {
                try await worker.log.open(
                    world.partition, seen: seen, epoch: epoch, identity: world.identity, admitted: [], healing: [],
                    isLast: true)
            }
            let head = try #require(look.head)
            func seen(epoch: Epoch? = nil, seq: Seq? = nil, replid: String? = nil) -> LogLook {
                LogLook(
                    replid: replid ?? look.replid, isMaster: true,
                    head: Head(
                        epoch: epoch ?? head.epoch, seq: seq ?? head.seq, replid: head.replid,
                        partitions: head.partitions,
                        log: head.log))
            }
            #expect(try await open(seen(epoch: Epoch(9))) == .changed)
            #expect(try await open(seen(seq: Seq(9))) == .changed)
            #expect(try await open(seen(replid: String(repeating: "7", count: 40))) == .changed)
            #expect(try await worker.log.shut(world.partition, epoch: Epoch(9)) == false)
            #expect(try world.call("HGET", world.keys.head(world.partition), "epoch").string == "1")
            #expect(try await open(look) == .opened)
            #expect(try await ledger.confirm(world.partition, epoch: Epoch(9), entry: nil) == false)
        }
    }

    @Test("entries without a head are not opened as a new log")
    func orphaned() async throws {
        try await withWorld { world in
            try world.append(1)
            try world.call("DEL", world.keys.head(world.partition))
            let worker = try world.session(.postgres, "a")
            let look = try await worker.log.look(at: world.partition)
            let outcome = try await worker.log.open(
                world.partition, seen: look, epoch: Epoch(2), identity: world.identity, admitted: [], healing: [],
                isLast: true)
            #expect(outcome == .orphaned)
            #expect(try world.call("EXISTS", world.keys.head(world.partition)).integer == 0)
        }
    }

    @Test("a consumer with pending entries is not removed: they would be dropped with it")
    func removal() async throws {
        try await withWorld { world in
            try world.append(2)
            _ = try await world.session(.stock, "zombie").read()
            let worker = try world.session(.stock, "a")
            _ = try await worker.read()
            try await worker.log.removeIdleConsumers(from: world.partition)
            #expect(try world.pending(.stock) == 2)
        }
    }

    @Test("all pending entries are taken over, however many", arguments: Group.builtIn)
    func manyPending(_ group: Group) async throws {
        try await withWorld { world in
            let gone = try world.session(group, "gone")
            try await gone.takeOver()
            let changes = try (0..<500).map { try world.order("many-\($0)") }
            for from in [0, 250] { _ = try world.append(Array(changes[from..<from + 250])) }
            try world.append(100)
            _ = try await gone.read()
            #expect(try await world.session(group, "next").takeOver().applied == 600)
            #expect(try world.pending(group) == 0)
        }
    }

    @Test("a low seq that was added by hand behind the last entry does not hide it from an opening")
    func lowSeqByHand() async throws {
        try await withWorld { world in
            let worker = try world.session(.postgres, "a")
            try await worker.takeOver()
            try world.append(3)
            try await worker.work()
            try world.call(
                "XADD", world.keys.log(world.partition), "*", "epoch", "1", "seq", "1", "type", "order.placed", "id",
                "ord-0",
                "shop", World.shop, "customer", "c-1", "lines", "TEA:1")
            let byHand = try world.call("XREVRANGE", world.keys.log(world.partition), "+", "-", "COUNT", "1").elements
            try world.postgres.query(
                "INSERT INTO dead_letters (partition, epoch, entry, fields, reason, error) VALUES ($1, 1, $2, '', '', '')",
                [.integer(0), .text(try #require(byHand.first)[0].requireString())], until: .after(.seconds(5)))
            // As when the position's entry ID is of a lost history.
            try world.postgres.query("UPDATE partitions SET entry = '5-5'", until: .after(.seconds(5)))
            try world.closeLog()
            try await world.session(.postgres, "b").takeOver()
            let entry = try world.postgres.query("SELECT entry FROM partitions", until: .after(.seconds(5)))
            #expect(entry.first?.string(0) != "5-5", "read again from the log")
        }
    }

    @Test("a position's entry ID that names another entry by now is no start", arguments: [Group.stock, .delivery])
    func staleHint(_ group: Group) async throws {
        try await withWorld { world in
            let worker = try world.session(group, "a")
            try await worker.takeOver()
            try world.append(2)
            try await worker.work()
            try world.append(3)
            // As after a lost tail behind a clock that was set back: the ID lies above entries that were not applied.
            let last = try world.call("XREVRANGE", world.keys.log(world.partition), "+", "-", "COUNT", "1").elements
            let id = try #require(last.first)[0].requireString()
            try world.call("HSET", world.keys.position(world.partition, group), "entry", id)
            try world.call("XGROUP", "DESTROY", world.keys.log(world.partition), group.name)
            let next = try world.session(group, "b")
            try await next.takeOver()
            #expect(try await next.work().applied == 3)
        }
    }
}
