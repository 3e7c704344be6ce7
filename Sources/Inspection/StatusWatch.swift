package import Connections
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
package import Reports
import ThreadedIO

/// Keeps the connections over which people look at the stores, on a thread of their own.
///
/// A connection that broke since the last look is made anew; a Postgres that can't be reached is left alone for a while,
/// so that it doesn't hold up every look.
package actor StatusWatch {
    private let executor = ThreadExecutor(name: "inspect")
    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let servers: Servers
    private let environment: Snapshot.Environment
    private let notice: @Sendable (String) -> Void
    private let interrupt = Interrupt()
    private var redis: RedisConnection?
    private var postgres: PostgresConnection?
    /// Why Postgres takes no writes.
    private var standby: String?
    /// How long one command of the last look took each server, there and back; nil while it isn't known.
    package private(set) var roundTrips: (redis: Duration?, postgres: Duration?)
    private var postgresTrouble: (text: String, until: Deadline)?

    private static let postgresRest: Duration = .seconds(5)
    /// Somebody waits: a server that takes longer is as good as down.
    private static let connectTimeout: Duration = .seconds(2)

    /// Takes where to look; connects when it is asked.
    ///
    /// - Parameters:
    ///   - servers: Where.
    ///   - environment: What the snapshots call it.
    ///   - notice: Takes a line for people, about what is waited for.
    package init(
        _ servers: Servers, environment: Snapshot.Environment, notice: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.servers = servers
        self.notice = notice
        self.environment = environment
    }

    /// Takes a snapshot; ends soon when the task is cancelled.
    ///
    /// - Parameters:
    ///   - query: Which pending entries and dead letters to read as well.
    ///   - isPatient: Whether to wait for a Redis that does nothing just now.
    /// - Returns: The snapshot.
    /// - Throws: ``LogError`` when there is no log, `RedisError` when Redis can't be asked.
    package func snapshot(_ query: PageQuery? = nil, patiently isPatient: Bool = false) async throws -> Snapshot {
        try await withTaskCancellationHandler {
            guard isPatient else { return try take(query) }
            var patience = Patience(interrupt: interrupt, notice: notice)
            return try patience.attempt { try take(query) }
        } onCancel: {
            interrupt.signal()
        }
    }

    private func take(_ query: PageQuery?) throws -> Snapshot {
        let isReused = redis?.isUsable == true
        do {
            return try takeOnce(query)
        } catch RedisError.connectionLost where isReused {
            // Nothing but reading: asking again does no harm.
            return try takeOnce(query)
        }
    }

    private func takeOnce(_ query: PageQuery?) throws -> Snapshot {
        let redis: RedisConnection
        if let kept = self.redis, kept.isUsable {
            redis = kept
        } else {
            redis = try servers.redis(interrupt: interrupt)
        }
        self.redis = redis
        let begun = ContinuousClock.now
        roundTrips.redis = nil
        let identity = try servers.identity(redis)
        roundTrips.redis = .now - begun
        let ledger = try look(log: identity.log)
        var snapshot = try SnapshotReader(
            redis: redis, keys: servers.keys, environment: environment, standby: standby
        ).read(identity, ledger: ledger, query: query)
        if let query, query.withDead { snapshot.deadPage = try deadPage(query, redis, identity) }
        return snapshot
    }

    private func deadPage(
        _ query: PageQuery, _ redis: RedisConnection, _ identity: LogIdentity
    ) throws -> Snapshot.DeadPage {
        let ledger = postgres.flatMap { $0.isUsable ? $0 : nil }
        let found = try DeadLetterReader(
            redis: redis, postgres: ledger, keys: servers.keys, partitioning: identity.partitioning
        ).read()
        let unresolved = found.letters.filter { !$0.isResolved }
        return Snapshot.DeadPage(
            letters: unresolved.prefix(query.limit).map { $0.line(now: found.now) }, total: unresolved.count,
            knowsPostgres: ledger != nil)
    }

    /// What is to be said when a snapshot failed: Postgres is asked all the same, since Redis's trouble isn't its own.
    ///
    /// - Parameter error: What ``snapshot(_:)`` threw.
    /// - Returns: The reason, and what each server does.
    package func unavailable(_ error: any Error) -> Snapshot.Unavailable {
        let text = LogError(anyOf: error)?.message ?? "\(error)"
        let answering = redis.flatMap { redis -> Snapshot.Server? in
            redis.isUsable
                ? .reachable(version: sanitized(redis.serverVersion), name: sanitized(redis.serverName)) : nil
        }
        let redis = error is RedisError ? .unreachable(error: text) : answering
        do {
            return Snapshot.Unavailable(error: text, redis: redis, postgres: try look(log: nil).server)
        } catch {
            return Snapshot.Unavailable(error: text, redis: redis)
        }
    }

    private func look(log: String?) throws -> LedgerLook {
        roundTrips.postgres = nil
        if let postgresTrouble, !postgresTrouble.until.hasPassed { return .unreachable(postgresTrouble.text) }
        guard var configuration = servers.configuration.postgres else {
            return .notConfigured
        }
        configuration.connectTimeout = Self.connectTimeout
        configuration.statementTimeout = LedgerLook.timeout
        let isReused = postgres?.isUsable == true
        do throws(PostgresError) {
            return try lookOnce(log, configuration)
        } catch .connectionLost where isReused {
            return try look(log: log)
        } catch .interrupted(let outcomeIsUnknown) {
            throw PostgresError.interrupted(outcomeIsUnknown: outcomeIsUnknown)
        } catch {
            (postgres, standby) = (nil, nil)
            postgresTrouble = ("\(error)", .after(Self.postgresRest))
            return .unreachable("\(error)")
        }
    }

    private func lookOnce(_ log: String?, _ configuration: PostgresConfiguration) throws(PostgresError) -> LedgerLook {
        let connection: PostgresConnection
        if let kept = postgres, kept.isUsable {
            connection = kept
        } else {
            connection = try PostgresConnection(
                connectingTo: configuration, until: .after(Self.connectTimeout), interrupt: interrupt)
        }
        postgres = connection
        standby = try connection.standbyTrouble(until: .after(LedgerLook.timeout))
        let begun = ContinuousClock.now
        defer { roundTrips.postgres = .now - begun }
        return try LedgerLook.read(connection, log: log)
    }
}

extension DeadLetter {
    fileprivate func line(now: Int) -> DeadLetterLine {
        DeadLetterLine(
            letter: id, ageMilliseconds: max(0, now - (parts.map(\.milliseconds).min() ?? now)),
            groups: groups.map(\.name), reason: parts.first?.reason, error: parts.first?.error, shop: text("shop"),
            id: text("id"))
    }
}
