import ArgumentParser
import Connections
import Coordination
import Dashboard
import Inspection
import OrderLog
import ThreadedIO
import Upkeep

/// `onewrite trim`.
struct TrimCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trim",
        abstract: "Drop from the log what every group has applied.",
        discussion: """
            Examples:
              onewrite trim
              onewrite trim --keep 30d --yes

            Prints what would go, what stays, and which group holds the rest back; --yes does it. What every group has applied \
            stays for --keep all the same: from it the log is compared with a Postgres that was restored from a backup, so \
            keep more than your backups are apart. Postgres has it all, for ever: audit and order ask there, and so does a \
            group that is added later. Nothing goes that a group has not applied, or has pending, whatever is kept.

            With trim = "7d" in the settings, a worker of group postgres does this by itself.
            """)

    @Option(
        help: ArgumentHelp("Keep what was appended so lately (default: the setting trim, else 7d).", valueName: "age"))
    var keep: String?

    @Option(
        help: ArgumentHelp(
            "Keep so many of each partition's last entries; with --keep, whichever keeps more.", valueName: "N"))
    var keepEntries: Int?

    @Option(help: ArgumentHelp("Only this partition.", valueName: "P"))
    var partition: Int?

    @Flag(help: "Do it; without this only the plan is printed.")
    var yes = false

    @Flag(name: .customLong("dry-run"), help: "Only print the plan, also with --yes.")
    var isDryRun = false

    @Flag(help: "One JSON object (onewrite/trim/v1).")
    var json = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let keep, Duration(text: keep) == nil {
            throw ValidationError("--keep: expected a duration like 12h 7d 0s, got \(FieldError.quote(keep))")
        }
        if let keepEntries, keepEntries < 0 {
            throw ValidationError("--keep-entries: expected 0 or more, got \(keepEntries)")
        }
        if let partition, !(0..<Limits.partitions.upperBound).contains(partition) {
            throw ValidationError("--partition: expected 0 or more, got \(partition)")
        }
    }

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-trim")
        let retention = try retention(settings)
        try settings.sayWhere()
        let acts = yes && !isDryRun
        let rows = try await StopRequest.endingLane(saying: "stopping behind the slice in hand") {
            [partition] interrupt in
            var patience = Patience(interrupt: interrupt)
            let run = try patience.attempt { try TrimRun(servers, interrupt: interrupt) }
            var rows = try await run.plan(keeping: retention, in: partition.map { [Partition($0)] }) {
                partition, count in
                ProgressLine.say("partition \(partition) of \(count)")
            }
            guard acts else { return rows }
            for index in rows.indices {
                let row = rows[index]
                rows[index] = try await run.run(row) { dropped in
                    ProgressLine.say(
                        "partition \(row.partition): \(dropped) of \(row.plan?.count ?? 0) entries dropped")
                }
            }
            return rows
        }
        let report = TrimReport(rows, keeping: retention)
        if json { try Console.printJSON(report) } else { for line in report.lines { Console.print(line) } }
        if !acts { Console.error("nothing was changed" + (isDryRun ? "" : "; --yes does it")) }
        if rows.contains(where: { $0.plan == nil || $0.reason != nil }) { throw Failure(.tryAgain, "") }
    }

    private func retention(_ settings: Settings) throws -> Retention {
        let age = keep.flatMap { Duration(text: $0) }
        if age == nil, keepEntries == nil { return Retention(age: try settings.trim() ?? .seconds(7 * 86400)) }
        return Retention(age: age, entries: keepEntries)
    }
}
