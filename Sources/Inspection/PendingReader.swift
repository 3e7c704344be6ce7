package import Connections
package import OrderLog
package import RedisClient
package import RedisLog
package import Reports
import ThreadedIO

/// Reads pending entries, oldest first, from many partitions and groups at once.
package struct PendingReader {
    package let redis: RedisConnection
    package let keys: Keys

    /// A list of pending entries in Redis, and what is known of it.
    package struct Source {
        package let group: Group
        package let partition: Partition
        package let summary: PendingSummary

        package init(_ group: Group, _ partition: Partition, _ summary: PendingSummary) {
            self.group = group
            self.partition = partition
            self.summary = summary
        }
    }

    /// A pending entry before its content is known.
    private struct Delivery {
        let group: Group
        let partition: Partition
        let id: EntryID
        let consumer: String
        let idleMilliseconds: Int
        let deliveries: Int
    }

    /// Asks.
    ///
    /// - Parameters:
    ///   - servers: Where.
    ///   - group: Whose; nil for every group's.
    ///   - limit: The most entries to return.
    /// - Returns: The answer.
    /// - Throws: ``LogError`` or `RedisError`.
    package static func answer(_ servers: Servers, group: Group?, limit: Int) throws -> PendingList {
        let redis = try servers.redis()
        let identity = try servers.identity(redis)
        let groups = try group.map { [$0] } ?? redis.groups(servers.keys)
        let (entries, total, missing) = try PendingReader(redis: redis, keys: servers.keys)
            .read(groups, of: identity, limit: limit)
        return PendingList(entries: entries, total: total, missing: missing)
    }

    /// Contents can be large: so many are asked for at a time.
    private static let contentsMax = 200

    /// Reads entries of groups.
    ///
    /// - Parameters:
    ///   - groups: Which.
    ///   - identity: The log.
    ///   - limit: The most entries to return.
    /// - Returns: The oldest entries, how many there are in all, and the groups that are missing somewhere.
    /// - Throws: `RedisError`.
    package func read(
        _ groups: [Group], of identity: LogIdentity, limit: Int
    ) throws(RedisError) -> (entries: [PendingEntry], total: Int, missing: [Group]) {
        let rolls = try redis.pipeline(
            groups.map { Workforce.Roll.question($0, keys) }, until: .after(SnapshotReader.timeout))
        var questions = Questions()
        let calls = zip(groups, rolls).map { group, reply in
            (group, Workforce.Call(Workforce.Roll(reply), group, keys, asking: &questions))
        }
        let places = groups.flatMap { group in identity.partitioning.all.map { (group, $0) } }
        let asked = places.map { group, partition in
            questions.ask(PendingSummary.question(keys.log(partition), group))
        }
        let replies = try redis.pipeline(questions.commands, until: .after(SnapshotReader.timeout))
        var workforces: [Group: Workforce] = [:]
        for (group, call) in calls { workforces[group] = try call.answer(replies) }
        var sources: [Source] = []
        var missing: Set<Group> = []
        for ((group, partition), ticket) in zip(places, asked) {
            switch try PendingSummary.answer(replies[ticket]) {
            case .found(let summary): sources.append(Source(group, partition, summary))
            case .groupMissing: missing.insert(group)
            case .failed(let error): throw .reply(error)
            }
        }
        let entries = try oldest(limit, of: sources, workforces: workforces)
        return (entries, sources.reduce(0) { $0 + $1.summary.count }, missing.sorted())
    }

    /// Merges the heads of the lists, reading each only as far as it is needed.
    ///
    /// - Parameters:
    ///   - limit: The most entries to return.
    ///   - sources: Where to look.
    ///   - workforces: The live workers by group, which tell orphaned entries from others.
    /// - Returns: The oldest entries, in the order in which they were appended.
    /// - Throws: `RedisError`.
    package func oldest(
        _ limit: Int, of sources: [Source], workforces: [Group: Workforce]
    ) throws(RedisError) -> [PendingEntry] {
        var found: [Delivery] = []
        // What has more entries than were read, with the last one that was.
        var open = sources.compactMap { source in
            source.summary.oldest.map { (source: source, from: "\($0)", last: $0) }
        }
        // Each list holds its oldest: beyond the first `limit` lists nothing can be among the oldest `limit` entries. In
        // the entries' own order, since IDs of several partitions can be equal.
        open.sort {
            ($0.last, $0.source.partition, $0.source.group) < ($1.last, $1.source.partition, $1.source.group)
        }
        open = Array(open.prefix(limit))
        var step = max(10, 2 * limit / max(1, open.count))
        while !open.isEmpty {
            let replies = try redis.pipeline(
                open.map {
                    RedisCommand(
                        "XPENDING", keys.log($0.source.partition), $0.source.group.name, $0.from, "+", step)
                },
                until: .after(SnapshotReader.timeout))
            var next: [(source: Source, from: String, last: EntryID)] = []
            for (list, reply) in zip(open, replies) {
                // The group can go between two looks.
                if reply.error?.code == "NOGROUP" { continue }
                let deliveries = try Self.deliveries(reply, list.source)
                found += deliveries
                if deliveries.count == step, let last = deliveries.last?.id {
                    next.append((list.source, "(\(last)", last))
                }
            }
            found.sort { ($0.id, $0.partition, $0.group) < ($1.id, $1.partition, $1.group) }
            // A list that was read past the last entry wanted can't add anything before it.
            if found.count >= limit, limit > 0 {
                let last = found[limit - 1].id
                next.removeAll { $0.last >= last }
                found.removeLast(found.count - limit)
            }
            open = next
            step = min(2 * step, 1000)
        }
        return try withContents(found, workforces)
    }

    private static func deliveries(_ reply: RedisReply, _ source: Source) throws(RedisError) -> [Delivery] {
        var deliveries: [Delivery] = []
        for line in try reply.requireArray() {
            let parts = try line.requireArray(count: 4)
            guard let id = EntryID(try parts[0].requireString()) else {
                throw .protocolViolation("a stream ID from XPENDING")
            }
            deliveries.append(
                Delivery(
                    group: source.group, partition: source.partition, id: id, consumer: parts[1].repairedText ?? "",
                    idleMilliseconds: parts[2].wholeNumber ?? 0, deliveries: parts[3].wholeNumber ?? 0))
        }
        return deliveries
    }

    private func withContents(
        _ deliveries: [Delivery], _ workforces: [Group: Workforce]
    ) throws(RedisError) -> [PendingEntry] {
        var entries: [PendingEntry] = []
        for start in stride(from: 0, to: deliveries.count, by: Self.contentsMax) {
            let part = deliveries[start..<min(start + Self.contentsMax, deliveries.count)]
            let contents = try redis.pipeline(
                part.map { RedisCommand("XRANGE", keys.log($0.partition), "\($0.id)", "\($0.id)") },
                until: .after(SnapshotReader.timeout))
            let gone = zip(part, contents).filter { $1.count == 0 }.map(\.0)
            let stillPending = try self.stillPending(gone)
            for (delivery, reply) in zip(part, contents) {
                let content = try reply.requireArray().first.map(EntryFields.init(ofEntry:))
                if content == nil && !stillPending.contains(Place(delivery)) { continue }
                let isInFlight = workforces[delivery.group]?.contains(delivery.consumer) == true
                entries.append(
                    PendingEntry(
                        group: delivery.group.name, partition: delivery.partition.number,
                        entry: delivery.id.description, seq: content?.seq, consumer: delivery.consumer,
                        idleMilliseconds: delivery.idleMilliseconds, deliveries: delivery.deliveries,
                        id: content?.text("id"), type: content?.text("type"),
                        state: content == nil ? .lost : isInFlight ? .inFlight : .orphaned))
            }
        }
        return entries
    }

    private struct Place: Hashable {
        let group: Group
        let partition: Partition
        let id: EntryID

        init(_ delivery: Delivery) {
            (group, partition, id) = (delivery.group, delivery.partition, delivery.id)
        }
    }

    /// An entry without content was lost, unless it has been acknowledged and trimmed since it was found pending.
    private func stillPending(_ deliveries: [Delivery]) throws(RedisError) -> Set<Place> {
        guard !deliveries.isEmpty else { return [] }
        let replies = try redis.pipeline(
            deliveries.map {
                RedisCommand("XPENDING", keys.log($0.partition), $0.group.name, "\($0.id)", "\($0.id)", 1)
            }, until: .after(SnapshotReader.timeout))
        return Set(zip(deliveries, replies).filter { $1.count > 0 }.map { Place($0.0) })
    }
}

/// The names and values of a stream entry, whoever added it.
package struct EntryFields {
    private var values: [String: String] = [:]

    /// Longer values are cut: what is shown of them is far shorter.
    private static let bytesMax = 1024

    /// Reads `[ID, [name, value, …]]`; the first of a name counts.
    package init(ofEntry reply: RedisReply) {
        guard reply.count == 2 else { return }
        let fields = reply[1]
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            let (name, value) = (Self.text(fields[index]), Self.text(fields[index + 1]))
            if values[name] == nil { values[name] = value }
        }
    }

    package func text(_ name: String) -> String? { values[name] }

    package var seq: Int? { values["seq"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil } }

    private static func text(_ reply: RedisReply) -> String {
        reply.withBytes { String(decoding: $0.prefix(bytesMax), as: UTF8.self) }
    }
}
