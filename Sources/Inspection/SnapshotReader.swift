import Foundation
package import OrderLog
package import RedisClient
package import RedisLog
package import Reports
import ThreadedIO

/// Takes a snapshot of the log and its groups, in four round trips to Redis however many partitions there are,
/// unless an entry has to be searched.
///
/// Positions are read before heads, in Postgres and in Redis, so that a lag is what was really behind at one moment or
/// a little more, never less, and never negative.
package struct SnapshotReader {
    package let redis: RedisConnection
    package let keys: Keys
    package let environment: Snapshot.Environment
    /// Why Postgres takes no writes, if it is a standby.
    package let standby: String?

    /// How long the server may take for one round trip.
    package static let timeout: Duration = .seconds(5)
    /// What the rate of appending is taken over, in milliseconds.
    private static let rateWindow = 10_000

    /// Reads.
    ///
    /// - Parameters:
    ///   - identity: The log that is there.
    ///   - ledger: What Postgres said, before.
    ///   - query: Which pending entries to read as well.
    /// - Returns: The snapshot; what couldn't be read is nil in it.
    /// - Throws: `RedisError` when Redis itself can't tell.
    package func read(_ identity: LogIdentity, ledger: LedgerLook, query: PageQuery?) throws(RedisError) -> Snapshot {
        let groups = try redis.groups(keys)
        let memoryLook = MemoryLook(identity.partitioning)
        let (facts, rolls, parts, start) = try readServer(groups, memoryLook)
        var questions = Questions()
        let calls = Dictionary(
            uniqueKeysWithValues: rolls.map { ($0, Workforce.Call($1, $0, keys, asking: &questions)) })
        let asked = groups.map { group in
            (group, identity.partitioning.all.map { SinkLook.Asked($0, group, keys, asking: &questions) })
        }
        // Behind the positions: the same connection's commands are carried out in their order.
        let heads = identity.partitioning.all.map {
            HeadLook.Asked($0, keys, ofMany: redis.isCluster, asking: &questions)
        }
        let windowStart = max(0, start - Self.rateWindow)
        let recent = identity.partitioning.all.map {
            questions.ask(RedisCommand("XRANGE", keys.log($0), windowStart, "+", "COUNT", 1))
        }
        let memory = memoryLook.ask(keys, parts: parts, now: start, &questions)
        let time = questions.ask(RedisCommand("TIME"))
        let replies = try redis.pipeline(questions.commands, until: .after(Self.timeout))

        let now = try Self.milliseconds(replies[time])
        let looks = try heads.map { asked throws(RedisError) in try asked.answer(replies, facts) }
        let appended = zip(recent, looks).map { Self.appended(since: replies[$0], $1) }
        let rate = GroupFindings.sum(appended).map { Double($0) * 1000 / Double(max(1, now - windowStart)) }
        var sinks: [Group: [SinkLook]] = [:]
        for (group, partitions) in asked {
            for asked in partitions { sinks[group, default: []].append(try asked.answer(replies, ledger)) }
        }
        let times = try appendTimes(of: sinks.values.flatMap { $0 }, looks)
        var findings: [GroupFindings] = []
        for (group, _) in asked {
            guard let call = calls[group], let sinks = sinks[group] else { continue }
            findings.append(
                GroupFindings(
                    group, try call.answer(replies), sinks, looks, identity: identity, ledger: ledger,
                    appendTimes: times, appendPerSecond: rate, now: now))
        }
        return Snapshot(
            at: Date(timeIntervalSince1970: Double(now) / 1000), environment: environment,
            partitions: identity.partitioning.count,
            redis: .reachable(version: sanitized(redis.serverVersion), name: sanitized(redis.serverName)),
            postgres: ledger.server, memory: memory.answer(replies, facts, looks),
            groups: findings.map(\.shown),
            warnings: Warnings(
                findings, ledger: ledger, format: identity.format, standby: standby, redis: redis.address,
                facts: facts, now: now
            ).all,
            pendingPage: try page(query, findings, identity))
    }

    private func readServer(
        _ groups: [Group], _ memory: MemoryLook
    ) throws(RedisError) -> (ServerFacts, [Group: Workforce.Roll], parts: [RedisReply], time: Int) {
        let servers = redis.isCluster ? try redis.sessions(until: .after(Self.timeout)) : []
        let replies = try redis.pipeline(
            [RedisCommand("TIME")] + (servers.isEmpty ? ServerFacts.questions : [])
                + groups.map { Workforce.Roll.question($0, keys) } + memory.partQuestions(keys),
            until: .after(Self.timeout))
        var answers = replies.dropFirst()
        let facts: ServerFacts
        if servers.isEmpty {
            facts = try ServerFacts(answers.prefix(ServerFacts.sections.count))
            answers = answers.dropFirst(ServerFacts.sections.count)
        } else {
            facts = ServerFacts(
                ofAll: try servers.map { server throws(RedisError) in
                    try ServerFacts(server.pipeline(ServerFacts.questions, until: .after(Self.timeout)))
                })
        }
        let rolls = answers.prefix(groups.count).map { Workforce.Roll($0) }
        return (
            facts, Dictionary(uniqueKeysWithValues: zip(groups, rolls)),
            Array(answers.suffix(2 * memory.partitions.count)),
            try Self.milliseconds(replies[0])
        )
    }

    /// How many entries of a partition's log came since a moment, by the first one since then and the head before that.
    ///
    /// - Returns: The number; nil when it can't be told.
    private static func appended(since first: RedisReply, _ head: HeadLook) -> Int? {
        guard first.error == nil, let look = head.look else { return nil }
        guard let last = look.head?.seq, first.count > 0 else { return 0 }
        // Without a seq it was added by hand.
        return AppendTimes.Probed(first[0])?.seq.map { max(0, Int(last.number - $0.number) + 1) }
    }

    /// When the entries behind the sinks' positions were appended.
    private func appendTimes(
        of sinks: [SinkLook], _ heads: [HeadLook]
    ) throws(RedisError) -> [AppendTimes.Wanted: UInt64] {
        let next = sinks.compactMap { sink in
            sink.next(before: heads[sink.partition]).map { ($0, sink.entry ?? .zero) }
        }
        return try AppendTimes(redis: redis, keys: keys)
            .find(Dictionary(next, uniquingKeysWith: max), heads: heads.map { $0.look?.head?.seq ?? .none })
    }

    private func page(
        _ query: PageQuery?, _ findings: [GroupFindings], _ identity: LogIdentity
    ) throws(RedisError) -> Snapshot.PendingPage? {
        guard let query, let group = query.group.flatMap({ Group($0) }),
            let found = findings.first(where: { $0.group == group })
        else { return nil }
        let sources = identity.partitioning.all.filter { query.partition == nil || $0.number == query.partition }
            .compactMap { partition in
                found.sinks[partition.number].pending.map { PendingReader.Source(group, partition, $0) }
            }
        let entries = try PendingReader(redis: redis, keys: keys)
            .oldest(query.limit, of: sources, workforces: [group: found.workforce])
        return Snapshot.PendingPage(
            group: group.name, partition: query.partition, entries: entries,
            total: sources.reduce(0) { $0 + $1.summary.count })
    }

    /// The reply to TIME, in milliseconds.
    package static func milliseconds(_ reply: RedisReply) throws(RedisError) -> Int {
        let parts = try reply.requireArray(count: 2)
        guard let seconds = parts[0].wholeNumber, let microseconds = parts[1].wholeNumber else {
            throw .protocolViolation("seconds and microseconds from TIME")
        }
        return seconds * 1000 + microseconds / 1000
    }
}

