import ChangeInput
import OrderLog
import RedisLog
import Submission

/// Rows that are looked at together before any of them is sent, so that nothing is sent behind the first that is refused.
///
/// Calls of several partitions travel at once, in no order between them: only what is known before can be kept back. The one thing
/// that isn't is another submitter that takes an ID between the look and the call.
final class SubmissionStretch {
    private let submitter: Submitter
    private let report: SubmissionReport
    private var rows: [InputRow] = []
    /// What is known of rows, by their index, from Postgres.
    private var known: [Int: RowReceipt.Outcome] = [:]
    private var bytes = 0

    init(_ submitter: Submitter, _ report: SubmissionReport) {
        self.submitter = submitter
        self.report = report
    }

    /// Takes a row, and sends all once they are many.
    func add(_ row: InputRow, known outcome: RowReceipt.Outcome? = nil) {
        known[rows.count] = outcome
        rows.append(row)
        bytes += row.text.count
        if rows.count >= Limits.submitChangesMax || bytes >= Limits.submitBytesMax { send() }
    }

    /// Sends the rows up to the first that is refused, which is sent too: the log's answer says why.
    func send() {
        var rest = rows[...]
        let known = known
        (rows, self.known, bytes) = ([], [:], 0)
        let conflict = known.filter { $0.value.isConflict }.keys.min()
        while submitter.canGoOn, report.tally.refused == 0, !rest.isEmpty {
            let refused = [submitter.refusedIndex(in: rest), conflict].compactMap(\.self).min()
            guard submitter.canGoOn else { return }
            let count = refused.map { $0 - rest.startIndex + 1 } ?? rest.count
            for index in rest.indices.prefix(count) { submitter.add(rest[index], known: known[index]) }
            rest = rest.dropFirst(count)
            submitter.settle()
        }
    }
}

extension RowReceipt.Outcome {
    /// Whether its ID is there with another payload.
    fileprivate var isConflict: Bool {
        if case .answered(let result, _, _) = self { result.outcome == .conflict } else { false }
    }
}
