import ChangeInput
import OrderLog
import RedisLog
import Submission

/// What a submission shows: receipts, the rejected rows' file, progress, and the summary.
///
/// For one lane.
final class SubmissionReport {
    /// How many changes had which outcome.
    struct Tally {
        var accepted = 0
        var duplicates = 0
        var conflicts = 0
        /// Orders that stock doesn't cover.
        var uncovered = 0
        var rejected = 0
        var unknown = 0
        var unsent = 0

        var total: Int { accepted + duplicates + problems + unknown + unsent }
        /// Rows that are wrong.
        var refused: Int { conflicts + rejected }
        /// Those that have to be looked at by a person.
        var problems: Int { refused + uncovered }
    }

    /// How many refused rows the summary names.
    private static let problemsShownMax = 10

    private(set) var tally = Tally()
    /// What is waited for by `--wait`.
    private(set) var targets = WaitTargets()
    /// What the input is, once that is known.
    var format: InputFormat?
    var readsOrders = false
    private var problems: [RowError] = []
    /// Where in each partition this submission's own changes begin.
    private var firstSeqs: [Partition: Seq] = [:]
    private let receipts: OutputBuffer?
    private let rejects: RejectsFile?
    private let begun = ContinuousClock.now

    /// - Parameters:
    ///   - receipts: Where receipts go as NDJSON; nil when none are wanted.
    ///   - rejects: Where refused rows go.
    init(receipts: OutputBuffer?, rejects: RejectsFile?) {
        self.receipts = receipts
        self.rejects = rejects
    }

    func take(_ receipt: RowReceipt) {
        var receipt = receipt
        switch receipt.outcome {
        case .answered(let result, let partition, let epoch):
            switch result.outcome {
            case .accepted:
                tally.accepted += 1
                if firstSeqs[partition] == nil { firstSeqs[partition] = result.seq }
            case .duplicate: tally.duplicates += 1
            case .conflict:
                tally.conflicts += 1
                if format == .csv, let first = firstSeqs[partition], result.seq >= first {
                    receipt.hint = Self.partedHint
                }
            case .refused: tally.uncovered += 1
            }
            if result.isInLog, let id = receipt.id, let shop = receipt.shop {
                targets.add(result.seq, of: id, shop: shop, in: partition, epoch: epoch)
            }
        case .rejected: tally.rejected += 1
        case .unknown: tally.unknown += 1
        case .unsent: tally.unsent += 1
        }
        if let problem = receipt.problem {
            if problems.count < Self.problemsShownMax { problems.append(problem) }
            rejects?.write(problem, id: receipt.id, from: receipt.line, input: receipt.input ?? [])
        }
        receipts?.append(receipt.json() + "\n")
    }

    private static let partedHint =
        "perhaps from rows far above: an order's rows must follow each other. Sort the file by id"

    func flush() {
        receipts?.flush()
    }

    /// What went in, and what did not, in a line for people.
    var summary: String {
        func part(_ count: Int, _ one: String, _ many: String? = nil) -> String? {
            count == 0 ? nil : "\(FieldError.spaced(count)) \(count == 1 ? one : many ?? one)"
        }
        let seconds = (ContinuousClock.now - begun) / .milliseconds(100)
        var parts = [
            "\(FieldError.spaced(tally.total)) \(noun)\(tally.total == 1 ? "" : "s")",
            "\(FieldError.spaced(tally.accepted)) accepted",
            part(tally.duplicates, "duplicate", "duplicates"), part(tally.conflicts, "conflict", "conflicts"),
            part(tally.uncovered, "refused"), part(tally.rejected, "rejected"),
        ].compactMap { $0 }
        if tally.problems > 0, let rejects { parts[parts.count - 1] += " → \(rejects.path)" }
        parts += [part(tally.unknown, "unknown"), part(tally.unsent, "not sent")].compactMap { $0 }
        parts.append("\(Int(seconds) / 10).\(Int(seconds) % 10)s")
        return parts.joined(separator: " · ")
    }

    /// What a submission that ended at its first refused row says of those before it, and of those behind.
    var stopLine: String {
        let line = problems.first.map { FieldError.spaced($0.line) } ?? "?"
        let count = tally.accepted + tally.duplicates
        return "sent: what stands before line \(line), \(FieldError.spaced(count)) \(noun)\(count == 1 ? "" : "s")"
            + "\(receipts == nil ? " (--json lists each with its place)" : ", listed with their places"); nothing behind it. "
            + "Mend that line, and submit the same again: what is in the log is not taken twice"
    }

    private var noun: String { readsOrders ? "order" : "row" }

    /// The first refused rows, a line each, and how many more there are.
    var problemLines: [String] {
        var lines = problems.map { "  \($0)" }
        let unnamed = tally.problems - problems.count
        if unnamed > 0 {
            lines.append(
                "  … and \(FieldError.spaced(unnamed)) more"
                    + (rejects.map { ", all in \($0.path)" } ?? " (--rejects FILE writes down all of them)"))
        }
        return lines
    }
}
