import PrivateServers

/// A Redis and a Postgres server of a test's own, made by ``withPrivateServers(_:)``.
///
/// They listen on unix sockets in a temporary directory, so that they meet no other server and nobody else reaches them.
/// They end with the test's process, however that ends.
public struct PrivateServers: Sendable {
    /// Where Redis is, as `LogConfiguration` and `REDIS_URL` take it.
    public let redis: String
    /// Where Postgres is, as `LogConfiguration` and `DATABASE_URL` take it: an empty database in UTF-8.
    public let postgres: String

    /// What the `onewrite` command takes from its environment to work with these servers, whatever is set there already.
    public var environment: [String: String] {
        [
            "ONEWRITE_REDIS_URL": redis, "REDIS_URL": redis, "ONEWRITE_DATABASE_URL": postgres,
            "DATABASE_URL": postgres, "ONEWRITE_NAMESPACE": "onewrite", "ONEWRITE_SCHEMA": "onewrite",
        ]
    }
}

/// Runs a test with a Redis and a Postgres server of its own, and removes both afterwards.
///
/// It takes `redis-server` from `PATH`, and Postgres's programs from there or from `/usr/lib/postgresql`; as root it runs
/// Postgres as the user `postgres`. Starting both takes 1 to 3 s. Postgres doesn't wait for its disk (`fsync=off`), since
/// no test cuts the power.
///
/// ```swift
/// @Test func follows() async throws {
///     try await withPrivateServers { servers in
///         let configuration = try LogConfiguration(redis: servers.redis, postgres: servers.postgres)
///         …
///     }
/// }
/// ```
///
/// - Parameter body: The test.
/// - Returns: What the body returns.
/// - Throws: What the body throws; an error that says which program is missing, or has the end of a server's log.
public func withPrivateServers<Result>(_ body: (PrivateServers) async throws -> Result) async throws -> Result {
    let directory = try await PrivateDirectory()
    async let startingRedis = PrivateRedis.start(in: directory)
    async let startingPostgres = PrivatePostgres.start(in: directory, settings: ["fsync=off"])
    let (redis, postgres) = (try await startingRedis, try await startingPostgres)
    func end() async {
        await redis.stop()
        // Nobody reads what an orderly stop would write.
        await postgres.stop(.immediate)
        await directory.remove()
    }
    do {
        let result = try await body(PrivateServers(redis: redis.url, postgres: postgres.url))
        await end()
        return result
    } catch {
        await end()
        throw error
    }
}
