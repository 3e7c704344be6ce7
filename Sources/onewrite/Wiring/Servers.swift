import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import ThreadedIO

/// Opens connections as the settings say.
///
/// Called on the lane that will use them.
struct Servers: Sendable {
    let settings: Settings
    let keys: Keys
    /// What the servers show of this process.
    let name: String

    init(_ settings: Settings, name: String) throws {
        self.settings = settings
        self.name = name
        keys = try settings.keys()
        _ = try settings.schema()
    }

    func redis(interrupt: Interrupt? = nil) throws -> RedisConnection {
        let configuration = try settings.redis(clientName: name)
        return try RedisConnection(
            connectingTo: configuration, until: .after(configuration.connectTimeout), interrupt: interrupt)
    }

    /// Connects to Postgres.
    ///
    /// - Parameters:
    ///   - avoidsScans: Whether all that is asked on it is in an index.
    ///   - interrupt: What ends its waits.
    /// - Returns: nil when no connection to Postgres is configured.
    /// - Throws: ``Failure``, `PostgresError`.
    func postgres(avoidsScans: Bool = false, interrupt: Interrupt? = nil) throws -> PostgresConnection? {
        guard var configuration = try settings.postgres(applicationName: name) else { return nil }
        configuration.avoidsScans = avoidsScans
        return try PostgresConnection(
            connectingTo: configuration, until: .after(configuration.connectTimeout), interrupt: interrupt)
    }

    /// For commands that can't do without Postgres.
    func requiredPostgres(avoidsScans: Bool = false) throws -> PostgresConnection {
        guard let connection = try postgres(avoidsScans: avoidsScans) else {
            throw Failure(
                .badConfiguration, "no Postgres is configured. Set DATABASE_URL, or libpq's PGHOST and the like")
        }
        return connection
    }

    /// The log that `init` made.
    func identity(_ redis: RedisConnection) throws -> LogIdentity {
        guard let identity = try redis.identity(keys) else {
            throw Failure(
                .tryAgain, "there is no log at \(keys.namespace) on Redis \(redis.address). Run: onewrite init")
        }
        return identity
    }
}
