import ArgumentParser
import Connections
import OrderLog

/// `onewrite open`.
struct OpenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "open",
        abstract: "Open the log after Redis was restarted, replaced, or lost its tail.",
        discussion: """
            Example:
              onewrite open

            Workers of group postgres do this by themselves; here it is for when none runs, and to see what is in the way. \
            What the log lost and Postgres has is put back with its place, ID and bytes, before anything new is taken. A log \
            that forked, or that is gone altogether, is left as it is and named (exit 75).
            """)

    @Flag(
        help: """
            Open this server although another one was opened since: only when that one is gone for good. What only it had \
            and Postgres didn't is lost then.
            """)
    var force = false

    @Flag(help: "One JSON object (onewrite/open/v1).")
    var json = false

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-open")
        if force { try settings.sayWhere() }
        let results = try await CommandLane().run { [force] _ in
            var patience = Patience()
            return try await patience.attempt {
                try await LogOpening(servers, takesSuperseded: force)
                    .run { ProgressLine.say("partition \($0) of \($1)") }
            }
        }
        try show(results)
        let inTheWay = results.filter { $0.state == .halted }.count
        guard inTheWay == 0 else {
            throw Failure(.tryAgain, "\(inTheWay) of \(results.count) partitions are not open: see above")
        }
    }

    private func show(_ results: [LogOpening.Opened]) throws {
        if json {
            try Console.printJSON(OpenReport(results))
            return
        }
        for result in results {
            switch result.state {
            case .open: break
            case .opened:
                let healed = result.healed ?? 0
                Console.print(
                    "partition \(result.partition): opened"
                        + (healed > 0 ? ", \(healed) lost \(healed == 1 ? "entry" : "entries") put back" : ""))
            case .halted: Console.error("partition \(result.partition): not opened: \(result.reason ?? "?")")
            }
        }
        let counts = [
            (results.filter { $0.state == .opened }.count, "opened"),
            (results.filter { $0.state == .open }.count, "open already"),
        ]
        Console.print(
            "\(results.count) partitions: " + counts.map { "\($0.0) \($0.1)" }.joined(separator: ", "))
    }
}

private struct OpenReport: Encodable {
    struct Row: Encodable {
        let partition: Int
        let state: LogOpening.Opened.State
        let healed: Int?
        let reason: String?
    }

    let schema = "onewrite/open/v1"
    let partitions: [Row]

    init(_ results: [LogOpening.Opened]) {
        partitions = results.map {
            Row(partition: $0.partition.number, state: $0.state, healed: $0.healed, reason: $0.reason)
        }
    }
}
