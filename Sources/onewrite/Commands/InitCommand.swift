import ArgumentParser
import Coordination
import Foundation
import OrderLog
import RedisLog
import Sinks
import ThreadedIO

/// `onewrite init`.
struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Create the log, the groups and the Postgres schema; safe to repeat.",
        discussion: """
            Example: onewrite init --partitions 16

            The number of partitions is fixed for ever: shops are spread over them by a hash of their names.
            """)

    @Option(
        help: ArgumentHelp(
            "Partitions of a new log, 1 to \(Limits.partitions.upperBound) (default: 8).", valueName: "P"))
    var partitions: String?

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try await common.settings([Setting.partitions.key: partitions])
        let partitioning = try settings.partitioning()
        let servers = try Servers(settings, name: "onewrite-init")
        let schema = try settings.schema()
        let isPartitioningChosen = settings.value(.partitions)?.source != "default"
        let identity = try await CommandLane().run { _ in
            try await Self.create(servers, schema, partitioning, mustMatch: isPartitioningChosen)
        }
        Console.print("ready: log \(identity.log), \(identity.partitioning.count) partitions")
    }

    private static func create(
        _ servers: Servers, _ schema: String, _ partitioning: Partitioning, mustMatch: Bool
    ) async throws -> LogIdentity {
        let redis = try servers.redis()
        let postgres = try servers.requiredPostgres()
        // Both are asked before either is changed. A log that is in Redis already gives Postgres its name.
        let existing = try redis.identity(servers.keys)
        let newLog = existing?.log ?? UUID().uuidString.lowercased()
        let known = try PostgresSchema.identity(on: postgres)
        for (place, found) in [("Redis", existing), ("Postgres", known)] {
            guard let found, mustMatch, found.partitioning != partitioning else { continue }
            throw Failure(
                .badConfiguration,
                "the log in \(place) has \(found.partitioning.count) partitions, and \(partitioning.count) were asked for. "
                    + "Their number is fixed: leave --partitions out, or use another --namespace and --schema")
        }
        let identity = try PostgresSchema.create(
            schema, partitioning: existing?.partitioning ?? partitioning, newLog: newLog, on: postgres)
        if let existing, existing != identity {
            throw Failure(
                .badConfiguration,
                "Redis holds the log \(existing.log), and Postgres the log \(identity.log): they don't belong together. Use "
                    + "another --namespace or --schema")
        }
        try redis.establish(identity, servers.keys)
        let log = StreamLog(redis, keys: servers.keys, group: .postgres, consumer: .initialiser)
        let ledger = PostgresSink(postgres, scripts: SinkScripts(redis, keys: servers.keys, group: .postgres))
        let opener = LogOpener(log: log, ledger: ledger, identity: identity, owner: .initialiser)
        for partition in identity.partitioning.all {
            try await open(partition, opener)
            for group in Group.allCases {
                try await StreamLog(redis, keys: servers.keys, group: group, consumer: .initialiser)
                    .createGroup(in: partition, after: .zero)
            }
        }
        return identity
    }

    private static func open(_ partition: Partition, _ opener: LogOpener) async throws {
        for _ in 0..<50 {
            switch try await opener.open(partition, createsMissing: true) {
            case .opened: return
            case .halted(let reason): throw Failure(.tryAgain, reason)
            case .again: continue
            }
        }
        throw Failure(.tryAgain, "partition \(partition) is being opened by somebody else, again and again. Try again")
    }

}
