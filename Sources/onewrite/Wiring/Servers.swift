import Dashboard
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
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

    /// For what writes to the log: a replica is refused, and its master named.
    func master(interrupt: Interrupt? = nil) throws -> RedisConnection {
        let connection = try redis(interrupt: interrupt)
        // A Sentinel's master was asked when the connection was made.
        if !connection.isBySentinel { try connection.requireMaster(until: .after(StreamLog.timeout)) }
        return connection
    }

    /// nil when no connection to Postgres is configured.
    ///
    /// - Parameters:
    ///   - interrupt: Ends its waits.
    ///   - adjust: What its transactions have that others haven't.
    /// - Returns: The connection.
    /// - Throws: `PostgresError`; `StoreError` when the database can't hold every name.
    func postgres(
        interrupt: Interrupt? = nil, adjust: (inout PostgresConfiguration) -> Void = { _ in }
    ) throws -> PostgresConnection? {
        guard var configuration = try settings.postgres(applicationName: name) else { return nil }
        adjust(&configuration)
        let connection = try PostgresConnection(
            connectingTo: configuration, until: .after(configuration.connectTimeout), interrupt: interrupt)
        if let reason = connection.encodingTrouble { throw StoreError(.postgres, .misconfigured, reason) }
        return connection
    }

    /// For commands that can't do without Postgres.
    func requiredPostgres(
        interrupt: Interrupt? = nil, adjust: (inout PostgresConfiguration) -> Void = { _ in }
    ) throws -> PostgresConnection {
        guard let connection = try postgres(interrupt: interrupt, adjust: adjust) else {
            throw Failure(
                .badConfiguration, "no Postgres is configured. Set DATABASE_URL, or libpq's PGHOST and the like")
        }
        return connection
    }

    /// For what writes to Postgres: a standby is refused.
    func primary(
        interrupt: Interrupt? = nil, adjust: (inout PostgresConfiguration) -> Void = { _ in }
    ) throws -> PostgresConnection {
        let connection = try requiredPostgres(interrupt: interrupt, adjust: adjust)
        if let reason = try connection.standbyTrouble(until: .after(PostgresSink.timeout)) {
            throw StoreError(.postgres, .replica, reason)
        }
        return connection
    }

    /// Says which stores a plan, or what can't be taken back, is about.
    func sayWhere() throws { Console.error("on \(try settings.environment().text)") }

    /// The log that `init` made.
    func identity(_ redis: RedisConnection) throws -> LogIdentity {
        guard let identity = try redis.identity(keys) else {
            throw Failure(.tryAgain, missingLog(redis))
        }
        return identity
    }

    /// Refuses a schema that `init` has not made, or has made for another log.
    static func requireSchema(of identity: LogIdentity, on postgres: PostgresConnection) throws {
        guard try PostgresSchema.identity(on: postgres) == identity else {
            throw Failure(
                .badConfiguration,
                "the schema in Postgres is missing, or of another log than Redis's. Run: onewrite init")
        }
    }

    func missingLog(_ redis: RedisConnection) -> String {
        "there is no log at \(keys.namespace) on Redis \(redis.address). Run: onewrite init"
    }
}
