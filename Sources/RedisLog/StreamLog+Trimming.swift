package import OrderLog
import RedisClient
import ThreadedIO

extension StreamLog: TrimmableLog {
    package func standings(in partition: Partition) async throws -> [GroupStanding] {
        try translatingRedisErrors { () throws(RedisError) in
            let definitions = try connection.groupDefinitions(keys)
            let replies = try connection.pipeline(
                definitions.flatMap { group, _ in
                    [
                        RedisCommand("HMGET", keys.position(partition, group), "seq", "entry"),
                        RedisCommand("XPENDING", keys.log(partition), group.name),
                    ]
                }, until: .after(Self.timeout))
            return try definitions.enumerated().map { index, known throws(RedisError) in
                try GroupStanding(
                    known.group, known.definition, in: partition, position: replies[2 * index],
                    pending: replies[2 * index + 1])
            }
        }
    }

    package func trim(
        _ partition: Partition, before keep: EntryLocation, under history: History, heeding standings: [GroupStanding]
    ) async throws -> TrimOutcome {
        let inRedis = standings.filter { $0.seq != nil }
        var arguments: RedisArguments = [
            history.epoch.description, history.replid, keep.place.seq.description, keep.entry.description,
            inRedis.count,
        ]
        for standing in inRedis + standings.filter({ $0.seq == nil }) {
            arguments.append(standing.group.name)
            arguments.append(standing.began.description)
        }
        let names = [keys.head(partition), keys.log(partition)] + inRedis.map { keys.position(partition, $0.group) }
        return try translatingRedisErrors { () throws(RedisError) in
            let reply = try ScriptReply(
                try connection.evaluate(Scripts.trim, keys: names, arguments: arguments, until: .after(Self.timeout)))
            switch reply.code {
            case "TRIMMED": return .trimmed(Int(try reply.number(1)))
            case "HISTORY": return .historyChanged
            case "ELSEWHERE": return .elsewhere
            case "HELD":
                guard let group = Group(try reply.string(1)) else {
                    throw .protocolViolation("a group's name from trim.lua")
                }
                return .held(group)
            default: throw reply.unknownCode
            }
        }
    }
}

extension GroupStanding {
    fileprivate init(
        _ group: Group, _ definition: GroupDefinition, in partition: Partition, position: RedisReply,
        pending: RedisReply
    ) throws(RedisError) {
        let began = Seq(max(0, definition.beginning(of: partition)?.seq ?? 0))
        // A group that isn't there has nothing pending; its sink's position counts all the same.
        if let error = pending.error, error.code != "NOGROUP" { throw .reply(error) }
        let oldest = pending.error == nil ? pending.elements.dropFirst().first?.string.flatMap { EntryID($0) } : nil
        guard group != .postgres else {
            self.init(group: group, seq: nil, entry: nil, began: began, oldestPending: oldest)
            return
        }
        let fields = try position.requireArray(count: 2)
        guard let seq = Int64(fields[0].string ?? "0"), seq >= 0 else {
            throw .protocolViolation("the position of \(group) as a whole number")
        }
        self.init(
            group: group, seq: Seq(seq), entry: fields[1].string.flatMap { EntryID($0) }, began: began,
            oldestPending: oldest)
    }
}
