import ArgumentParser
import Connections
import Dashboard
import Foundation
import Inspection
import OrderLog
import Reports

/// `onewrite dashboard`.
struct DashboardCommand: AsyncParsableCommand, ShowsItsOwnProgress {
    static let configuration = CommandConfiguration(
        commandName: "dashboard",
        abstract: "The same as status, live, in the terminal.",
        discussion: """
            Example:
              onewrite dashboard --interval 500ms

            Off a terminal it prints the status once. Press ? for the keys. Among dead letters (d) R retries one and D drops \
            it; on a stalled partition T takes the entry that stalls it: each shows its plan first, and changes nothing \
            without a yes.
            """)

    @Option(
        help: ArgumentHelp("How often to look, 100ms to 1h.", valueName: "duration"),
        transform: { text in
            guard let interval = Duration(text: text), (.milliseconds(100) ... .seconds(3600)).contains(interval) else {
                throw ValidationError("expected a duration from 100ms to 1h, got \(FieldError.quote(text))")
            }
            return interval
        })
    var interval: Duration = .seconds(1)

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-dashboard")
        let inspector = StatusWatch(servers, environment: try settings.environment(), notice: Console.error)
        // What is wrong from the start is said as every command says it, not on a screen that goes away.
        let first = try await inspector.snapshot(patiently: true)
        let deeds = DeedRun(servers: servers, window: try settings.window())
        do {
            try await runDashboard(of: first.environment, every: interval) { query in
                do {
                    return try await inspector.snapshot(query)
                } catch {
                    throw await inspector.unavailable(error)
                }
            } perform: { deed, plan in
                do {
                    return try await deeds.run(deed, confirming: plan)
                } catch {
                    throw DeedFailure(LogError(anyOf: error)?.message ?? "\(error)")
                }
            }
        } catch DashboardError.notATerminal, DashboardError.dumbTerminal {
            Console.write(StatusTable.text(first), to: STDOUT_FILENO)
        }
    }
}
