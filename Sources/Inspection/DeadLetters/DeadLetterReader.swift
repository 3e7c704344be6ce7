package import OrderLog
package import PostgresClient
package import RedisClient
package import RedisLog
import Sinks
import ThreadedIO

/// Reads the dead letters of all groups, and what is one entry's together.
package struct DeadLetterReader {
    package let redis: RedisConnection
    /// nil when Postgres can't be asked: its part of a letter is unknown then.
    package let postgres: PostgresConnection?
    package let keys: Keys
    package let partitioning: Partitioning

    private static let pageEntries = 500

    /// What was found, in the log's order.
    package struct Found: Sendable {
        /// How far each group had got before the letters were read.
        package let positions: [Group: [Partition: Seq]]
        package let letters: [DeadLetter]
        /// The server's clock, in milliseconds since 1970.
        package let now: Int
    }

    /// What tells entries apart: the place, or the entry's own ID where it has none.
    private struct Key: Hashable {
        let partition: Partition
        let seq: Seq?
        let entry: String
    }

    /// Reads positions first, so that a group which had passed an entry has its letter among those that were read.
    package func read() throws -> Found {
        let now = try SnapshotReader.milliseconds(try redis.call(RedisCommand("TIME"), until: Self.deadline))
        let groups = try redis.groups(keys).filter { $0 != .postgres }
        let positions = try readPositions(groups)
        var letters: [Key: DeadLetter] = [:]
        func add(_ letter: DeadLetter) {
            let key = Key(
                partition: letter.partition, seq: letter.seq, entry: letter.seq == nil ? letter.entry : "")
            if letters[key] == nil {
                letters[key] = letter
            } else {
                letters[key]?.parts += letter.parts
            }
        }
        if let postgres { try readRows(postgres, add) }
        for group in groups {
            for partition in partitioning.all { try readStream(group, partition, add) }
        }
        return Found(positions: positions, letters: letters.values.sorted(by: Self.isBefore), now: now)
    }

    private static var deadline: Deadline { .after(StreamLog.timeout) }

    private static func isBefore(_ left: DeadLetter, _ right: DeadLetter) -> Bool {
        func order(_ letter: DeadLetter) -> (Partition, EntryID, Seq) {
            (letter.partition, EntryID(letter.entry) ?? .zero, letter.seq ?? .none)
        }
        return order(left) < order(right)
    }

    // MARK: - Redis

    private func readPositions(_ groups: [Group]) throws -> [Group: [Partition: Seq]] {
        var positions: [Group: [Partition: Seq]] = [:]
        for group in groups {
            let replies = try redis.pipeline(
                partitioning.all.map { RedisCommand("HGET", keys.position($0, group), "seq") }, until: Self.deadline)
            for (partition, reply) in zip(partitioning.all, replies) {
                // A sink of one's own may keep its position elsewhere.
                if reply.isNull, !Group.builtIn.contains(group) { continue }
                positions[group, default: [:]][partition] = Seq(Int64(reply.wholeNumber ?? 0))
            }
        }
        guard let postgres else { return positions }
        for row in try postgres.query("SELECT partition, seq FROM partitions", until: .after(PostgresSink.timeout)) {
            positions[.postgres, default: [:]][Partition(Int(try row.requireInt64(0)))] = Seq(try row.requireInt64(1))
        }
        return positions
    }

    private func readStream(_ group: Group, _ partition: Partition, _ add: (DeadLetter) -> Void) throws {
        var start = "-"
        while true {
            let page = try redis.call(
                RedisCommand("XRANGE", keys.dead(partition, group), start, "+", "COUNT", Self.pageEntries),
                until: Self.deadline
            ).requireArray()
            let ids = try page.map { reply throws(RedisError) in try reply[0].requireString() }
            guard let last = ids.last else { return }
            var command = RedisCommand("HMGET", keys.deadResolved(partition, group))
            command.append(contentsOf: ids)
            let resolutions = try redis.call(command, until: Self.deadline).requireArray(count: ids.count)
            for ((id, reply), resolution) in zip(zip(ids, page), resolutions) {
                add(
                    Self.letter(id, reply[1], group, partition, resolution.repairedText.map(Resolution.init(recorded:)))
                )
            }
            if ids.count < Self.pageEntries { return }
            start = "(\(last)"
        }
    }

    /// A letter of a stream: the entry's own fields, then `entry`, `reason` and `error`.
    private static func letter(
        _ id: String, _ reply: RedisReply, _ group: Group, _ partition: Partition, _ resolution: Resolution?
    ) -> DeadLetter {
        var fields = stride(from: 0, to: reply.count - 1, by: 2).map {
            EntryField(name: reply[$0].bytes ?? [], value: reply[$0 + 1].bytes ?? [])
        }
        let ours = fields.suffix(3).map { String(decoding: $0.value, as: UTF8.self) }
        let isOurs = fields.suffix(3).map(\.name) == ["entry", "reason", "error"].map { Array($0.utf8) }
        if isOurs { fields.removeLast(3) }
        func part(_ reason: String, _ error: String) -> DeadLetter.Part {
            DeadLetter.Part(
                group: group, record: .stream(id: id), reason: reason, error: error,
                milliseconds: Int(clamping: EntryID(id)?.milliseconds ?? 0), resolution: resolution)
        }
        guard isOurs else {
            // Nothing is known of its entry; it can be looked at, and dropped.
            let part = part(DeadLetter.Reason.unreadable.rawValue, "it was put among the dead letters by hand")
            return DeadLetter(partition: partition, seq: nil, entry: id, fields: fields, parts: [part])
        }
        let letter = DeadLetter(
            partition: partition, seq: nil, entry: ours[0], fields: fields, parts: [part(ours[1], ours[2])])
        guard ours[1] != Quarantine.Reason.addedByHand.rawValue, let place = letter.claimed else { return letter }
        return DeadLetter(partition: partition, seq: place.seq, entry: ours[0], fields: fields, parts: letter.parts)
    }

    // MARK: - Postgres

    private func readRows(_ postgres: PostgresConnection, _ add: (DeadLetter) -> Void) throws {
        let rows = try postgres.query(
            """
            SELECT partition, epoch, entry, seq, fields, reason, error,
                (extract(epoch FROM at) * 1000)::bigint, resolution
            FROM dead_letters ORDER BY partition, at
            """, until: .after(PostgresSink.timeout))
        for row in rows {
            let part = DeadLetter.Part(
                group: .postgres, record: .row(epoch: try row.requireInt64(1)), reason: try row.requireString(5),
                error: try row.requireString(6), milliseconds: Int(try row.requireInt64(7)),
                resolution: row.string(8).map(Resolution.init(recorded:)))
            add(
                DeadLetter(
                    partition: Partition(Int(try row.requireInt64(0))), seq: row.int64(3).map { Seq($0) },
                    entry: try row.requireString(2), fields: DeadLetterFields.fields(of: try row.requireBytes(4)),
                    parts: [part]))
        }
    }
}
