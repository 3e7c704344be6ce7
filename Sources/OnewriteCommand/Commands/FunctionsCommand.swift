import OrderLog
import ArgumentParser
import Connections
import Coordination
import RedisLog
import ThreadedIO

/// `onewrite functions`.
struct FunctionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "functions",
        abstract: "Load, or print, the Redis functions by which producers in any language append.",
        discussion: """
            Examples:
              onewrite functions load
              onewrite functions print | redis-cli -x FUNCTION LOAD REPLACE

            FCALL_RO onewrite_partition tells a shop's partition and its keys, FCALL onewrite_append appends a change there, with \
            the checks, the idempotency and the bytes of onewrite submit. init loads them; load does so again, after an update \
            of this program or where init may not.
            """, subcommands: [FunctionsLoadCommand.self, FunctionsPrintCommand.self])
}

/// `onewrite functions load`.
struct FunctionsLoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Load the functions, in the place of another version's.",
        discussion: """
            Example:
              onewrite functions load
            """)

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let servers = try Servers(try common.settings(), name: "onewrite-functions")
        let before = try await CommandLane().run { _ in
            var patience = Patience()
            return try patience.attempt {
                let redis = try servers.master()
                // Without a log yet: for the one that `init` makes.
                let format = try redis.identity(servers.keys)?.format ?? LogFormat.known.upperBound
                let state = try FunctionLibrary.state(on: redis, for: format)
                if state != .current { try FunctionLibrary.load(on: redis, for: format) }
                return state
            }
        }
        switch before {
        case .current: Console.print("the functions are there already")
        case .missing: Console.print("the functions are loaded")
        case .different: Console.print("the functions are loaded, in the place of another version's")
        }
    }
}

/// `onewrite functions print`.
struct FunctionsPrintCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print", abstract: "Print the library, as FUNCTION LOAD takes it.",
        discussion: """
            Example:
              onewrite functions print
            """)

    func run() async throws { Console.write(FunctionLibrary.source(for: LogFormat.known.upperBound), to: 1) }
}
