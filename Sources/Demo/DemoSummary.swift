import Harness
import OrderLog

/// The demo's last words: a table of what was compared, Onewrite beside the naive dual write, and the verdict.
struct DemoSummary: Sendable {
    let orders: Int
    let tally: KillSchedule.Tally
    let check: StoreCheck
    let racesThatDiffer: Int
    let naive: DualWriteResult
    let naiveRacesThatDiffer: Int
    let lastPieces: LastPieces.Outcome
    let naiveSold: Int

    private static let shownDifferences = 20

    var lines: [String] {
        var lines = ["", Self.row("compared", "entries", "differences")]
        for finding in check.findings {
            lines.append(
                Self.row(
                    finding.subject.rawValue, FieldError.spaced(finding.compared),
                    FieldError.spaced(finding.differences.count)))
        }
        lines += ["", Self.row("", "onewrite", "naive dual write")]
        lines.append(Self.row("orders", FieldError.spaced(orders), FieldError.spaced(naive.orders)))
        lines.append(Self.row("kill -9", "\(tally.kills)", "\(tally.kills)"))
        lines.append(Self.row("  of them between apply and acknowledge", "\(tally.between)", "–"))
        lines.append(
            Self.row("orders that differ between the stores", "\(ordersThatDiffer)", "\(naive.ordersThatDiffer)"))
        lines.append(
            Self.row("stock counters that differ", "\(countersThatDiffer)", "\(naive.countersThatDiffer)"))
        lines.append(
            Self.row(
                "same count set by two clients at once: differ", "\(racesThatDiffer) of \(CountRace.rounds)",
                "\(naiveRacesThatDiffer) of \(CountRace.rounds)"))
        lines.append(
            Self.row(
                "sold of the last \(LastPieces.pieces) to \(LastPieces.clients) clients at once", "\(lastPieces.sold)",
                "\(naiveSold)"))
        lines += [
            "",
            "the naive dual write: \(naive.ordersThatDiffer) of \(FieldError.spaced(naive.orders)) orders differ between the "
                + "stores, for ever",
        ]
        if naive.ordersThatDiffer == 0 { lines.append("(this time no kill fell between its writes)") }
        if tally.between == 0 { lines.append("no kill was met between apply and acknowledge this time: run it again") }
        lines.append("")
        return lines + verdict
    }

    private var verdict: [String] {
        if check.isClean, lastPieces.isRight { return ["VERIFIED"] }
        var lines: [String] = []
        if !lastPieces.isRight {
            lines.append(
                "of \(LastPieces.clients) clients that wanted the last \(LastPieces.pieces) pieces, \(lastPieces.sold) were "
                    + "accepted and \(lastPieces.refused) refused")
        }
        if check.isClean { return lines + ["DIFFERENT: the last pieces"] }
        for finding in check.findings where !finding.differences.isEmpty {
            lines.append("\(finding.subject.rawValue):")
            lines += finding.differences.prefix(Self.shownDifferences).map { "  \($0)" }
            let rest = finding.differences.count - Self.shownDifferences
            if rest > 0 { lines.append("  and \(rest) more") }
        }
        return lines + ["DIFFERENT: " + check.differing.map(\.rawValue).joined(separator: ", ")]
    }

    private var ordersThatDiffer: Int {
        differences(.orders) + differences(.orderLines) + differences(.deliveries)
    }

    private var countersThatDiffer: Int { differences(.stockInPostgres) + differences(.stockInRedis) }

    private func differences(_ subject: StoreCheck.Subject) -> Int {
        check.findings.first { $0.subject == subject }?.differences.count ?? 0
    }

    private static func row(_ name: String, _ first: String, _ second: String) -> String {
        func right(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(1, width - text.count)) + text
        }
        return "  " + name + right(first, 56 - name.count) + right(second, 18)
    }
}
