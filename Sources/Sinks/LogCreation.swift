import Coordination
import Foundation
package import OrderLog
package import PostgresClient
package import RedisClient
package import RedisLog

/// Creates the log in Redis and the schema in Postgres, opens it, and makes the groups.
///
/// Safe to repeat.
package struct LogCreation {
    /// Why there can't be such a log.
    package enum Refusal: Error, Hashable, Sendable {
        /// A log with another number of partitions is there: that number is fixed.
        case partitions(store: StoreError.Store, existing: Int, asked: Int)
        /// Redis and Postgres hold two logs that have nothing to do with each other.
        case twoLogs(redis: String, postgres: String)
        /// A partition can't be opened; a person has to decide.
        case halted(String)
        /// A partition can't be opened yet, and why.
        case waiting(Partition, String)
        /// Others open the log again and again.
        case contended(Partition)
    }

    private let redis: RedisConnection
    private let keys: Keys
    private let postgres: PostgresConnection
    private let schema: String

    /// - Parameters:
    ///   - redis: A connection to the log's server.
    ///   - keys: The log's keys.
    ///   - postgres: A connection with the schema in its search path.
    ///   - schema: The schema's name.
    package init(redis: RedisConnection, keys: Keys, postgres: PostgresConnection, schema: String) {
        self.redis = redis
        self.keys = keys
        self.postgres = postgres
        self.schema = schema
    }

    /// Creates what is missing; a log that is there keeps its format.
    ///
    /// - Parameters:
    ///   - partitioning: For a new log.
    ///   - mustMatch: Whether a log that is there must have that many partitions.
    /// - Returns: The log that is there now, open; its format is the older one, should the stores differ.
    /// - Throws: ``Refusal`` before anything is changed, but for ``Refusal/halted(_:)`` and ``Refusal/contended(_:)``;
    ///   `RedisError`, `PostgresError` and `StoreError`.
    package func create(_ partitioning: Partitioning, mustMatch: Bool) async throws -> LogIdentity {
        let inRedis = try redis.identity(keys)
        let inPostgres = try PostgresSchema.identity(on: postgres)
        for (store, found) in [(StoreError.Store.redis, inRedis), (.postgres, inPostgres)] {
            guard let found, mustMatch, found.partitioning != partitioning else { continue }
            throw Refusal.partitions(store: store, existing: found.partitioning.count, asked: partitioning.count)
        }
        if let inRedis, let inPostgres, inRedis != inPostgres {
            throw Refusal.twoLogs(redis: inRedis.log, postgres: inPostgres.log)
        }
        if inRedis == nil, let inPostgres, try PostgresSchema.hasApplied(on: postgres) {
            throw Refusal.halted(
                "Redis holds no log at \(keys.namespace), although Postgres has applied entries of log \(inPostgres.log): Redis "
                    + "lost everything, or this is the wrong server or namespace. Nothing was changed. To make the log anew from "
                    + "the ledger: onewrite rebuild log")
        }
        // The ID is settled in Postgres, where of two at once one wins; Redis gets what was settled there.
        let identity = try PostgresSchema.create(
            schema,
            newLog: inRedis
                ?? LogIdentity(
                    partitioning: partitioning, log: UUID().uuidString.lowercased(), format: LogFormat.known.upperBound),
            on: postgres)
        try redis.establish(identity, keys)
        guard let settled = try redis.identity(keys), settled == identity else {
            throw Refusal.twoLogs(redis: try redis.identity(keys)?.log ?? "?", postgres: identity.log)
        }
        try redis.recordBuiltInGroups(keys)
        let log = StreamLog(redis, keys: keys, group: .postgres, consumer: .initialiser)
        let ledger = PostgresSink(postgres)
        let opener = LogOpener(log: log, ledger: ledger, identity: identity, owner: .initialiser)
        for partition in identity.partitioning.all {
            try await open(partition, opener)
            for group in Group.builtIn {
                try await StreamLog(redis, keys: keys, group: group, consumer: .initialiser)
                    .createGroup(in: partition, after: .zero)
            }
        }
        return settled.format < identity.format ? settled : identity
    }

    private func open(_ partition: Partition, _ opener: LogOpener) async throws {
        var waiting: String?
        for _ in 0..<50 {
            switch try await opener.open(partition, createsMissing: true) {
            case .opened: return
            case .halted(let reason): throw Refusal.halted(reason)
            case .again: waiting = nil
            case .waiting(let why): waiting = why
            }
        }
        throw waiting.map { Refusal.waiting(partition, $0) } ?? Refusal.contended(partition)
    }
}

extension LogCreation.Refusal: CustomStringConvertible {
    package var description: String {
        switch self {
        case .partitions(let store, let existing, let asked):
            "the log in \(store.rawValue) has \(existing) partitions, and \(asked) were asked for. Their number is fixed: leave "
                + "--partitions out, or use another --namespace and --schema"
        case .twoLogs(let redis, let postgres):
            "Redis holds the log \(redis), and Postgres the log \(postgres): they don't belong together. Use another "
                + "--namespace or --schema"
        case .halted(let reason): reason
        case .waiting(let partition, let why): "partition \(partition): \(why). Try again"
        case .contended(let partition):
            "partition \(partition) is being opened by somebody else, again and again. Try again"
        }
    }
}
