package import PrivateServers
import Synchronization

/// The servers that all tests of this process share.
///
/// Each is started when a test first asks for it, and ends with the process. A test keeps to names of its own
/// (``withServers(_:)``), and one that kills, pauses or configures a server starts its own (`PrivateRedis.start()`).
package enum SharedServers {
    private static let redisStart = Task { try await PrivateRedis.start() }
    private static let postgresStart = Task { try await PrivatePostgres.start(settings: testSettings) }
    private static let namespaces = Atomic(0)

    /// The shared Redis.
    package static func redis() async throws -> PrivateRedis { try await redisStart.value }

    /// The shared Postgres.
    package static func postgres() async throws -> PrivatePostgres { try await postgresStart.value }

    /// A name that no other test of this process has: for keys, schemas and databases.
    package static func newNamespace() -> String {
        "t\(namespaces.add(1, ordering: .relaxed).newValue)"
    }
}

/// What was written outlives the processes, and no test cuts the power: without fsync tests are much faster.
private let testSettings = ["fsync=off"]

/// What a test works with: the servers, and names of its own in them.
package struct TestServers: Sendable {
    /// Redis; keys start with ``namespace``.
    package let redis: PrivateRedis
    /// Postgres.
    package let postgres: PrivatePostgres
    /// A name that only this test has, such as `t17`: namespace in Redis, schema in Postgres.
    package let namespace: String

    /// A name, and servers of the test's own.
    package init(redis: PrivateRedis, postgres: PrivatePostgres, namespace: String = SharedServers.newNamespace()) {
        self.redis = redis
        self.postgres = postgres
        self.namespace = namespace
    }

    /// Makes an empty database that only this test has, and returns its URL.
    ///
    /// It takes a moment: a schema named ``namespace`` in the shared database serves most tests.
    package func newDatabase() async throws -> String {
        try await postgres.createDatabase(SharedServers.newNamespace())
    }

    /// What the `onewrite` executable takes from its environment to work with these servers, and with nothing else.
    package var environment: [String: String?] {
        [
            "ONEWRITE_REDIS_URL": redis.url, "REDIS_URL": nil, "DATABASE_URL": postgres.url,
            "ONEWRITE_NAMESPACE": namespace, "ONEWRITE_SCHEMA": namespace, "NO_COLOR": "1",
        ]
    }
}

/// Runs a test with the shared servers and a namespace of its own.
package func withServers<Result>(_ body: (TestServers) async throws -> Result) async throws -> Result {
    async let redis = SharedServers.redis()
    async let postgres = SharedServers.postgres()
    return try await body(TestServers(redis: try await redis, postgres: try await postgres))
}

/// Runs a test with servers of its own, which it may kill, and removes them afterwards.
///
/// - Parameters:
///   - redisOptions: Lines of a Redis configuration file.
///   - postgresSettings: Postgres settings such as `lock_timeout=2s`.
///   - postgresAccess: Lines of `pg_hba.conf`.
///   - isEncrypted: Whether both listen on a port with TLS: Redis with nothing else, Postgres as its clients like.
///   - body: The test.
/// - Returns: What the body returns.
/// - Throws: What the body throws; `ServerError` when a server did not start.
package func withOwnServers<Result>(
    redisOptions: [String] = [], postgresSettings: [String] = [], postgresAccess: [String] = [],
    isEncrypted: Bool = false, _ body: (TestServers) async throws -> Result
) async throws -> Result {
    let directory = try await PrivateDirectory()
    let tls = isEncrypted ? try await privateTLS(in: directory) : nil
    async let redis = PrivateRedis.start(in: directory, options: redisOptions, tls: tls)
    async let postgres = PrivatePostgres.start(
        in: directory, settings: testSettings + postgresSettings, access: postgresAccess, tcp: isEncrypted, tls: tls)
    let servers = TestServers(redis: try await redis, postgres: try await postgres)
    do {
        let result = try await body(servers)
        await servers.end(directory)
        return result
    } catch {
        await servers.end(directory)
        throw error
    }
}

private func privateTLS(in directory: PrivateDirectory) async throws -> PrivateTLS {
    let authority = try await PrivateAuthority(in: directory)
    return PrivateTLS(try await authority.issue("servers"), of: authority)
}

extension TestServers {
    fileprivate func end(_ directory: PrivateDirectory) async {
        await redis.stop()
        // Nobody reads what an orderly stop would write.
        await postgres.stop(.immediate)
        await directory.remove()
    }
}
