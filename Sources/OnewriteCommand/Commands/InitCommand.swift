import ArgumentParser
import Connections
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
            Example:
              onewrite init --partitions 16

            The number of partitions is fixed for ever: shops are spread over them by a hash of their names. The database must \
            be in UTF8. A log that is there keeps its format: onewrite upgrade brings it to a newer one.
            """)

    @Option(
        help: ArgumentHelp(
            "Partitions of a new log, 1 to \(Limits.partitions.upperBound) (default: 8).", valueName: "P"))
    var partitions: String?

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.settings([Setting.partitions.key: partitions])
        let partitioning = try settings.partitioning()
        let servers = try Servers(settings, name: "onewrite-init")
        let schema = try settings.schema()
        let isPartitioningChosen = settings.value(.partitions)?.source != "default"
        let (identity, refusal) = try await CommandLane().run { _ in
            var patience = Patience()
            return try await patience.attempt {
                let redis = try servers.master()
                let identity = try await LogCreation(
                    redis: redis, keys: servers.keys, postgres: try servers.primary(), schema: schema
                ).create(partitioning, mustMatch: isPartitioningChosen)
                return (identity, try FunctionLibrary.ensure(on: redis, for: identity.format))
            }
        }
        Console.print("ready: log \(identity.log), \(identity.partitioning.count) partitions")
        if let refusal {
            Console.error(
                "the functions for producers in other languages were not loaded: \(refusal). Whoever may: onewrite functions load"
            )
        }
        let newest = LogFormat.known.upperBound
        if identity.format < newest {
            Console.error(
                "the log is of format \(identity.format), and stays so. To bring it to format \(newest), run: onewrite upgrade"
            )
        }
    }
}
