import Harness
import PrivateServers
import RedisClient
import Testing
import ThreadedIO

@Suite("A cut tail's contents")
struct LostTailContentsTests {
    @Test("the changes that are said to be lost are those that are missing after the restart")
    func contents() async throws {
        ignoreBrokenPipes()
        let redis = try await PrivateRedis.start(options: ["appendfsync no"])
        let shop = Shop(redisURL: redis.url, postgresURL: "")
        let limit = Deadline.after(.seconds(20))
        try await BlockingLane(name: "append").run {
            let connection = try shop.redis()
            // As append.lua does: several entries a transaction.
            for call in 0..<10 {
                let script = """
                    for k = 1, 3 do
                      redis.call('XADD', KEYS[1], '*', 'epoch', 1, 'seq', k, 'id', ARGV[1] .. k, 'shop', 'main')
                      redis.call('HSET', KEYS[2], ARGV[1] .. k, 1)
                    end
                    """
                try connection.call(
                    RedisCommand("EVAL", script, 2, "{x:0}:log", "{x:0}:seen", "o\(call)-"), until: limit)
            }
        }
        await redis.kill()
        let lost = try LostTail.cut(redis, losing: 4)
        try await redis.restart()
        let left = try await BlockingLane(name: "read").run {
            try shop.redis().call(RedisCommand("XRANGE", "{x:0}:log", "-", "+"), until: limit).elements.map {
                try $0[1][5].requireString()
            }
        }
        #expect(lost.map(\.id) == ["o8-1", "o8-2", "o8-3", "o9-1", "o9-2", "o9-3"])
        #expect(left.count == 24 && left.last == "o7-3")
        #expect(lost.allSatisfy { $0.shop == "main" })
        await redis.stop()
    }

    @Test("a cut back into the last transaction goes through it, wherever the file ended before")
    func throughTransaction() async throws {
        let redis = try await PrivateRedis.start(options: ["appendfsync no"])
        try await redis.ask("EVAL", "redis.call('INCR', 'a') redis.call('INCR', 'b') return 1", "2", "a", "b")
        for _ in 0..<10 { try await redis.ask("SET", "single", "1") }
        await redis.kill()
        #expect(try !LostTail.cut(redis, bytes: 40).isInTransaction)
        let bytes = try #require(try LostTail.bytesBackIntoTransaction(redis))
        #expect(try LostTail.cut(redis, bytes: bytes).isInTransaction)
        #expect(try LostTail.bytesBackIntoTransaction(redis) == 0)
        try await redis.restart()
        #expect(try await redis.ask("EXISTS", "a", "b", "single") == "0")
        await redis.stop()
    }
}
