import Audit
import Inspection
import OrderLog
import Reports

extension AuditReport {
    /// The verdict's exit status; nil for 0.
    var status: ExitStatus? {
        switch verdict {
        case .agree: nil
        case .disagree: .no
        case .inconclusive: .tryAgain
        }
    }

    /// A table, what differs, and the verdict in the last line.
    var text: String {
        let rows = subjects.map {
            [$0.subject.title, FieldError.spaced($0.compared), FieldError.spaced($0.different)]
        }
        let header = ["SUBJECT", "COMPARED", "DIFFERENT"]
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        var lines = ([header] + rows).map { cells in
            let padding = cells.indices.map { String(repeating: " ", count: widths[$0] - cells[$0].count) }
            return cells[0] + padding[0] + "  " + padding[1] + cells[1] + "  " + padding[2] + cells[2]
        }
        for subject in subjects where subject.different > 0 {
            let shown = differences.filter { $0.subject == subject.subject }
            lines.append("")
            lines += shown.map { "! \($0.text)" }
            if shown.count < subject.different {
                lines.append(
                    "  … and \(FieldError.spaced(subject.different - shown.count)) more of \(subject.subject.title)")
            }
        }
        if explainedTotal > 0 {
            lines.append("")
            lines += explained.map(\.text)
            if explained.count < explainedTotal {
                lines.append(
                    "… and \(FieldError.spaced(explainedTotal - explained.count)) more dead letters like these")
            }
        }
        if !settled.isEmpty {
            lines.append("")
            lines += settled.map { "settled, \(FieldError.spaced($0.differences)) of it: \($0.incident.text)" }
        }
        if !inconclusive.isEmpty {
            lines.append("")
            lines += inconclusive.map { "? \(sanitized($0))" }
        }
        lines.append("")
        lines.append(
            "\(verdict.rawValue) · \(partitions) partition\(partitions == 1 ? "" : "s") · \(seconds)s\(meaning)")
        return lines.joined(separator: "\n")
    }

    private var meaning: String {
        switch verdict {
        case .agree: " · every sink equals the log"
        case .disagree: " · see docs/audit.md for what each difference can mean"
        case .inconclusive: " · nothing differs in what could be compared; try again"
        }
    }
}

extension AuditDifference {
    fileprivate var text: String {
        var place = partition.map { "partition \($0)" } ?? ""
        if let seq { place += (place.isEmpty ? "" : " ") + "seq \(seq)" }
        return "\(subject.title): \(sanitized(name))\(place.isEmpty ? "" : " (\(place))"): "
            + "expected \(sanitized(expected)), found \(sanitized(found))"
    }
}

extension AuditExplanation {
    fileprivate var text: String {
        "explained by dead letter: partition \(partition) seq \(seq) \(sanitized(name)) was set aside by hand in "
            + groups.joined(separator: " and ")
    }
}
