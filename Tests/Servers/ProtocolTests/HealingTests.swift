import Coordination
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Testing
import ThreadedIO

@Suite("Healing a log that lost its tail")
struct HealingTests {
    @Test("what Postgres has is put back with place, ID and bytes, and the next change comes behind it")
    func heals() async throws {
        try await withWorld { world in
            let worker = try world.session(.postgres, "a")
            try await worker.takeOver()
            let attributes = #"{"b":1,  "a":[2],"b":3}"#
            _ = try world.append([
                try Change(
                    ChangeDraft(
                        id: "odd", shop: World.shop, customer: "c", lines: .items([(sku: "TEA", quantity: "1")]),
                        attributes: attributes))
            ])
            try world.append(4)
            try await worker.work()
            let before = try world.fields()
            try world.loseTail(keeping: 0)

            let next = try world.session(.postgres, "b")
            #expect(try await next.takeOver().healed == 5)
            #expect(try world.fields() == before)
            #expect(try world.fields()[0].contains(attributes))
            #expect(try world.epochs() == Array(repeating: "2", count: 5))
            let ids = try world.append(1)
            try await next.work()
            #expect(try world.ledger() == ["odd", "ord-0", "ord-1", "ord-2", "ord-3"] + ids)
        }
    }

    @Test("a retry of what was lost finds its old place; a changed payload is still a conflict")
    func window() async throws {
        try await withWorld { world in
            let worker = try world.session(.postgres, "a")
            try await worker.takeOver()
            try world.append(3)
            try await worker.work()
            try world.loseTail(keeping: 1)
            try await world.session(.postgres, "b").takeOver()
            guard
                case .appended(_, let results) = try world.append([
                    try world.order("ord-2"), try world.order("ord-1", quantity: 9),
                ])
            else {
                Issue.record("the log is not open")
                return
            }
            #expect(results.map(\.outcome) == [.duplicate, .conflict])
            #expect(results.map(\.seq) == [Seq(3), Seq(2)])
        }
    }

    @Test("the sinks in Redis, which went back with the log, apply the healed entries")
    func sinksInRedis() async throws {
        try await withWorld { world in
            let worker = try world.session(.postgres, "a")
            let delivery = try world.session(.delivery, "d")
            try await worker.takeOver()
            try await delivery.takeOver()
            try world.append(2)
            try await delivery.work()
            try world.append(3)
            try await worker.work()
            try world.loseTail(keeping: 2)
            try await world.session(.postgres, "b").takeOver()
            let next = try world.session(.delivery, "e")
            try await next.takeOver()
            try world.append(1)
            try await next.work()
            #expect(try world.deliveries() == (0...5).map { "ord-\($0)" })
        }
    }

    @Test("dead letters are put back too, since they have places")
    func deadLetters() async throws {
        try await withWorld { world in
            let worker = try world.session(.postgres, "a")
            try await worker.takeOver()
            try world.append(1)
            try world.appendUnusable(seq: 2)
            try world.append(1)
            try await worker.work()
            #expect(try world.deadLetters(.postgres).count == 1)
            let before = try world.fields()
            try world.loseTail(keeping: 0)
            #expect(try await world.session(.postgres, "b").takeOver().healed == 3)
            #expect(try world.fields() == before)
            let rows = try world.postgres.query("SELECT epoch FROM dead_letters", until: .after(.seconds(5)))
            #expect(rows.map { $0.int64(0) } == [2])
        }
    }

    @Test(
        "a digest that is none, in a damaged ledger, doesn't keep the log shut", arguments: [LogFormat.trimmed, .names])
    func damagedDigest(format: LogFormat) async throws {
        try await withWorld { world in
            let worker = try world.session(.postgres, "a")
            try await worker.takeOver()
            let identity = LogIdentity(
                partitioning: world.identity.partitioning, log: world.identity.log, format: format)
            func append() throws -> [Appender.Result.Outcome] {
                let appender = Appender(world.redis, keys: world.keys, identity: identity, window: .seconds(3600))
                let reply = try appender.append(
                    [try world.order("a")], to: world.partition, until: .after(.seconds(5)))
                guard case .appended(_, let results) = reply else { return [] }
                return results.map(\.outcome)
            }
            #expect(try append() == [.accepted])
            try await worker.work()
            _ = try world.postgres.query("UPDATE ledger SET digest = 'x'", until: .after(.seconds(5)))
            try world.loseTail(keeping: 0)
            #expect(try await world.session(.postgres, "b").takeOver().healed == 1)
            #expect(try append() == [.conflict])
        }
    }

