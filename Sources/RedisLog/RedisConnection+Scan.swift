package import RedisClient
import ThreadedIO

extension RedisConnection {
    /// Looks through all keys of all servers, a thousand at a time.
    ///
    /// A key that is there all the while is handed over at least once.
    ///
    /// - Parameters:
    ///   - pattern: What the keys' names look like.
    ///   - roundsMax: How often a server is asked at most; nil for no bound.
    ///   - body: Takes the names.
    /// - Throws: ``RedisError``.
    ///
    /// Redis: <https://redis.io/docs/latest/commands/scan/>
    package func forEachKey(
        like pattern: String, roundsMax: Int? = nil, _ body: (RedisReply.Elements) throws(RedisError) -> Void
    ) throws(RedisError) {
        for server in try sessions(until: .after(StreamLog.timeout)) {
            var (cursor, rounds) = ("0", 0)
            repeat {
                let reply = try server.call(
                    RedisCommand("SCAN", cursor, "MATCH", pattern, "COUNT", 1000), until: .after(.seconds(10))
                ).requireArray(count: 2)
                cursor = try reply[0].requireString()
                rounds += 1
                try body(try reply[1].requireArray())
            } while cursor != "0" && rounds < roundsMax ?? .max
        }
    }
}
