import ArgumentParser
import Audit
import Connections

/// `onewrite audit`.
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Prove, online, that every sink equals the log.",
        discussion: """
            Example:
              onewrite audit --json | jq .verdict

            Reads the log, Postgres and Redis while workers and submitters go on, and compares everything at the positions that were \
            read with it: the log with the ledger, orders, lines, status and stock in Postgres, stock in Redis, and what is \
            still in the delivery list. Nothing is stopped, locked or written.

            Ends with 0: agree. 1: disagree, with the first differences. 75: inconclusive, since a partition's log is closed, \
            a server went away, or Postgres can't be asked: then what Redis alone can tell is compared. An entry that was set aside by hand in one sink only is named, and is no difference.
            """)

    @Option(help: ArgumentHelp("How many differences of each subject to show.", valueName: "n"))
    var limit = 10

    @Flag(help: "One JSON object (onewrite/audit/v1).")
    var json = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...100_000).contains(limit) else {
            throw ValidationError("--limit: expected a whole number from 1 to 100 000, got \(limit)")
        }
    }

    func run() async throws {
        let servers = try Servers(try common.settings(), name: "onewrite-audit")
        let report = try await StopRequest.endingLane(saying: "stopping") { [limit] interrupt in
            var patience = Patience(interrupt: interrupt)
            return try await patience.attempt {
                try await Audit(servers: servers, limit: limit, interrupt: interrupt) { ProgressLine.say($0) }.run()
            }
        }
        if json { try Console.printJSON(report) } else { Console.print(report.text) }
        if let status = report.status { throw Failure(status, "") }
    }
}
