package import RedisClient
package import ThreadedIO

/// What a server says of its append-only file, as far as half a transaction at its end matters.
///
/// A power cut that goes through a command within MULTI … EXEC leaves MULTI and what stood before the cut in the file.
/// What is written behind it becomes a part of that transaction at the next start: half of it is executed then, or what
/// follows is lost with it. From the moment at which a rewrite begins, the server writes to another file.
///
/// Redis: <https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/>
package struct AppendOnlyFile: Sendable, Equatable {
    /// What came of asking for a new file.
    package enum Renewal: Sendable, Equatable {
        /// What is written from now on goes to a file that this process of the server has begun, or to none.
        case begun
        /// A rewrite waits for something else that the server writes, an RDB save mostly.
        case scheduled
        /// The server doesn't, in its own words.
        case refused(String)
    }

    package let isOn: Bool
    let isRewriting: Bool
    let isScheduled: Bool
    /// Whether this process of the server has ended a rewrite, well or not.
    let hasRewritten: Bool
    let hasFailed: Bool

    /// Reads the fields of `INFO persistence`; nil when it doesn't tell.
    package init?(_ fields: [Substring: Substring]) {
        guard let enabled = fields["aof_enabled"] else { return nil }
        isOn = enabled == "1"
        isRewriting = fields["aof_rewrite_in_progress"] == "1"
        isScheduled = fields["aof_rewrite_scheduled"] == "1"
        hasRewritten = fields["aof_last_rewrite_time_sec"].flatMap { Int($0) }.map { $0 >= 0 } ?? false
        hasFailed = fields["aof_last_bgrewrite_status"] == "err"
    }

    /// Whether what is written now goes to a file that this process has begun; one that failed has begun it, too.
    var isNew: Bool { !isOn || isRewriting || hasRewritten }

    /// Whether an older file, with whatever stands at its end, may still be loaded at the next start.
    package var keepsOldTail: Bool { isOn && !isRewriting && (!hasRewritten || hasFailed) }
}

extension RedisSession {
    /// Sees to it that the server writes to a file that it has begun since it was started.
    ///
    /// Waits for a rewrite to begin, not for its end: milliseconds, whatever the size of the data.
    ///
    /// - Parameter deadline: How long a rewrite that is scheduled is waited for.
    /// - Returns: What came of it.
    /// - Throws: ``RedisError`` when the connection is of no use.
    ///
    /// Redis: <https://redis.io/docs/latest/commands/bgrewriteaof/>
    package func beginNewFile(until deadline: Deadline) throws(RedisError) -> AppendOnlyFile.Renewal {
        var hasAsked = false
        while true {
            let info = try ask(RedisCommand("INFO", "persistence"))
            if let refusal = info.error { return .refused("INFO: \(refusal)") }
            guard let file = AppendOnlyFile(try info.requireInfo()) else {
                return .refused("INFO says nothing of an append-only file")
            }
            if file.isNew { return .begun }
            if file.isScheduled, !file.hasFailed {
                if deadline.hasPassed { return .scheduled }
                FineSleep.sleep(until: min(deadline, .after(.milliseconds(10))).instant)
                continue
            }
            guard !hasAsked else { return .refused("the rewrite did not begin; the server's log says why") }
            hasAsked = true
            // Somebody else may have been faster: the next look tells.
            let reply = try ask(RedisCommand("BGREWRITEAOF"))
            if let refusal = reply.error, !refusal.message.contains("in progress") {
                return .refused("BGREWRITEAOF: \(refusal)")
            }
        }
    }

    private func ask(_ command: RedisCommand) throws(RedisError) -> RedisReply {
        try pipeline([command], until: .after(StreamLog.timeout))[0]
    }
}
