import ArgumentParser
import Connections
import Dashboard
import OrderLog
import Reports
import ThreadedIO
import Upkeep

/// `onewrite doctor`.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look at servers, settings, rights, log and workers, and say what is wrong.",
        discussion: """
            Example:
              onewrite doctor

            Changes nothing. Each finding has its code, what it means here, and the command that mends it; docs/doctor.md has all \
            that is looked at. Ends with 1 when one is an error.
            """)

    @Flag(help: "One JSON object (onewrite/doctor/v1).")
    var json = false

    @Flag(help: ArgumentHelp("Print all that is looked at, as a table in Markdown.", visibility: .hidden))
    var table = false

    @OptionGroup var common: CommonOptions

    func run() async throws {
        if table {
            for line in Self.tableLines { Console.print(line) }
            return
        }
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-doctor")
        let environment = try settings.environment()
        let report = try await StopRequest.endingLane(saying: "stopping") { interrupt in
            try await Doctor(servers, environment: environment, interrupt: interrupt).run { ProgressLine.say($0) }
        }
        if json { try Console.printJSON(report) } else { for line in report.lines(environment) { Console.print(line) } }
        if report.findings.contains(where: { $0.severity == .error }) { throw Failure(.no, "") }
    }

    /// The table of the docs.
    static var tableLines: [String] {
        ["| code | severity | expected | else | to mend it |", "| --- | --- | --- | --- | --- |"]
            + Check.all.map { check in
                "| `\(check.code)` | \(check.severity.rawValue) | \(check.expects) | \(check.meaning) | \(check.fix.replacing("|", with: "\\|")) |"
            }
    }
}

extension Doctor.Report {
    fileprivate func lines(_ environment: Snapshot.Environment) -> [String] {
        var lines = [environment.text]
        for server in [redis, postgres].compactMap(\.self) {
            let way = server.encryption.map { "\($0.version) with \($0.cipher)" } ?? "not encrypted"
            lines.append("\(sanitized(server.version)), a round trip in \(server.milliseconds) ms, \(way)")
        }
        if let partitions { lines.append("a log of \(partitions) partitions") }
        for finding in findings {
            lines += [
                "", "\(finding.severity.rawValue) \(finding.code): \(sanitized(finding.what))", "  \(finding.meaning)",
                "  → \(finding.fix)",
            ]
        }
        let counts = Finding.Severity.allCases.map { severity in
            (severity, findings.count { $0.severity == severity })
        }.filter { $0.1 > 0 }
        lines += [
            "",
            findings.isEmpty
                ? "no findings" : counts.map { "\($1) \($0.rawValue)\($1 == 1 ? "" : "s")" }.joined(separator: ", "),
        ]
        return lines
    }
}