    @Test("the ledger knows where healed entries lie, whichever opening put them back", arguments: [1, 700])
    func confirmed(count: Int) async throws {
        try await withWorld { world in
            let worker = try world.session(.postgres, "a")
            try await worker.takeOver()
            try world.append(3)
            for index in 0..<count { _ = try world.append([try world.order("many-\(index)")]) }
            try await worker.work()
            try world.loseTail(keeping: 2)
            // An opening that died behind open.lua: the entries are back, and the ledger has their lost places.
            let ledger = try #require(worker.sink as? any Ledger)
            let row = try await ledger.row(of: world.partition)
            let look = try await worker.log.look(at: world.partition)
            let crashed = try #require(WorkerName("crashed"))
            let reserved = try await ledger.reserve(
                world.partition, row: row, headEpoch: look.head?.epoch, replid: look.replid, owner: crashed)
            let epoch = try #require(reserved)
            let lost = try await ledger.entries(in: world.partition, after: Seq(2), limit: 400)
            #expect(lost.count == min(count + 1, 400))
            let outcome = try await worker.log.open(
                world.partition, seen: look, epoch: epoch, identity: world.identity, admitted: [], healing: lost,
                isLast: false)
            #expect(outcome == .opened)
            #expect(try world.append([try world.order("x")]) == .closed, "it is open with the last chunk only")

            let next = try world.session(.postgres, "b")
            #expect(try await next.takeOver().healed == count + 1 - lost.count)
            #expect(try world.locationsInLog() == world.locationsInLedger())
            #expect(try world.locationsInLog().count == count + 3)
            let entry = try world.postgres.query("SELECT entry FROM partitions", until: .after(.seconds(5)))
            #expect(entry.first?.string(0) == (try world.locationsInLog().last?.entry))
        }
    }

    @Test("a server that others say was replaced is not opened, by force neither: nothing is reserved, connect again")
    func replaced() async throws {
        try await withWorld { world in
            let worker = try world.session(.postgres, "a")
            let ledger = try #require(worker.sink as? any Ledger)
            let opener = LogOpener(
                log: ReplacedLog(worker.log), ledger: ledger, identity: world.identity, owner: .opener)
            #expect(try await opener.open(world.partition) == .opened(healed: 0), "an open log needs nobody's word")
            try world.closeLog()
            let before = try await ledger.row(of: world.partition)
            await #expect {
                try await opener.open(world.partition, takesSuperseded: true)
            } throws: { error in
                // The kind upon which a worker closes its connection.
                guard let error = error as? StoreError, error.kind == .unavailable else { return false }
                return error.message.contains("no longer the master")
            }
            #expect(try await ledger.row(of: world.partition) == before)
        }
    }

    @Test("a superseded server is opened on a person's word only")
    func forced() async throws {
        try await withWorld { world in
            let worker = try world.session(.postgres, "a")
            try await worker.takeOver()
            try world.append(2)
            try await worker.work()
            try world.postgres.query(
                "UPDATE partitions SET epoch = 7, replid = $1", [.text(String(repeating: "9", count: 40))],
                until: .after(.seconds(5)))
            let ledger = try #require(worker.sink as? any Ledger)
            let opener = LogOpener(log: worker.log, ledger: ledger, identity: world.identity, owner: .opener)
            guard case .halted(let reason) = try await opener.open(world.partition) else {
                Issue.record("opened a superseded server")
                return
            }
            #expect(reason.contains("--force"))
            #expect(try await opener.open(world.partition, takesSuperseded: true) == .opened(healed: 0))
            #expect(try world.call("HGET", world.keys.head(world.partition), "epoch").string == "8")
        }
    }
}