/// A partition's head, as far as it can be read.
package struct HeadLook {
    /// nil when the head can't be read.
    package let look: LogLook?
    package let trouble: RedisReplyError?

    /// The tickets of a partition's questions.
    package struct Asked {
        private let head: Int
        /// Where the partitions are on several servers.
        private let server: Int?

        package init(_ partition: Partition, _ keys: Keys, ofMany: Bool, asking questions: inout Questions) {
            let key = keys.head(partition)
            head = questions.ask(
                RedisCommand("HMGET", key, "epoch", "seq", "replid", "partitions", "log", "first"))
            server = ofMany ? questions.ask(RedisCommand("INFO", "replication").beside(key)) : nil
        }

        package func answer(_ replies: [RedisReply], _ facts: ServerFacts) throws(RedisError) -> HeadLook {
            guard let server else { return HeadLook.answer(replies[head], facts) }
            return HeadLook.answer(replies[head], try ServerFacts([replies[server]]))
        }
    }

    fileprivate static func answer(_ reply: RedisReply, _ facts: ServerFacts) -> HeadLook {
        if let error = reply.error { return HeadLook(look: nil, trouble: error) }
        var head: Head?
        if reply.count == 6, !reply[1].isNull {
            guard let epoch = reply[0].wholeNumber, let seq = reply[1].wholeNumber else {
                return HeadLook(look: nil, trouble: RedisReplyError(text: "ERR the head holds no whole numbers"))
            }
            head = Head(
                epoch: Epoch(Int64(epoch)), seq: Seq(Int64(seq)), replid: reply[2].repairedText ?? "",
                partitions: reply[3].wholeNumber, log: reply[4].repairedText ?? "",
                first: Seq(Int64(reply[5].wholeNumber ?? 1)))
        }
        return HeadLook(look: LogLook(replid: facts.replid, isMaster: facts.isMaster, head: head), trouble: nil)
    }
}

