package import OrderLog
package import PostgresClient
package import RedisClient
package import RedisLog
import Sinks
package import ThreadedIO

/// Opens connections as the settings say.
///
/// Called on the lane that will use them.
package struct Servers: Sendable {
    package private(set) var configuration: LogConfiguration
    /// What the servers show of this process.
    package let name: String
    package var keys: Keys { configuration.keys }

    package init(_ configuration: LogConfiguration, name: String) {
        self.configuration = configuration
        self.configuration.redis.clientName = name
        self.configuration.postgres?.applicationName = name
        self.name = name
    }

    package func redis(interrupt: Interrupt? = nil) throws -> RedisConnection {
        try RedisConnection(
            connectingTo: configuration.redis, until: .after(configuration.redis.connectTimeout), interrupt: interrupt)
    }

    /// For what writes to the log: a replica is refused, and its master named.
    package func master(interrupt: Interrupt? = nil) throws -> RedisConnection {
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
    package func postgres(
        interrupt: Interrupt? = nil, adjust: (inout PostgresConfiguration) -> Void = { _ in }
    ) throws -> PostgresConnection? {
        guard var configuration = configuration.postgres else { return nil }
        adjust(&configuration)
        let connection = try PostgresConnection(
            connectingTo: configuration, until: .after(configuration.connectTimeout), interrupt: interrupt)
        if let reason = connection.encodingTrouble { throw StoreError(.postgres, .misconfigured, reason) }
        return connection
    }

    /// For commands that can't do without Postgres.
    package func requiredPostgres(
        interrupt: Interrupt? = nil, adjust: (inout PostgresConfiguration) -> Void = { _ in }
    ) throws -> PostgresConnection {
        guard let connection = try postgres(interrupt: interrupt, adjust: adjust) else {
            throw LogError(
                .badConfiguration, "no Postgres is configured. Set DATABASE_URL, or libpq's PGHOST and the like")
        }
        return connection
    }

    /// For what writes to Postgres: a standby is refused.
    package func primary(
        interrupt: Interrupt? = nil, adjust: (inout PostgresConfiguration) -> Void = { _ in }
    ) throws -> PostgresConnection {
        let connection = try requiredPostgres(interrupt: interrupt, adjust: adjust)
        if let reason = try connection.standbyTrouble(until: .after(PostgresSink.timeout)) {
            throw StoreError(.postgres, .replica, reason)
        }
        return connection
    }

    /// The log that `init` made.
    package func identity(_ redis: RedisConnection) throws -> LogIdentity {
        guard let identity = try redis.identity(keys) else {
            throw LogError(.tryAgain, missingLog(redis))
        }
        return identity
    }

    /// Refuses a schema that `init` has not made, or has made for another log.
    package static func requireSchema(of identity: LogIdentity, on postgres: PostgresConnection) throws {
        guard try PostgresSchema.identity(on: postgres) == identity else {
            throw LogError(
                .badConfiguration,
                "the schema in Postgres is missing, or of another log than Redis's. Run: onewrite init")
        }
    }

    /// What to do where Redis holds no log: Postgres may have a ledger of one.
    package func missingLog(_ redis: RedisConnection) -> String {
        let missing = "there is no log at \(keys.namespace) on Redis \(redis.address)"
        do {
            guard let postgres = try postgres(), try PostgresSchema.identity(on: postgres) != nil,
                try PostgresSchema.hasApplied(on: postgres)
            else { return "\(missing). Run: onewrite init" }
            return
                "\(missing), although Postgres has a ledger: Redis lost everything, or this is the wrong server or namespace. "
                + "To make the log anew from the ledger: onewrite rebuild log"
        } catch {
            return
                "\(missing). Run: onewrite init, or if Postgres, which can't be asked now, has a ledger: onewrite rebuild log"
        }
    }
}
