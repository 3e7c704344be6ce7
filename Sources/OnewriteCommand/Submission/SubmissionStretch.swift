import ChangeInput
import OrderLog
import Submission

/// Rows that are looked at together before any of them is sent, so that nothing is sent behind the first that is refused.
///
/// Calls of several partitions travel at once, in no order between them: only what is known before can be kept back. The one thing
/// that isn't is another submitter that takes an ID between the look and the call.
struct SubmissionStretch {
    private let submitter: Submitter
    private let report: SubmissionReport
    private var rows: [InputRow] = []
    private var bytes = 0

    init(_ submitter: Submitter, _ report: SubmissionReport) {
        self.submitter = submitter
        self.report = report
    }

    /// Takes a row, and sends all once they are many.
    mutating func add(_ row: InputRow) {
        rows.append(row)
        bytes += row.text.count
        if rows.count >= Limits.submitChangesMax || bytes >= Limits.submitBytesMax { send() }
    }

    /// Sends the rows up to the first that is refused, which is sent too: the log's answer says why.
    mutating func send() {
        var rest = rows[...]
        (rows, bytes) = ([], 0)
        while submitter.canGoOn, report.tally.refused == 0, !rest.isEmpty {
            let count = submitter.refusedIndex(in: rest).map { $0 - rest.startIndex + 1 } ?? rest.count
            guard submitter.canGoOn else { return }
            for row in rest.prefix(count) { submitter.add(row) }
            rest = rest.dropFirst(count)
            submitter.settle()
        }
    }
}
