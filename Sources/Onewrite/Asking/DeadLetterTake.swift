package import Connections
import Coordination
package import Inspection
package import OrderLog
import RedisClient
import RedisLog
import ThreadedIO

/// Sets aside, for a reason that is recorded, the entry on which a sink is stalled.
package struct DeadLetterTake: Sendable {
    private let group: Group
    private let partition: Partition
    private let seq: Seq?
    private let reason: String

    /// - Parameters:
    ///   - group: Whose sink it is.
    ///   - partition: Where.
    ///   - seq: The entry's, to be sure, or to take one on which the sink isn't stalled; nil for the one behind the position.
    ///   - reason: Why, in a person's words.
    package init(group: Group, partition: Partition, seq: Seq?, reason: String) {
        self.group = group
        self.partition = partition
        self.seq = seq
        self.reason = reason
    }

    /// Does it, or says what it would do.
    ///
    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - isServed: Whether a worker serves the partition: then nothing is stalled.
    ///   - acts: Whether to do it.
    /// - Returns: The entry, and what became of it.
    /// - Throws: ``LogError`` for what can't be taken; `WrongQuestion` for a group whose sink is in an application; the
    ///   servers' errors.
    package func run(_ servers: Servers, isServed: Bool, acts: Bool) async throws -> DeadLetterRow {
        let redis = try servers.redis()
        let identity = try servers.identity(redis)
        guard let sink = SinkDefinition.builtIn.first(where: { $0.group == group }) else {
            throw WrongQuestion("the sink of \(group) is in an application, which alone can take it over")
        }
        guard let owner = WorkerName("take-\(UInt32.random(in: 0..<(1 << 24)))") else {
            throw LogError(.bug, "a made-up name is no name")
        }
        let ports = try await sink.ports(on: servers, of: identity, as: owner)
        let taking = EntryTaking(ports, partition)
        let position = try await position(ports, redis, servers.keys)
        let (entry, place) = try found(try await taking.look(behind: position))
        if let seq, seq != place {
            throw LogError(
                .no,
                "\(group.name) is at seq \(position.seq): only the entry at seq \(place) can be taken, not \(seq)")
        }
        if isServed, seq == nil, acts {
            throw LogError(
                .no,
                "\(group.name) is not stalled in partition \(partition): a worker serves it. To take the entry all the "
                    + "same, name its seq, \(place)")
        }
        let now = try SnapshotReader.milliseconds(
            try redis.call(RedisCommand("TIME"), until: .after(StreamLog.timeout)))
        let part = DeadLetter.Part(
            group: group, record: nil, reason: Quarantine.Reason.taken.rawValue, error: reason, milliseconds: now,
            resolution: nil)
        let letter = DeadLetter(
            partition: partition, seq: place, entry: entry.id.description, fields: entry.fields, parts: [part])
        var row = DeadLetterRow(letter: letter, now: now, knowsPostgres: true)
        row.outcome = .planned("to be set aside by \(group.name): \(reason)")
        guard acts else { return row }
        switch try await taking.take(place, why: reason) {
        case .taken: row.outcome = .taken
        case .moved(let position):
            throw LogError(.no, "\(group.name) went on by itself, to seq \(position.seq): nothing was set aside")
        case .again(let why): throw LogError(.tryAgain, "nothing was set aside: \(why)")
        }
        return row
    }

    private func found(_ look: EntryTaking.Look) throws -> (Entry, Seq) {
        switch look {
        case .found(let entry, let seq): (entry, seq)
        case .nothing(let position):
            throw LogError(
                .no,
                "\(group.name) has applied all of partition \(partition), up to seq \(position.seq): nothing is "
                    + "stalled")
        case .refused(let why): throw LogError(.tryAgain, "partition \(partition): \(why)")
        }
    }

    private func position(_ ports: SessionPorts, _ redis: RedisConnection, _ keys: Keys) async throws -> Position {
        if let ledger = ports.ledger { return try await ledger.row(of: partition).position }
        let reply = try redis.call(
            RedisCommand("HMGET", keys.position(partition, group), "epoch", "seq", "entry"),
            until: .after(StreamLog.timeout)
        ).requireArray(count: 3)
        return Position(
            epoch: Epoch(Int64(reply[0].wholeNumber ?? 0)), seq: Seq(Int64(reply[1].wholeNumber ?? 0)),
            entry: EntryID(reply[2].repairedText ?? ""))
    }
}
