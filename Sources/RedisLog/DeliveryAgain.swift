package import OrderLog
package import RedisClient
import ThreadedIO

extension RedisConnection {
    /// What came of putting jobs into the list again.
    package enum JobsOutcome: Hashable, Sendable {
        case pushed(Int)
        /// The log is in another history, or the sink has gone back: look again.
        case changed
        /// The key holds something else.
        case stalled(String)
    }

    /// Puts jobs into a partition's delivery list again, each at its place.
    ///
    /// - Parameters:
    ///   - jobs: None of them in the list, those of higher seqs first: a few hundred, or a few when the list is long.
    ///   - partition: Which.
    ///   - history: The log's when the sink's position was read.
    ///   - keys: The log's keys.
    /// - Returns: What came of it.
    /// - Throws: ``RedisError``.
    package func deliverAgain(
        _ jobs: some Collection<(seq: Seq, json: String)>, in partition: Partition, under history: History, _ keys: Keys
    ) throws(RedisError) -> JobsOutcome {
        var arguments: RedisArguments = [history.epoch.description, history.replid]
        for job in jobs {
            arguments.append(job.seq.description)
            arguments.append(job.json)
        }
        let reply = try ScriptReply(
            try evaluate(
                Scripts.deliverAgain,
                keys: [keys.head(partition), keys.position(partition, .delivery), keys.deliveries(partition)],
                arguments: arguments, until: .after(StreamLog.timeout)))
        switch reply.code {
        case "PUSHED": return .pushed(Int(try reply.number(1)))
        case "HISTORY", "AHEAD": return .changed
        case "STALLED": return .stalled(try reply.string(1))
        default: throw reply.unknownCode
        }
    }
}
