package import ArgumentParser
import Foundation
import Inspection
import ThreadedIO

/// The command `onewrite`.
package struct RootCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "onewrite",
        abstract: "One write to one log; Postgres, the stock count and the delivery list follow, in order, once.",
        discussion: """
            Examples: a first order, with Redis and Postgres running and REDIS_URL and DATABASE_URL set.
              onewrite init
              onewrite worker --group postgres &
              onewrite submit --id ord-1 --shop main --customer c-17 --line TEA:2
              onewrite status

            Completions for your shell: onewrite --generate-completion-script bash (or zsh, fish).
            """,
        version: ProgramVersion().text,
        subcommands: [
            InitCommand.self,
            SubmitCommand.self,
            CancelCommand.self, ReturnCommand.self,
            StockCommand.self, AdmissionCommand.self,
            WorkerCommand.self,
            GroupCommand.self, FunctionsCommand.self,
            StatusCommand.self,
            DashboardCommand.self,
            ServeCommand.self, TokenCommand.self,
            PendingCommand.self,
            OrderCommand.self,
            LogCommand.self,
            OpenCommand.self,
            TrimCommand.self,
            RebuildCommand.self,
            RepairCommand.self,
            AuditCommand.self,
            DoctorCommand.self,
            DeadCommand.self,
            IncidentCommand.self,
            UpgradeCommand.self,
            ConfigCommand.self,
            GrantsCommand.self,
            VersionCommand.self,
            DemoCommand.self,
            BenchCommand.self,
        ])

    package init() {}

    /// Runs what the command line says; ends the process with its exit code when that fails.
    package static func main() async {
        ignoreBrokenPipes()
        var running: (any ParsableCommand.Type)?
        do {
            let arguments = Array(CommandLine.arguments.dropFirst())
            let named = try MistypedWord.command(in: arguments, of: Self.self)
            running = named
            var command = try parse(arguments, of: named)
            if !(named is any ShowsItsOwnProgress.Type) { ProgressLine.begin(named._commandName) }
            // Cancelled and waited for at the end of this block, before anything is said of an error.
            async let _: Void = ProgressLine.redraw()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            end(error, of: running)
        }
    }

    private static func parse(
        _ arguments: [String], of named: any ParsableCommand.Type
    ) throws -> sending any ParsableCommand {
        try MistypedWord.checkOptions(arguments, of: named, isRefused: false)
        do {
            return try parseAsRoot(arguments)
        } catch {
            try MistypedWord.checkOptions(arguments, of: named, isRefused: true)
            throw error
        }
    }

    /// Says what went wrong in one line, and exits with its code.
    private static func end(_ error: any Error, of command: (any ParsableCommand.Type)?) -> Never {
        if let stopped = error as? Stopped { Foundation.exit(stopped.status) }
        guard var failure = Failure(error) else { exit(withError: error) }
        if failure.isMissingRight { failure = failure.adding(CommandRights.advice(for: command, failure.message)) }
        if !failure.message.isEmpty { Console.error("error: \(failure.message)") }
        Foundation.exit(failure.status.rawValue)
    }
}

/// A command that says itself what it is doing, for as long as it runs.
protocol ShowsItsOwnProgress {}
