import ChangeInput
import OrderLog
import RedisLog

/// What a submission shows: receipts, the rejected rows' file, progress, and the summary.
///
/// For one lane.
final class SubmissionReport {
    /// How many changes had which outcome.
    struct Tally {
        var accepted = 0
        var duplicates = 0
        var conflicts = 0
        var rejected = 0
        var unknown = 0
        var unsent = 0

        var total: Int { accepted + duplicates + conflicts + rejected + unknown + unsent }
        /// Those that have to be looked at by a person.
        var refused: Int { conflicts + rejected }
    }

    /// How many refused rows the summary names.
    private static let problemsShownMax = 10

    private(set) var tally = Tally()
    /// What is waited for by `--wait`.
    private(set) var targets = WaitTargets()
    private var problems: [RowError] = []
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

    func take(_ receipt: Receipt) {
        switch receipt.outcome {
        case .answered(let result, let partition, let epoch):
            switch result.outcome {
            case .accepted: tally.accepted += 1
            case .duplicate: tally.duplicates += 1
            case .conflict: tally.conflicts += 1
            }
            if result.outcome != .conflict, let id = receipt.id, let shop = receipt.shop {
                targets.add(result, of: id, shop: shop, in: partition, epoch: epoch)
            }
        case .rejected: tally.rejected += 1
        case .unknown: tally.unknown += 1
        case .unsent: tally.unsent += 1
        }
        if let problem = receipt.problem {
            if problems.count < Self.problemsShownMax { problems.append(problem) }
            rejects?.write(problem, id: receipt.id, input: receipt.input ?? [])
        }
        receipts?.append(receipt.json() + "\n")
    }

    func flush() {
        receipts?.flush()
    }

    /// What went in, and what did not.
    ///
    /// - Parameter format: What the input was.
    /// - Returns: A line for people.
    func summary(of format: InputFormat?) -> String {
        func part(_ count: Int, _ one: String, _ many: String? = nil) -> String? {
            count == 0 ? nil : "\(FieldError.spaced(count)) \(count == 1 ? one : many ?? one)"
        }
        let noun = format == .csv ? "order" : "row"
        let seconds = (ContinuousClock.now - begun) / .milliseconds(100)
        var parts = [
            "\(FieldError.spaced(tally.total)) \(noun)\(tally.total == 1 ? "" : "s")",
            "\(FieldError.spaced(tally.accepted)) accepted",
            part(tally.duplicates, "duplicate", "duplicates"), part(tally.conflicts, "conflict", "conflicts"),
            part(tally.rejected, "rejected"),
        ].compactMap { $0 }
        if tally.refused > 0, let rejects { parts[parts.count - 1] += " → \(rejects.path)" }
        parts += [part(tally.unknown, "unknown"), part(tally.unsent, "not sent")].compactMap { $0 }
        parts.append("\(Int(seconds) / 10).\(Int(seconds) % 10)s")
        return parts.joined(separator: " · ")
    }

    /// The first refused rows, a line each, and how many more there are.
    var problemLines: [String] {
        var lines = problems.map { "  \($0)" }
        let unnamed = tally.refused - problems.count
        if unnamed > 0 {
            lines.append(
                "  … and \(FieldError.spaced(unnamed)) more"
                    + (rejects.map { ", all in \($0.path)" } ?? " (--rejects FILE writes down all of them)"))
        }
        return lines
    }
}
