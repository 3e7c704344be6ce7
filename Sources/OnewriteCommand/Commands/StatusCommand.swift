import ArgumentParser
import Connections
import Dashboard
import Foundation
import Inspection

/// `onewrite status`.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "One look: groups, lag, pending, oldest, workers, warnings.",
        discussion: """
            Example:
              onewrite status --json | jq '.groups[] | {name, lag}'

            LAG is how many entries of the log a group has not applied. PENDING are those that were delivered to a worker and \
            not acknowledged; OLDEST is how long ago the first of them was appended. ? is unknown.
            """)

    @Flag(help: "One JSON object (onewrite/status/v1).")
    var json = false

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-status")
        let snapshot = try await StatusWatch(servers, environment: settings.environment(), notice: Console.error)
            .snapshot(patiently: true)
        if json {
            try Console.printJSON(snapshot)
        } else {
            Console.write(StatusTable.text(snapshot), to: STDOUT_FILENO)
        }
    }
}