/// A log on a server of which others say that it was replaced.
private final class ReplacedLog: LogPort {
    private let log: any LogPort

    init(_ log: any LogPort) {
        self.log = log
    }

    func isAuthoritative(for partition: Partition) async throws -> Bool { false }

    func look(at partition: Partition) async throws -> LogLook { try await log.look(at: partition) }
    func reclaim(from partition: Partition, cursor: EntryID, limit: Int) async throws -> Reclaimed {
        try await log.reclaim(from: partition, cursor: cursor, limit: limit)
    }
    func read(from partitions: [Partition], limit: Int, wait: Duration) async throws -> [Delivered] {
        try await log.read(from: partitions, limit: limit, wait: wait)
    }
    func sendRead(from partitions: [Partition], limit: Int) async throws {
        try await log.sendRead(from: partitions, limit: limit)
    }
    func receiveRead() async throws -> [Delivered] { try await log.receiveRead() }
    func range(in partition: Partition, from start: EntryID, limit: Int) async throws -> [Entry] {
        try await log.range(in: partition, from: start, limit: limit)
    }
    func lastEntries(in partition: Partition, through end: EntryID?, limit: Int) async throws -> [Entry] {
        try await log.lastEntries(in: partition, through: end, limit: limit)
    }
    func createGroup(in partition: Partition, after entry: EntryID) async throws {
        try await log.createGroup(in: partition, after: entry)
    }
    func removeIdleConsumers(from partition: Partition) async throws {
        try await log.removeIdleConsumers(from: partition)
    }
    func extent(of partition: Partition) async throws -> LogExtent { try await log.extent(of: partition) }
    func beginNewFile(for partition: Partition) async throws -> String? {
        try await log.beginNewFile(for: partition)
    }
    func acknowledge(
        _ entries: [Acknowledgement], under permit: Permit, heeding heed: AcknowledgementHeed
    ) async throws -> Bool {
        try await log.acknowledge(entries, under: permit, heeding: heed)
    }

    func shut(_ partition: Partition, epoch: Epoch) async throws -> Bool {
        try await log.shut(partition, epoch: epoch)
    }
    func open(
        _ partition: Partition, seen: LogLook, epoch: Epoch, identity: LogIdentity, admitted: [String],
        healing: [LedgerEntry], isLast: Bool
    ) async throws -> OpenOutcome {
        try await log.open(
            partition, seen: seen, epoch: epoch, identity: identity, admitted: admitted, healing: healing,
            isLast: isLast)
    }
}

struct LoggedPlace: Equatable {
    let seq: Int64?
    let epoch: Int64?
    let entry: String?
}

extension World {
    /// Each entry's fields but its epoch.
    func fields() throws -> [[String]] {
        try call("XRANGE", keys.log(partition), "-", "+").elements.map {
            Array($0[1].elements.map { $0.string ?? "" }.dropFirst(2))
        }
    }

    func epochs() throws -> [String?] {
        try call("XRANGE", keys.log(partition), "-", "+").elements.map { $0[1][1].string }
    }

    func locationsInLog() throws -> [LoggedPlace] {
        try call("XRANGE", keys.log(partition), "-", "+").elements.map {
            LoggedPlace(
                seq: $0[1][3].string.flatMap { Int64($0) }, epoch: $0[1][1].string.flatMap { Int64($0) },
                entry: $0[0].string)
        }
    }

    func locationsInLedger() throws -> [LoggedPlace] {
        try postgres.query("SELECT seq, epoch, entry FROM ledger ORDER BY seq", until: .after(.seconds(5))).map {
            LoggedPlace(seq: $0.int64(0), epoch: $0.int64(1), entry: $0.string(2))
        }
    }

    /// What an append by an older program could have left: an entry with a place, whose fields are no change.
    func appendUnusable(seq: Int) throws {
        let epoch = try call("HGET", keys.head(partition), "epoch").requireString()
        try call(
            "XADD", keys.log(partition), "*", "epoch", epoch, "seq", String(seq), "type", "order.placed", "id", "bad",
            "shop", World.shop, "lines", "TEA:nothing")
        try call("HSET", keys.head(partition), "seq", String(seq))
    }
}
