package import OrderLog
package import RedisClient
import ThreadedIO

/// A partition's idempotency window, made anew for a log that is planted.
///
/// What is left of one that was given up is gone an hour later.
package struct WindowShadow {
    private static let life = "3600000"
    /// IDs in one call.
    private static let slice = 500

    private let redis: RedisConnection
    /// Where they are written.
    let key: String
    /// How many IDs were written.
    package private(set) var count = 0

    /// - Parameters:
    ///   - redis: The log's server.
    ///   - keys: The log's keys.
    ///   - partition: Which.
    ///   - maker: A name that nobody else has.
    package init(_ redis: RedisConnection, _ keys: Keys, _ partition: Partition, by maker: WorkerName) {
        (self.redis, key) = (redis, keys.seenShadow(partition, by: maker))
    }

    /// Writes the IDs of entries, as if they had just been appended.
    ///
    /// - Parameter entries: Of the ledger; one that is no change has no ID.
    /// - Throws: ``RedisError``.
    package mutating func write(_ entries: some Collection<LedgerEntry>) throws(RedisError) {
        var commands: [RedisCommand] = []
        var command = RedisCommand("HSET", key)
        var pairs = 0
        for entry in entries {
            guard let change = entry.change else { continue }
            command.append(change.name)
            command.append("\(change.digest) \(entry.seq) \(entry.location?.entry ?? .zero)")
            pairs += 1
            if pairs.isMultiple(of: Self.slice) {
                commands.append(command)
                command = RedisCommand("HSET", key)
            }
        }
        if pairs == 0 { return }
        if !pairs.isMultiple(of: Self.slice) { commands.append(command) }
        commands.append(RedisCommand("PEXPIRE", key, Self.life))
        for reply in try redis.pipeline(commands, until: .after(StreamLog.timeout)) {
            if let error = reply.error { throw .reply(error) }
        }
        count += pairs
    }

    /// Deletes what was written and is not in use.
    package func discard() throws(RedisError) {
        _ = try redis.call(RedisCommand("UNLINK", key), until: .after(StreamLog.timeout))
    }
}
