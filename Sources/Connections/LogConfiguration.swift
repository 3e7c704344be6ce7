public import OrderLog
package import PostgresClient
package import RedisClient
package import RedisLog

/// Where a log lives, and how it is used.
public struct LogConfiguration: Sendable {
    package var redis: RedisConfiguration
    /// nil when no connection to Postgres is configured.
    package var postgres: PostgresConfiguration?
    package var keys: Keys

    /// How long a worker's lease lasts, 1 s to 10 min.
    public var lease: Duration = .seconds(10)
    /// How long a change ID is remembered, 1 min to 30 days: the idempotency window.
    public var window: Duration = .seconds(86400)
    /// How long it is tried again before it is given up, 100 ms to a day.
    public var timeout: Duration = .seconds(30)
    /// How long what every group has applied stays in the log, 1 s to 3650 days: a worker of group `postgres` drops what is
    /// older; nil for ever.
    public var trim: Duration?
    /// What makes a submitted change accepted.
    public var durability: Durability = .server

    package init(redis: RedisConfiguration, postgres: PostgresConfiguration?, keys: Keys) {
        self.redis = redis
        self.postgres = postgres
        self.keys = keys
    }

    /// Takes addresses and names.
    ///
    /// - Parameters:
    ///   - redis: `redis://[user:password@]host:port/db`, `unix:///path?db=0`,
    ///     `redis+sentinel://[user:password@]host:port,host:port/master/db`, or
    ///     `redis+cluster://[user:password@]host:port,host:port`; with TLS `rediss://` and the like.
    ///   - postgres: `postgres://…`; empty for libpq's own environment (`PGHOST` …); nil where none is needed.
    ///   - namespace: What the keys in Redis begin with: 1 to 64 of `[A-Za-z0-9._:/-]`.
    ///   - schema: The schema in Postgres: 1 to 63 of `[A-Za-z0-9._-]`.
    ///   - redisPasswordFile: A file with the password in Redis, read at each connection; it wins over the address's.
    ///   - postgresPasswordFile: The same for Postgres.
    /// - Throws: ``LogError`` that says what is wrong with one of them.
    public init(
        redis: String = "redis://127.0.0.1:6379/0", postgres: String? = nil, namespace: String = "onewrite",
        schema: String = "onewrite", redisPasswordFile: String? = nil, postgresPasswordFile: String? = nil
    ) throws(LogError) {
        guard let keys = Keys(namespace: namespace) else {
            throw LogError(.badConfiguration, "namespace: expected 1 to 64 of A-Z a-z 0-9 . _ : / -")
        }
        guard Self.isSchema(schema) else {
            throw LogError(.badConfiguration, "schema: expected 1 to 63 of A-Z a-z 0-9 . _ -")
        }
        do {
            self.init(
                redis: try RedisConfiguration(url: redis, passwordFile: redisPasswordFile), postgres: nil, keys: keys)
            self.postgres = try postgres.map { try PostgresConfiguration(url: $0.isEmpty ? nil : $0) }
        } catch {
            throw LogError(anyOf: error) ?? LogError(.bug, "\(error)")
        }
        self.postgres?.schema = schema
        self.postgres?.passwordFile = postgresPasswordFile
    }

    /// Whether a schema may have this name.
    package static func isSchema(_ name: String) -> Bool {
        (1...63).contains(name.utf8.count) && name.utf8.allSatisfy(Alphabet.sku.contains)
    }
}
