package import OrderLog
package import RedisClient

/// What a group has pending in one partition, in short.
///
/// Redis: <https://redis.io/docs/latest/commands/xpending/>
package struct PendingSummary {
    package enum Answer {
        case found(PendingSummary)
        /// The stream or its consumer group is not there.
        case groupMissing
        case failed(RedisReplyError)
    }

    package let count: Int
    /// The entry that was appended first.
    package let oldest: EntryID?
    /// How many each consumer has.
    package let consumers: [(name: String, count: Int)]

    package static func question(_ key: String, _ group: Group) -> RedisCommand {
        RedisCommand("XPENDING", key, group.name)
    }

    package static func answer(_ reply: RedisReply) throws(RedisError) -> Answer {
        if let error = reply.error { return error.code == "NOGROUP" ? .groupMissing : .failed(error) }
        let parts = try reply.requireArray(count: 4)
        let consumers = parts[3].elements.map { pair in
            pair.count == 2 ? (pair[0].repairedText ?? "", pair[1].wholeNumber ?? 0) : ("", 0)
        }
        return .found(
            PendingSummary(
                count: Int(try parts[0].requireInteger()), oldest: parts[1].string.flatMap { EntryID($0) },
                consumers: consumers))
    }
}
