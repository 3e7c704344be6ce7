import Coordination
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
import Testing
import TestSupport
import ThreadedIO

@Suite("Trimming")
struct TrimTests {
    @Test("drops what every group has applied, but for the last entry, and the groups go on behind it")
    func applied() async throws {
        try await withWorld { world in
            try world.append(10)
            try await world.applyAll()
            let plan = try await world.plan()
            #expect(plan.first == Seq(1) && plan.keep == Seq(10) && plan.hold == nil)
            let outcome = try await world.trim(slice: 4)
            #expect(outcome == LogTrim.Outcome(dropped: 9, reason: nil))
            #expect(try world.seqs() == [10])
            #expect(try world.call("HGET", world.keys.head(world.partition), "first").string == "10")
            #expect(try await world.trim() == LogTrim.Outcome(dropped: 0, reason: nil), "again: there is nothing")
            try world.append(3)
            try await world.applyAll("later")
            #expect(try world.ledger().count == 13)
            #expect(try world.onHand() == ("-13", "-13"))
        }
    }

    @Test("keeps what the retention says, whichever rule keeps more")
    func retention() async throws {
        try await withWorld { world in
            try world.append(10)
            try await world.applyAll()
            #expect(try await world.plan(Retention(entries: 4)).keep == Seq(7))
            #expect(try await world.plan(Retention(entries: 100)).count == 0)
            let age = try world.now() - world.milliseconds(of: 5)
            // Some may have come in the same millisecond.
            let first = try #require(
                try world.seqs().first { try world.milliseconds(of: $0) == world.milliseconds(of: 5) })
            #expect(
                try await world.plan(Retention(age: .milliseconds(age)), now: world.milliseconds(of: 5) + age).keep
                    == Seq(Int64(first)))
            let both = Retention(age: .zero, entries: 4)
            #expect(try await world.plan(both).keep == Seq(7))
        }
    }

    @Test("stops at the group that is behind, and says since when", arguments: Group.builtIn)
    func behind(_ group: Group) async throws {
        try await withWorld { world in
            try world.append(6)
            for other in Group.builtIn {
                let session = try world.session(other, "w-\(other)")
                try await session.takeOver()
                let entries = try await session.read(limit: other == group ? 3 : 6)
                _ = try await session.session.process(entries)
            }
            let plan = try await world.plan()
            #expect(plan.keep == Seq(3), "the entry at its position stays")
            #expect(plan.hold?.group == group && plan.hold?.seq == Seq(3))
            #expect(plan.hold?.since == UInt64(try world.milliseconds(of: 4)))
            #expect(try await world.trim().dropped == 2)
            #expect(try world.seqs() == [3, 4, 5, 6])
        }
    }

    @Test("never drops a pending entry")
    func pending() async throws {
        try await withWorld { world in
            try world.append(5)
            try await world.applyAll()
            // Applied by its sink, and its acknowledgement was lost.
            try world.call("XGROUP", "SETID", world.keys.log(world.partition), "postgres", "0")
            let zombie = try world.session(.postgres, "zombie")
            #expect(try await zombie.read(limit: 2).count == 2)
            let id = try world.entry(2)
            try world.call("XACK", world.keys.log(world.partition), "postgres", try world.entry(1))
            let plan = try await world.plan()
            #expect(plan.keep == Seq(2) && plan.hold?.group == .postgres && plan.hold?.seq == nil)
            #expect(try await world.trim().dropped == 1)
            #expect(try world.entry(2) == id)
        }
    }

    @Test("looks again in the step that drops: a group that fell back, a pending entry, another history")
    func again() async throws {
        try await withWorld { world in
            try world.append(8)
            try await world.applyAll()
            let plan = try await world.plan()
            let (trim, key) = (world.trimmer(), world.keys.position(world.partition, .stock))
            try world.call("HSET", key, "seq", "4")
            #expect(try await trim.run(plan).reason == "stock needs some of it by now")
            #expect(try world.seqs().count == 8)
            try world.call("HSET", key, "seq", "8")
            try world.call("XGROUP", "SETID", world.keys.log(world.partition), "delivery", "0")
            let reader = try world.session(.delivery, "reader")
            #expect(try await reader.read(limit: 1).count == 1)
            #expect(try await trim.run(plan).reason == "delivery needs some of it by now")
            try world.call("XACK", world.keys.log(world.partition), "delivery", try world.entry(1))
            try world.call("HSET", world.keys.head(world.partition), "epoch", "9")
            #expect(try await trim.run(plan).reason == "the log was closed or opened anew meanwhile")
            #expect(try world.seqs().count == 8)
            guard case .refused = try await trim.look(at: world.partition, keeping: Retention(), now: 0) else {
                Issue.record("a log that is not open was planned for")
                return
            }
        }
    }

    @Test("is not misled by copies that somebody added by hand")
    func copies() async throws {
        try await withWorld { world in
            try world.append(6)
            try await world.applyAll()
            for seq in 1...6 { try world.copy(seq) }
            // They are judged, and lie behind the genuine ones.
            try await world.applyAll("judges")
            #expect(try await world.trim(Retention(entries: 3)).dropped == 3)
            #expect(try world.seqs() == [4, 5, 6, 1, 2, 3, 4, 5, 6])
        }
    }

    @Test("a log that was trimmed to its last entry is opened again behind a restart, and behind a lost tail")
    func opened() async throws {
        try await withWorld { world in
            try world.append(7)
            try await world.applyAll()
            #expect(try await world.trim().dropped == 6)
            try world.call("HSET", world.keys.head(world.partition), "replid", "another")
            try await world.applyAll("opens")
            // Redis lost what came behind the trimming; the ledger has it.
            try world.append(1)
            try await world.applyAll("ahead")
            try world.call("XDEL", world.keys.log(world.partition), try world.entry(8))
            try world.call("HSET", world.keys.head(world.partition), "replid", "another", "seq", "7")
            let session = try world.session(.postgres, "heals")
            guard case .serving(let progress) = try await session.session.takeOver() else {
                Issue.record("the log was not opened")
                return
            }
            #expect(progress.healed == 1)
            #expect(try world.seqs() == [7, 8])
        }
    }

    @Test("a sink that was put back behind a trimmed head is halted, and told why", arguments: Group.builtIn)
    func putBack(_ group: Group) async throws {
        try await withWorld { world in
            try world.append(6)
            try await world.applyAll()
            #expect(try await world.trim().dropped == 5)
            if group == .postgres {
                _ = try world.postgres.query("UPDATE partitions SET seq = 3", until: .after(.seconds(5)))
            } else {
                try world.call("HSET", world.keys.position(world.partition, group), "seq", "3")
            }
            let session = try world.session(group, "later")
            await #expect {
                try await session.session.takeOver()
            } throws: { error in
                guard case SessionStop.halt(let why) = error else { return false }
                return why.contains("the log begins with seq 6") && why.contains("can't give it seq 4 to 5")
            }
        }
    }
}

