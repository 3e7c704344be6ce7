import Inspection
import ArgumentParser
import Audit
import Connections
import OrderLog
import Reports
import ThreadedIO
import Upkeep

/// `onewrite repair`.
struct RepairCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Mend what audit found, and record it.",
        discussion: """
            Examples:
              onewrite repair
              onewrite repair --reason "restored from a wrong backup" --yes

            Compares all stores as audit does, and says line by line what it would do: a counter, an order's row, a job of the \
            delivery list, a row of the ledger that the log still has. With --yes it does that, records each (onewrite incident \
            list), and compares once more. What neither log nor ledger can tell is said, and left to you.
            """)

    @Option(help: ArgumentHelp("Why, for the record; needed with --yes.", valueName: "text"))
    var reason: String?

    @Flag(help: "Do it; without this only the plan is printed.")
    var yes = false

    @Flag(name: .customLong("dry-run"), help: "Only print the plan, also with --yes.")
    var isDryRun = false

    @Flag(help: "One JSON object (onewrite/repair/v1).")
    var json = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let reason { try ReasonText.check(reason) }
        if yes, !isDryRun, reason == nil { throw ValidationError("--reason: say why, for the record") }
    }

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-repair")
        try settings.sayWhere()
        let acts = yes && !isDryRun
        let (before, rows, after) = try await StopRequest.endingLane(saying: "stopping") { [reason] interrupt in
            var patience = Patience(interrupt: interrupt)
            let repair = try patience.attempt { try Repair(servers, interrupt: interrupt) }
            let before = try await repair.audit { ProgressLine.say($0) }
            let rows = try await repair.plan(before)
            guard acts, let reason, rows.contains(where: { $0.mend != .nothing }) else {
                return (before, rows, AuditReport?.none)
            }
            try await repair.run(rows, reason: reason) { ProgressLine.say($0) }
            return (before, rows, try await repair.audit { ProgressLine.say($0) })
        }
        let report = RepairReport(rows, before: before, after: after)
        if json { try Console.printJSON(report) } else { for line in report.lines { Console.print(line) } }
        if after == nil, rows.contains(where: { $0.mend != .nothing }) {
            Console.error("nothing was changed" + (isDryRun ? "" : "; --yes does it"))
        }
        if let status = (after ?? before).status { throw Failure(status, "") }
    }
}

/// What is to be mended, and what came of it.
struct RepairReport: Encodable {
    struct Row: Encodable {
        let subject: AuditSubject
        let partition: Int?
        let seq: Int64?
        let name: String
        let was: String
        let `is`: String
        let mend: Repair.Mend
        let advice: String?
    }

    let schema = "onewrite/repair/v1"
    let differences: [Row]
    let before: AuditReport.Verdict
    /// null when nothing was mended.
    let after: AuditReport.Verdict?
    /// Why something can't be told.
    let inconclusive: [String]

    init(_ rows: [Repair.Row], before: AuditReport, after: AuditReport?) {
        differences = rows.map { row in
            Row(
                subject: row.difference.subject, partition: row.difference.partition, seq: row.difference.seq,
                name: row.difference.name, was: row.difference.found, is: row.difference.expected, mend: row.mend,
                advice: row.advice)
        }
        self.before = before.verdict
        self.after = after?.verdict
        inconclusive = (after ?? before).inconclusive
    }

    var lines: [String] {
        var lines = differences.map(\.text)
        lines += inconclusive.map { "? \(sanitized($0))" }
        let mended = differences.count { $0.mend != .nothing }
        let left = differences.count - mended
        switch after {
        case nil where differences.isEmpty: lines.append("audit: \(before.rawValue). There is nothing to mend")
        case nil: lines.append("\(mended) can be mended, \(left) can't")
        case let after?: lines.append("\(mended) mended, \(left) left · audit: \(after.rawValue)")
        }
        return lines
    }
}

extension RepairReport.Row {
    fileprivate var text: String {
        let place = partition.map { " (partition \($0)" + (seq.map { " seq \($0)" } ?? "") + ")" } ?? ""
        let what = "\(subject.title): \(sanitized(name))\(place): \(sanitized(was)) → \(sanitized(`is`))"
        return advice.map { "! \(what)\n    \($0)" } ?? "  \(what)"
    }
}
