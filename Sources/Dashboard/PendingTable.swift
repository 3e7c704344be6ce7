package import Reports

/// The plain table of `onewrite pending`: a line an entry, oldest first.
///
/// Never coloured, so that it reads the same in a terminal, a file and a mail.
package enum PendingTable {
    /// The whole text, every line ended by a newline.
    package static func text(_ entries: [PendingEntry]) -> String {
        let header = ["ENTRY ID", "P", "GROUP", "CONSUMER", "IDLE", "TRY", "ORDER", "STATE"]
        let trailing: Set = [1, 4, 5]
        let rows = entries.map { entry in
            [
                entry.entry, "\(entry.partition)", entry.group, sanitized(entry.consumer),
                Readable.age(milliseconds: entry.idleMilliseconds), "\(entry.deliveries)",
                entry.id.map(sanitized) ?? Readable.unknown, entry.state.rawValue,
            ]
        }
        let widths = header.indices.map { column in
            min(widestColumns, ([header] + rows).map { $0[column].columns }.max() ?? 0)
        }
        return ([header] + rows).map { row in
            let cells = row.indices.map { row[$0].fitted(to: widths[$0], trailing.contains($0) ? .trailing : .leading) }
            return trimmed(cells.joined(separator: "  ")) + "\n"
        }.joined()
    }

    /// An order's ID has at most 128; whatever is longer was added by hand.
    private static let widestColumns = 128

    private static func trimmed(_ line: String) -> String {
        var line = line
        while line.last == " " { line.removeLast() }
        return line
    }
}
