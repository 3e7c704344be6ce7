package import Connections
package import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
import ThreadedIO

/// Asks groups how far they are with places of the log, over connections of its own.
///
/// Postgres has applied a place when its ledger, or its dead letters, hold the change itself there: a position alone proves
/// nothing across a reopening of the log. A group in Redis has when its position has reached the place, in the history that
/// the change was appended to; after a reopening Postgres is asked whether the place is still the change's.
package struct AppliedLook {
    /// A worker that was not heard of for so long counts for nothing.
    private static let workerSilenceMilliseconds: Int64 = 15_000

    /// How far a group is with a target.
    package enum Progress {
        case applied
        case setAside(reason: String)
        case behind(Seq)
        /// The place is another change's by now: the log lost this one.
        case lost
        /// The log was opened anew, and only Postgres could tell.
        case uncertain
    }

    private let servers: Servers
    private var redis: RedisConnection?
    private var postgres: PostgresConnection?

    /// Connects when it is asked.
    package init(_ servers: Servers) { self.servers = servers }

    /// Connects anew the next time: an answer failed.
    package mutating func disconnect() { (redis, postgres) = (nil, nil) }

    /// The log's groups.
    package mutating func groups() throws -> [Group] { try connectedRedis().groups(servers.keys) }

    /// How far a group is with each target.
    ///
    /// - Throws: ``LogError``, `RedisError`, `PostgresError`.
    package mutating func progress(of targets: [WaitTargets.Target], in group: Group) throws -> [Progress] {
        group == .postgres ? try ledger(targets) : try positions(of: group, targets)
    }

    /// What Postgres holds at the targets' places.
    private mutating func ledger(_ targets: [WaitTargets.Target]) throws -> [Progress] {
        let connection = try connectedPostgres()
        let rows = try connection.query(
            Self.places,
            [
                .integers(targets.map { Int64($0.partition.number) }), .integers(targets.map(\.last.number)),
            ], until: .after(StreamLog.timeout))
        var found: [Partition: [(seq: Seq, id: String, shop: String, reason: String?)]] = [:]
        for row in rows {
            found[Partition(Int(try row.requireInt64(0))), default: []].append(
                (Seq(try row.requireInt64(1)), row.string(2) ?? "", row.string(3) ?? "", row.string(4)))
        }
        let reached = try connection.query("SELECT partition, seq FROM partitions", until: .after(StreamLog.timeout))
        var seqs: [Partition: Seq] = [:]
        for row in reached { seqs[Partition(Int(try row.requireInt64(0)))] = Seq(try row.requireInt64(1)) }
        return targets.map { target in
            guard let place = found[target.partition]?.first(where: { $0.seq == target.last }) else {
                return .behind(seqs[target.partition] ?? .none)
            }
            if let reason = place.reason { return .setAside(reason: reason) }
            return place.id.hasSameBytes(as: target.id) && place.shop.hasSameBytes(as: target.shop) ? .applied : .lost
        }
    }

    private static let places = """
        WITH places AS (SELECT * FROM unnest($1::int[], $2::bigint[]) AS p (partition, seq))
        SELECT partition, seq, id, shop, NULL FROM places JOIN ledger USING (partition, seq)
        UNION ALL
        SELECT partition, seq, id, shop, reason FROM places JOIN dead_letters USING (partition, seq)
        """

    /// How far a group in Redis is.
    private mutating func positions(
        of group: Group, _ targets: [WaitTargets.Target]
    ) throws -> [Progress] {
        let connection = try connectedRedis()
        // The position first: epochs only rise, so an epoch that is still the target's was so when the position was read.
        let replies = try connection.pipeline(
            targets.flatMap { target in
                [
                    RedisCommand("HGET", servers.keys.position(target.partition, group), "seq"),
                    RedisCommand("HGET", servers.keys.head(target.partition), "epoch"),
                    RedisCommand("XREVRANGE", servers.keys.dead(target.partition, group), "+", "-", "COUNT", 100),
                ]
            }, until: .after(StreamLog.timeout))
        var held: [Progress]?
        var progress: [Progress] = []
        for (index, target) in targets.enumerated() {
            for reply in replies[(3 * index)..<(3 * index + 3)] {
                if let error = reply.error { throw RedisError.reply(error) }
            }
            let seq = Seq(max(0, replies[3 * index].string.flatMap { Int64($0) } ?? 0))
            let epoch = replies[3 * index + 1].string.flatMap { Int64($0) }
            if seq < target.last {
                progress.append(.behind(seq))
                continue
            }
            if epoch != target.epoch.number {
                if held == nil {
                    held = servers.configuration.postgres != nil ? try ledger(targets) : targets.map { _ in .uncertain }
                }
                if let place = held?[index], !place.isHeld {
                    progress.append(place)
                    continue
                }
            }
            let reason = try Self.reason(in: replies[3 * index + 2], target)
            progress.append(reason.map { .setAside(reason: $0) } ?? .applied)
        }
        return progress
    }

    /// Why the target is among a group's latest dead letters; nil when it isn't.
    private static func reason(in letters: RedisReply, _ target: WaitTargets.Target) throws -> String? {
        for letter in try letters.requireArray() {
            let fields = try letter.requireArray(count: 2)[1]
            guard try fields.field("seq")?.string == target.last.description,
                try fields.field("id")?.string == target.id
            else { continue }
            return try fields.field("reason")?.string ?? "?"
        }
        return nil
    }

    private mutating func connectedRedis() throws -> RedisConnection {
        if let redis, redis.isUsable { return redis }
        let connection = try servers.redis()
        redis = connection
        return connection
    }

    private mutating func connectedPostgres() throws -> PostgresConnection {
        if let postgres, postgres.isUsable { return postgres }
        let connection = try servers.requiredPostgres()
        postgres = connection
        return connection
    }

    /// Why waiting for a target can't go well any more; nil while it can.
    package static func failure(_ progress: Progress, _ target: WaitTargets.Target, _ group: Group) -> LogError? {
        switch progress {
        case .applied, .setAside, .behind: return nil
        case .lost:
            return LogError(
                .tryAgain,
                "\(target.id) is not in the log any more (partition \(target.partition), seq \(target.last)): Redis lost it. "
                    + "Submit the same again")
        case .uncertain:
            return LogError(
                .tryAgain,
                "the log was opened anew after \(target.id), and without Postgres nobody can tell whether \(group.name) "
                    + "applied it. Submit the same again: what is in the log is not taken twice")
        }
    }

    /// What to say when the time is over.
    package mutating func timedOut(
        _ group: Group, _ lagging: (group: Group, target: WaitTargets.Target, at: Seq)?, _ obstacle: String?
    ) -> LogError {
        guard let lagging, obstacle == nil else {
            return LogError(
                .tryAgain, "can't tell whether \(group.name) applied it: \(obstacle ?? "no answer in time")")
        }
        var text =
            "\(lagging.group.name) has not applied partition \(lagging.target.partition) up to seq "
            + "\(lagging.target.last) in time: it is at seq \(lagging.at)"
        switch workers(of: lagging.group) {
        case 0: text += ", and no worker serves it. Start one: onewrite worker --group \(lagging.group.name)"
        case let count?: text += ", and \(count) worker\(count == 1 ? " serves" : "s serve") it. See: onewrite status"
        case nil: break
        }
        return LogError(.tryAgain, text + ". What was submitted is in the log")
    }

    /// How many workers were heard of lately; nil when that can't be told.
    private mutating func workers(of group: Group) -> Int64? {
        do {
            let redis = try connectedRedis()
            let time = try redis.call(RedisCommand("TIME"), until: .after(StreamLog.timeout)).requireArray(count: 2)
            guard let seconds = Int64(try time[0].requireString()) else { return nil }
            let since = seconds * 1000 - Self.workerSilenceMilliseconds
            return try redis.call(
                RedisCommand("ZCOUNT", servers.keys.workers(group), String(since), "+inf"),
                until: .after(StreamLog.timeout)
            ).requireInteger()
        } catch {
            // The time-out is what is told; this only adds to it.
            return nil
        }
    }
}

extension AppliedLook.Progress {
    /// Whether Postgres holds the change at its place.
    fileprivate var isHeld: Bool {
        switch self {
        case .applied, .setAside: true
        case .behind, .lost, .uncertain: false
        }
    }
}
