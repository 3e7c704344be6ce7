package import Connections
package import OrderLog
package import PostgresClient
package import RedisClient
package import RedisLog
import Sinks
import ThreadedIO

/// The connections over which a command works on dead letters.
///
/// Stays on its lane.
package struct DeadLetterStores {
    package let redis: RedisConnection
    /// nil when it isn't configured, or can't be asked.
    package let postgres: PostgresConnection?
    package let identity: LogIdentity
    package let keys: Keys
    package let groups: [Group]
    /// Why Postgres, although configured, can't be asked.
    package let trouble: String?

    /// Connects.
    ///
    /// - Parameters:
    ///   - servers: Where.
    ///   - isPostgresNeeded: Whether to fail without Postgres.
    /// - Throws: ``LogError``, `RedisError` or `PostgresError`.
    package init(_ servers: Servers, isPostgresNeeded: Bool) throws {
        redis = try servers.redis()
        identity = try servers.identity(redis)
        keys = servers.keys
        groups = try redis.groups(keys)
        var postgres: PostgresConnection?
        var trouble: String?
        do {
            postgres = try isPostgresNeeded ? servers.requiredPostgres() : servers.postgres()
            if let postgres { try Self.check(postgres, identity) }
        } catch  where !isPostgresNeeded {
            // Redis alone can still tell much.
            (postgres, trouble) = (nil, LogError(anyOf: error)?.message ?? "\(error)")
        }
        (self.postgres, self.trouble) = (postgres, trouble)
    }

    package func read() throws -> DeadLetterReader.Found {
        try DeadLetterReader(redis: redis, postgres: postgres, keys: keys, partitioning: identity.partitioning).read()
    }

    /// Records what became of a letter, beside what each group recorded of it.
    ///
    /// Safe to repeat: the first resolution stays, but for one that says that the change has a new place, which is a fact.
    package func record(_ resolution: Resolution, of letter: DeadLetter) throws {
        let text = try resolution.recorded()
        let overwrites = resolution.outcome == .retried
        for part in letter.parts {
            switch part.record {
            case .stream(let id):
                _ = try redis.call(
                    RedisCommand(
                        overwrites ? "HSET" : "HSETNX", keys.deadResolved(letter.partition, part.group), id, text),
                    until: .after(StreamLog.timeout))
            case .row(let epoch):
                try postgres?.query(
                    """
                    UPDATE dead_letters SET resolution = $5, resolved_at = now()
                    WHERE partition = $1 AND CASE WHEN $2::bigint IS NULL THEN seq IS NULL AND epoch = $3 AND entry = $4
                        ELSE seq = $2 END AND (resolution IS NULL OR $6)
                    """,
                    [
                        .integer(Int64(letter.partition.number)), letter.seq.map { .integer($0.number) } ?? .null,
                        .integer(epoch), .text(letter.entry), .text(text), .boolean(overwrites),
                    ], until: .after(PostgresSink.timeout))
            case nil: break
            }
        }
    }

    private static func check(_ postgres: PostgresConnection, _ identity: LogIdentity) throws {
        try Servers.requireSchema(of: identity, on: postgres)
        let column = try postgres.query(
            "SELECT FROM pg_attribute WHERE attrelid = 'dead_letters'::regclass AND attname = 'resolution'",
            until: .after(PostgresSink.timeout))
        guard !column.isEmpty else {
            throw LogError(
                .badConfiguration, "the schema in Postgres lacks what early builds had not. Run: onewrite upgrade")
        }
    }
}
