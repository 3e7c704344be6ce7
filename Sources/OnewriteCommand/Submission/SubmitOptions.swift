import ArgumentParser
import ChangeInput
import Connections
import Foundation
import OrderLog
import RedisLog
import Submission

/// What every command takes that appends to the log.
struct SubmitOptions: ParsableArguments {
    @Flag(help: "Print a receipt a change, as NDJSON in the input's order.")
    var json = false

    @Option(
        defaultAsFlag: WaitGroups.all, parsing: .next,
        help: ArgumentHelp(
            "Return when these groups have applied it: --wait for all three, or --wait=stock,delivery.",
            valueName: "groups"), completion: .list(Group.builtIn.map(\.name)))
    var wait: WaitGroups?

    @Option(
        help: ArgumentHelp(
            "How long to try again, from the start on, and how long to wait for the groups (default: 30s).",
            valueName: "duration"))
    var timeout: String?

    @Option(
        help: ArgumentHelp(
            """
            What makes a change accepted: server, fsync, replicas=N, or applied (default: server). What doesn't get that \
            far within --timeout is unknown: exit 75.
            """, valueName: "level"), completion: .list(["server", "fsync", "replicas=1", "applied"]))
    var durability: String?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        _ = try wait?.groups()
    }

    /// The servers, when the settings allow what is asked for.
    func servers(name: String) async throws -> Servers {
        let settings = try common.settings([
            Setting.timeout.key: timeout, Setting.durability.key: durability,
        ])
        let servers = try Servers(settings, name: name)
        _ = (try settings.timeout(), try settings.window())
        if try settings.durability() == .applied, settings.value(.databaseURL) == nil {
            throw Failure(
                .badConfiguration,
                "--durability applied: no Postgres is configured to ask. Set DATABASE_URL, or choose another level")
        }
        if try wait?.groups().contains(.postgres) == true, settings.value(.databaseURL) == nil {
            throw Failure(
                .badConfiguration,
                "--wait: no Postgres is configured to ask. Set DATABASE_URL, or wait for --wait=stock,delivery")
        }
        try await servers.require(try wait?.groups() ?? [])
        return servers
    }

    /// Appends one change, says what became of it, and waits for the groups.
    func submit(_ change: Change, to servers: Servers) async throws {
        let groups = try wait?.groups() ?? []
        try await StopRequest.handlingSignals(saying: "stopping: waiting for the answer") { stop in
            try await CommandLane().run { _ in
                let report = SubmissionReport(receipts: nil, rejects: nil)
                var receipt: RowReceipt?
                let submitter = try stop.submitter(servers, notice: Console.error) {
                    report.take($0)
                    receipt = $0
                }
                submitter.add(change)
                submitter.finish()
                guard let receipt else { throw Failure(.bug, "no receipt for \(change.id)") }
                try show(receipt, submitter.end, stop)
                try stop.wait(for: report.targets, in: groups, servers)
            }
        }
    }

    /// Says what became of one change.
    func show(_ receipt: RowReceipt, _ end: Submitter.End? = nil, _ stop: StopRequest = StopRequest()) throws {
        if json { Console.print(receipt.json()) }
        if case .failed(let failure) = end {
            if case .unsent = receipt.outcome { throw failure.adding(". Not sent") }
            throw failure
        }
        let id = receipt.id ?? "?"
        switch receipt.outcome {
        case .answered(let result, let partition, _):
            guard result.outcome != .conflict else {
                throw Failure(.badRows, "\(receipt.conflict(result, partition)). Use a new ID.")
            }
            guard result.outcome != .refused else { throw Failure(.no, "\(receipt.refusal(result)). Not in the log.") }
            if json { return }
            let reached = receipt.durability.map { "  \($0)" } ?? ""
            Console.print(
                "\(id)  \(result.outcome.rawValue)  partition \(partition)  seq \(result.seq)  \(result.entry)\(reached)"
            )
        case .rejected(let error): throw Failure(.badRows, error.error.description)
        case .unknown(let reason):
            throw stop.ending(
                "\(id) may be in the log or not (\(reason)). Submit the same again: it is taken once")
        case .unsent(let reason): throw stop.ending("\(id) is not in the log: \(reason). Try again")
        }
    }
}

extension StopRequest {
    /// What a submission without an outcome ends with: the signal's code when one ended it.
    fileprivate func ending(_ message: String) -> any Error {
        guard let exitStatus else { return Failure(.tryAgain, message) }
        Console.error("error: \(message)")
        return Stopped(status: exitStatus)
    }
}
