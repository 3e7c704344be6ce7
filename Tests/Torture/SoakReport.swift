import Harness

/// What a soak did and found, over all its rounds.
struct SoakReport: Sendable {
    let seed: UInt64
    /// What was to come.
    let kinds: [Fault]
    /// The arguments that make the same run.
    let again: String
    var elapsed: Duration = .zero
    var rounds = 0
    var faults: [Fault: Int] = [:]
    var receipts = ReceiptBook.Tally()
    /// Accepted, cut off the log before Postgres had them, submitted again.
    var lostAsAllowed = 0
    /// Orders that were refused for want of stock, as far as no lost tail came in between.
    var refusalsCompared = 0
    var submitterRuns = 0
    var workerRestarts = 0
    var looks = 0
    var refusals: [String: Int] = [:]
    var fullChecks = 0
    var entriesCompared = 0
    var trimmed = 0
    var audits: [String: Int] = [:]
    var violations: [String] = []
    var evidence: [String] = []

    var isClean: Bool { violations.isEmpty }

    mutating func add(_ tally: ReceiptBook.Tally) {
        receipts.changes += tally.changes
        receipts.accepted += tally.accepted
        receipts.duplicates += tally.duplicates
        receipts.refused += tally.refused
        receipts.unknown += tally.unknown
        receipts.cut += tally.cut
    }

    var lines: [String] {
        var lines = ["", Self.row("seed", "\(seed)"), Self.row("time", "\(Int(elapsed / .seconds(1))) s")]
        lines.append(Self.row("rounds, each on new servers", "\(rounds)"))
        lines += kinds.map { Self.row($0.rawValue, "\(faults[$0] ?? 0)") }
        lines += [
            Self.row("batches refused by their token", "\(refusals.values.reduce(0, +))")
        ]
        lines += StoreContents.groups.map { Self.row("  by \($0)", "\(refusals[$0] ?? 0)") }
        lines += [
            Self.row("changes submitted", "\(receipts.changes)"),
            Self.row("answers accepted", "\(receipts.accepted)"),
            Self.row("answers duplicate", "\(receipts.duplicates)"),
            Self.row("answers refused, for want of stock", "\(receipts.refused)"),
            Self.row("  of them compared with the log, entry by entry", "\(refusalsCompared)"),
            Self.row("no answer, submitted again", "\(receipts.unknown)"),
            Self.row("onewrite submit processes", "\(submitterRuns)"),
            Self.row("workers that ended by themselves for want of a server", "\(workerRestarts)"),
            Self.row("log entries in lost tails", "\(receipts.cut)"),
            Self.row("  of them accepted, and lost as durability server allows", "\(lostAsAllowed)"),
            Self.row("log entries trimmed", "\(trimmed)"),
            Self.row("looks at both servers while all that happened", "\(looks)"),
            Self.row("full checks at rest", "\(fullChecks)"),
            Self.row("  entries compared in them, each in five places", "\(entriesCompared)"),
        ]
        for (outcome, count) in audits.sorted(by: { $0.key < $1.key }) {
            lines.append(Self.row("onewrite audit: \(outcome)", "\(count)"))
        }
        lines.append(Self.row("violations", "\(violations.count)"))
        lines += violations.prefix(40).map { "  ! \($0)" }
        if violations.count > 40 { lines.append("  ! and \(violations.count - 40) more") }
        lines += evidence.map { "  evidence: \($0)" }
        if !isClean {
            lines.append("  again: scripts/torture soak \(again)")
        }
        return lines + ["", isClean ? "NOTHING LOST, DOUBLED OR OUT OF ORDER" : "VIOLATIONS"]
    }

    private static func row(_ name: String, _ value: String) -> String {
        "  " + name + String(repeating: " ", count: max(1, 66 - name.count - value.count)) + value
    }
}