extension World {
    fileprivate func trimmer(slice: Int = 1000) -> LogTrim {
        let log = StreamLog(redis, keys: keys, group: .postgres, consumer: .opener)
        return LogTrim(log: log, ledger: PostgresSink(postgres), identity: identity, slice: slice)
    }

    fileprivate func plan(_ retention: Retention = Retention(), now: Int? = nil) async throws -> LogTrim.Plan {
        switch try await trimmer().look(at: partition, keeping: retention, now: UInt64(try now ?? self.now())) {
        case .plan(let plan): return plan
        case .refused(let why):
            Issue.record("refused: \(why)")
            throw SessionStop.halt(why)
        }
    }

    fileprivate func trim(_ retention: Retention = Retention(), slice: Int = 1000) async throws -> LogTrim.Outcome {
        try await trimmer(slice: slice).run(try await plan(retention))
    }

    /// Every group takes over and applies what there is.
    fileprivate func now() throws -> Int {
        let time = try call("TIME")
        return try #require(time[0].string.flatMap { Int($0) }) * 1000 + (time[1].string.flatMap { Int($0) } ?? 0)
            / 1000
    }

    private func entries() throws -> [(id: String, seq: Int, fields: [String])] {
        try call("XRANGE", keys.log(partition), "-", "+").elements.map { entry in
            let fields = entry[1].elements.compactMap(\.string)
            return (try #require(entry[0].string), Int(fields[3]) ?? 0, fields)
        }
    }

    fileprivate func seqs() throws -> [Int] { try entries().map(\.seq) }

    fileprivate func entry(_ seq: Int) throws -> String {
        try #require(try entries().first { $0.seq == seq }).id
    }

    fileprivate func milliseconds(of seq: Int) throws -> Int {
        try #require(try entry(seq).split(separator: "-").first.flatMap { Int($0) })
    }

    fileprivate func copy(_ seq: Int) throws {
        let entry = try #require(try entries().first { $0.seq == seq })
        var command = RedisCommand("XADD", keys.log(partition), "*")
        command.append(contentsOf: entry.fields)
        _ = try redis.call(command, until: .after(.seconds(5))).requireString()
    }
}
