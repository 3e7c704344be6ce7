import Foundation
package import OrderLog

/// A change with its place, as one line of JSON: what `onewrite log --json` prints, and what stores without code are given.
///
/// `partition`, `seq`, `epoch`, `entry` (the stream ID) and `at` (when it was appended, by Redis's clock), then the change as
/// `onewrite submit` takes it.
package enum ChangeJSON {
    /// A change in the log.
    package static func text(
        _ change: Change, of entry: EntryID, at place: Place, in partition: Partition
    ) -> String {
        text(
            change.stringFields.map { name, value in
                switch name {
                case "lines": (name, lines(change.lines))
                // JSON already; its line breaks can only stand between its parts.
                case "attributes": (name, value.replacing(/[\r\n\t]/, with: " "))
                default: (name, quoted(value))
                }
            }, of: entry, at: place, in: partition)
    }

    /// What is said of an entry that is no change.
    package static func text(
        _ texts: KeyValuePairs<String, String>, of entry: EntryID, at place: Place, in partition: Partition
    ) -> String {
        text(texts.map { ($0, quoted($1)) }, of: entry, at: place, in: partition)
    }

    /// A batch's changes, in log order.
    package static func array(_ batch: Batch) -> String {
        "[" + batch.applied.map { text($0, in: batch.permit.partition) }.joined(separator: ",") + "]"
    }

    /// A change of a batch.
    package static func text(_ applied: Batch.Applied, in partition: Partition) -> String {
        text(applied.change, of: applied.id, at: applied.place, in: partition)
    }

    /// When an entry was appended, such as `2026-11-29T11:52:40.127Z`.
    package static func timestamp(_ entry: EntryID) -> String {
        // The style cuts, so that .204 held as .20399… would become .203.
        Date(timeIntervalSince1970: (Double(entry.milliseconds) + 0.25) / 1000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    private static func text(
        _ members: [(String, String)], of entry: EntryID, at place: Place, in partition: Partition
    ) -> String {
        let all =
            [
                ("partition", "\(partition)"), ("seq", "\(place.seq)"), ("epoch", "\(place.epoch)"),
                ("entry", quoted(entry.description)), ("at", quoted(timestamp(entry))),
            ] + members
        return "{" + all.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    private static func lines(_ lines: Lines) -> String {
        "[" + lines.items.map { "{\"sku\":\(quoted($0.sku)),\"quantity\":\($0.quantity)}" }.joined(separator: ",") + "]"
    }

    /// A text as a JSON string.
    ///
    /// <https://datatracker.ietf.org/doc/html/rfc8259#section-7>
    private static func quoted(_ text: String) -> String {
        var json = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": json += "\\\(scalar)"
            case "\0"..<" ":
                let digits = String(scalar.value, radix: 16)
                json += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: json.unicodeScalars.append(scalar)
            }
        }
        return json + "\""
    }
}
