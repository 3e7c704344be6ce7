package import Connections
import Coordination
import Foundation
import Inspection
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
package import Reports
import Sinks
package import ThreadedIO

/// Looks at both servers, their settings, the rights, the log and its workers, and says what is wrong with them.
///
/// Changes nothing, and doesn't wait for a server that is away. For a lane, whose thread it blocks.
package struct Doctor {
    /// A server, as it answered.
    package struct Server: Sendable, Encodable {
        package let address: String
        package let version: String
        /// Of one round trip.
        package let milliseconds: Double
        /// nil where the connection is not encrypted.
        package let encryption: Encryption?

        private enum CodingKeys: String, CodingKey {
            case address, version, encryption = "tls", milliseconds = "round_trip_ms"
        }

        /// By hand, so that no encryption is null.
        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(address, forKey: .address)
            try container.encode(version, forKey: .version)
            try container.encode(milliseconds, forKey: .milliseconds)
            try container.encode(encryption, forKey: .encryption)
        }
    }

    /// All that was found.
    package struct Report: Sendable, Encodable {
        package let schema = "onewrite/doctor/v1"
        /// nil when it doesn't answer.
        package var redis: Server?
        /// nil when it doesn't answer, or none is configured.
        package var postgres: Server?
        /// nil when there is no log.
        package var partitions: Int?
        /// Gravest first.
        package var findings: [Finding] = []

        private enum CodingKeys: String, CodingKey { case schema, redis, postgres, partitions, findings }
    }

    /// Told by looking at the servers' own words.
    private static let examined = ["eviction", "no-aof", "aof-tail", "replica", "postgres-unreachable"]
    /// A log from which it is worth to tell that nobody trims it.
    private static let largeLogBytes = 100_000_000
    /// Time enough to do something about it.
    private static let daysLeftMin = 14.0
    /// Calls, of a thousand keys each: of a server that holds much else, it is a look at some.
    private static let scansMax = 2000
    private static let namedMax = 5

    private let servers: Servers
    private let environment: Snapshot.Environment
    private let interrupt: Interrupt

    /// - Parameters:
    ///   - servers: Where to look.
    ///   - environment: What they are called.
    ///   - interrupt: Ends every wait.
    package init(_ servers: Servers, environment: Snapshot.Environment, interrupt: Interrupt) {
        (self.servers, self.environment, self.interrupt) = (servers, environment, interrupt)
    }

    /// Looks.
    ///
    /// - Parameter progress: Takes what it is at.
    /// - Returns: What was found; a server that is away is a finding.
    /// - Throws: `CancellationError`.
    package func run(_ progress: (String) -> Void = { _ in }) async throws -> Report {
        var report = Report()
        progress("Redis")
        let redis = try connectRedis(&report)
        progress("Postgres")
        let postgres = try connectPostgres(&report)
        progress("log")
        do {
            try await lookAtLog(redis, postgres, &report)
        } catch {
            guard let failure = LogError(anyOf: error) else { throw error }
            if interrupt.isSignalled { throw CancellationError() }
            report.note("unreadable", failure.message)
        }
        // The table's order within a severity.
        let order = Dictionary(uniqueKeysWithValues: Check.all.enumerated().map { ($1.code, $0) })
        report.findings.sort {
            ($0.severity, order[$0.code] ?? .max, $0.what) < ($1.severity, order[$1.code] ?? .max, $1.what)
        }
        return report
    }

    // MARK: - Servers

    private func connectRedis(_ report: inout Report) throws -> RedisConnection? {
        do {
            let redis = try servers.redis(interrupt: interrupt)
            var milliseconds = 0.0
            var encryption: Encryption?
            let format = try format(redis)
            for server in try redis.sessions(until: .after(.seconds(5))) {
                var exam = RedisExam(server, servers.keys, of: format, isOneOfMany: redis.isCluster)
                try exam.run()
                milliseconds = max(milliseconds, exam.milliseconds)
                encryption = exam.way.encryption
                report.findings += exam.findings
            }
            report.redis = Server(
                address: redis.address, version: "\(redis.serverName) \(redis.serverVersion)",
                milliseconds: rounded(milliseconds), encryption: encryption)
            if !redis.isBySentinel {
                do { try redis.requireMaster(until: .after(.seconds(5))) } catch { report.note("replica", "\(error)") }
            }
            return redis
        } catch {
            guard let failure = LogError(anyOf: error) else { throw error }
            if interrupt.isSignalled { throw CancellationError() }
            report.note(Self.code(of: error, failure), failure.message)
            return nil
        }
    }

    private static func code(of error: any Error, _ failure: LogError) -> String {
        if case RedisError.tlsFailed = error { return "redis-tls" }
        return failure.kind == .notPermitted ? "redis-denied" : "redis-unreachable"
    }

    private func connectPostgres(_ report: inout Report) throws -> PostgresConnection? {
        guard let configuration = servers.configuration.postgres else {
            report.note("postgres-not-configured", "no Postgres is configured")
            return nil
        }
        do {
            let postgres = try PostgresConnection(
                connectingTo: configuration, until: .after(configuration.connectTimeout), interrupt: interrupt)
            var exam = PostgresExam(postgres)
            try exam.run()
            report.postgres = Server(
                address: configuration.address, version: exam.server, milliseconds: rounded(exam.milliseconds),
                encryption: exam.way.encryption)
            report.findings += exam.findings
            return postgres
        } catch {
            guard let failure = LogError(anyOf: error) else { throw error }
            if interrupt.isSignalled { throw CancellationError() }
            report.note(failure.kind == .notPermitted ? "postgres-denied" : "postgres-unreachable", failure.message)
            return nil
        }
    }

    private func rounded(_ milliseconds: Double) -> Double { (milliseconds * 100).rounded() / 100 }

    // MARK: - The log

    private func lookAtLog(
        _ redis: RedisConnection?, _ postgres: PostgresConnection?, _ report: inout Report
    ) async throws {
        let (inRedis, redisIsKnown) = try identity(&report) { try redis.flatMap { try $0.identity(servers.keys) } }
        let (inPostgres, postgresIsKnown) = try identity(&report) {
            try postgres.flatMap { try PostgresSchema.identity(on: $0) }
        }
        guard redisIsKnown, postgresIsKnown, let redis else { return }
        guard let inRedis else {
            guard let postgres, inPostgres != nil, try PostgresSchema.hasApplied(on: postgres) else {
                report.note("no-log", "there is no log at \(servers.keys.namespace)")
                return
            }
            report.note("log-lost", "there is no log at \(servers.keys.namespace) in Redis, and Postgres has a ledger")
            return
        }
        report.partitions = inRedis.partitioning.count
        if let inPostgres, inPostgres != inRedis {
            report.note(
                "schema",
                "the schema in Postgres belongs to another log (\(inPostgres.log)) than Redis's (\(inRedis.log))")
        } else if inPostgres == nil, postgres != nil {
            report.note("schema", "the schema in Postgres is missing")
        }
        let oldest = min(inRedis.format, inPostgres?.format ?? inRedis.format)
        if oldest < LogFormat.supported.upperBound {
            report.note("format", "the log is of format \(oldest), and the newest is \(LogFormat.supported.upperBound)")
        }
        let snapshot = try await StatusWatch(servers, environment: environment).snapshot()
        for warning in snapshot.warnings where !Self.examined.contains(warning.code) {
            if ["format", "schema"].contains(warning.code), report.findings.contains(where: { $0.code == warning.code })
            {
                continue
            }
            let about = [warning.group, warning.partition.map { "partition \($0)" }].compactMap(\.self)
            report.note(warning.code, (about.isEmpty ? "" : about.joined(separator: ", ") + ": ") + warning.hint)
        }
        if let days = snapshot.memory?.daysLeft, days < Self.daysLeftMin {
            report.note(
                "memory-trend", "maxmemory is reached in \(Int(days)) days, if the log grows as it did in the last one")
        }
        try lookAtTrimming(redis, inRedis, snapshot, &report)
        try lookAtConsumers(redis, inRedis, snapshot, &report)
        try lookAtKeys(redis, inRedis, &report)
    }

    /// The log's format; that of new logs where there is none, or one that can't be read, which is found elsewhere.
    private func format(_ redis: RedisConnection) throws -> LogFormat {
        do {
            return try redis.identity(servers.keys)?.format ?? LogFormat.known.upperBound
        } catch is StoreError {
            return LogFormat.known.upperBound
        }
    }

    /// The log's identity, or a finding about its format; false when nothing more can be said.
    private func identity(
        _ report: inout Report, _ read: () throws -> LogIdentity?
    ) throws -> (LogIdentity?, isKnown: Bool) {
        do { return (try read(), true) } catch let error as StoreError
            where error.kind == .misconfigured || error.kind == .malformed
        {
            report.note("format-newer", error.message)
            return (nil, false)
        }
    }

    private func lookAtTrimming(
        _ redis: RedisConnection, _ identity: LogIdentity, _ snapshot: Snapshot, _ report: inout Report
    ) throws {
        guard let bytes = snapshot.memory?.log, bytes > Self.largeLogBytes else { return }
        for partition in identity.partitioning.all {
            if let first = try redis.look(at: partition, servers.keys).head?.first, first > Seq(1) { return }
        }
        report.note("not-trimmed", "the log takes \(bytes / 1_000_000) MB, and was never trimmed")
    }

    private func lookAtConsumers(
        _ redis: RedisConnection, _ identity: LogIdentity, _ snapshot: Snapshot, _ report: inout Report
    ) throws {
        var left: [String: Int] = [:]
        for group in snapshot.groups {
            let commands = identity.partitioning.all.map {
                RedisCommand("XINFO", "CONSUMERS", servers.keys.log($0), group.name)
            }
            for reply in try redis.pipeline(commands, until: .after(.seconds(10))) where reply.error == nil {
                for consumer in reply.elements {
                    var facts: [String: RedisReply] = [:]
                    for index in stride(from: 0, to: consumer.count - 1, by: 2) {
                        facts[consumer[index].string ?? ""] = consumer[index + 1]
                    }
                    guard let name = facts["name"]?.repairedText, facts["pending"]?.wholeNumber == 0,
                        group.workers?.contains(name) != true
                    else { continue }
                    left["\(group.name) \(name)", default: 0] += 1
                }
            }
        }
        guard !left.isEmpty else { return }
        report.note("consumers-left", "consumers without a worker: \(named(left.keys.sorted()))")
    }

    private func lookAtKeys(_ redis: RedisConnection, _ identity: LogIdentity, _ report: inout Report) throws {
        let namespace = servers.keys.namespace
        var unknown: [String] = []
        try redis.forEachKey(like: "*\(namespace):*", roundsMax: Self.scansMax) { names in
            for key in names.compactMap(\.repairedText) {
                guard key.hasPrefix("\(namespace):") || key.hasPrefix("{\(namespace):"), !isKnown(key, identity) else {
                    continue
                }
                unknown.append(key)
            }
        }
        if !unknown.isEmpty { report.note("unknown-keys", "keys that are not Onewrite's: \(named(unknown.sorted()))") }
    }

    private func isKnown(_ key: String, _ identity: LogIdentity) -> Bool {
        let namespace = servers.keys.namespace
        if let rest = key.dropPrefix("{\(namespace):") {
            let parts = rest.split(separator: "}", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let partition = Int(parts[0]), partition < identity.partitioning.count else {
                return false
            }
            let name = parts[1]
            return [":log", ":head", ":seen", ":shops", ":deliveries", ":admission"].contains(name)
                || [":seen:", ":stock:", ":available:", ":position:", ":lease:", ":dead:", ":rebuild:", ":own:"]
                    .contains {
                        name.hasPrefix($0)
                    }
        }
        guard let rest = key.dropPrefix("\(namespace):") else { return true }
        return ["meta", "groups"].contains(rest) || ["workers:", "worker:"].contains { rest.hasPrefix($0) }
    }

    private func named(_ names: [String]) -> String {
        names.prefix(Self.namedMax).map { sanitized($0) }.joined(separator: ", ")
            + (names.count > Self.namedMax ? " and \(names.count - Self.namedMax) more" : "")
    }
}

extension Doctor.Report {
    fileprivate mutating func note(_ code: String, _ what: String) { findings.append(Check.of(code).finding(what)) }
}

extension String {
    fileprivate func dropPrefix(_ prefix: String) -> Substring? { hasPrefix(prefix) ? dropFirst(prefix.count) : nil }
}