/// What a sink and Redis say of one partition.
package struct SinkLook {
    package let partition: Int
    /// nil when it is unknown; 0 for a sink that never began.
    package let position: Int?
    /// The ID of the entry at the position, as it was when it was applied: a hint.
    package let entry: EntryID?
    package let token: Int?
    /// How many batches were refused by their token.
    package let refused: Int?
    /// Who holds the lease.
    package let owner: String?
    /// nil when it is unknown.
    package let pending: PendingSummary?
    package let isGroupMissing: Bool
    /// How many dead letters nobody has retried or dropped.
    package let dead: Int?
    /// Why something of it is unknown.
    package let trouble: RedisReplyError?

    /// The oldest entry that it hasn't applied; nil when there is none, or that is unknown.
    package func next(before head: HeadLook) -> AppendTimes.Wanted? {
        guard let position, let seq = head.look?.head?.seq, Int(seq.number) > position else { return nil }
        return AppendTimes.Wanted(partition: Partition(partition), seq: Seq(Int64(position)).next)
    }

    /// The tickets of a partition's questions.
    package struct Asked {
        private let partition: Partition
        /// The position of a sink that has none there: a sink of one's own may keep it elsewhere.
        private let absent: Int?
        private let position: Int?
        private let dead: Int?
        private let resolved: Int?
        private let lease: Int
        private let pending: Int

        package init(_ partition: Partition, _ group: Group, _ keys: Keys, asking questions: inout Questions) {
            self.partition = partition
            absent = Group.builtIn.contains(group) ? 0 : nil
            let isInRedis = group != .postgres
            position =
                isInRedis
                ? questions.ask(
                    RedisCommand("HMGET", keys.position(partition, group), "seq", "token", "refused", "entry"))
                : nil
            dead = isInRedis ? questions.ask(RedisCommand("XLEN", keys.dead(partition, group))) : nil
            resolved = isInRedis ? questions.ask(RedisCommand("HLEN", keys.deadResolved(partition, group))) : nil
            lease = questions.ask(RedisCommand("GET", keys.lease(partition, group)))
            pending = questions.ask(PendingSummary.question(keys.log(partition), group))
        }

        package func answer(_ replies: [RedisReply], _ ledger: LedgerLook) throws(RedisError) -> SinkLook {
            let summary: PendingSummary?
            var isGroupMissing = false
            var troubles = [position, dead, resolved, lease].compactMap { $0.flatMap { replies[$0].error } }
            switch try PendingSummary.answer(replies[pending]) {
            case .found(let found): summary = found
            case .groupMissing:
                (summary, isGroupMissing) = (nil, true)
            case .failed(let error):
                summary = nil
                troubles.append(error)
            }
            let row = ledger.row(partition.number)
            return SinkLook(
                partition: partition.number,
                position: position.map { number(replies[$0], 0) }
                    ?? row.map { Int($0.ledger.position.seq.number) },
                entry: position.map { replies[$0].count == 4 ? replies[$0][3].string.flatMap { EntryID($0) } : nil }
                    ?? row?.ledger.position.entry,
                token: position.map { number(replies[$0], 1) } ?? row.map { Int($0.ledger.token.number) },
                refused: position.map { number(replies[$0], 2) } ?? row?.refused,
                owner: replies[lease].repairedText, pending: summary, isGroupMissing: isGroupMissing,
                dead: dead.map { unresolved(replies, of: $0) } ?? row?.dead, trouble: troubles.first)
        }

        /// Below zero when somebody deleted letters that were resolved.
        private func unresolved(_ replies: [RedisReply], of dead: Int) -> Int? {
            guard let dead = replies[dead].wholeNumber, let resolved = resolved.flatMap({ replies[$0].wholeNumber })
            else { return nil }
            return max(0, dead - resolved)
        }

        /// A sink that has no position yet has applied nothing.
        private func number(_ reply: RedisReply, _ index: Int) -> Int? {
            guard index < reply.count else { return nil }
            return reply[index].isNull ? absent : reply[index].wholeNumber
        }
    }
}

extension LedgerLook {
    package var server: Snapshot.Server {
        switch self {
        case .notConfigured: .notConfigured
        case .unreachable(let error): .unreachable(error: error)
        case .unusable(let version, _), .rows(let version, _, _): .reachable(version: version)
        }
    }
}
