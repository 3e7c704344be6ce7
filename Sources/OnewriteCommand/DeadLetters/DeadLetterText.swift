import Dashboard
import Foundation
import Inspection
import OrderLog
import Reports

/// Dead letters for people.
enum DeadLetterText {
    /// A line each, under a header.
    static func table(_ rows: [DeadLetterRow], withResolutions: Bool) -> String {
        let header = ["LETTER", "AGE", "GROUPS", "REASON", "SHOP", "ID"] + (withResolutions ? ["RESOLUTION"] : [])
        let cells = rows.map { row in
            let letter = row.letter
            let unknown = row.knowsPostgres ? [] : ["postgres?"]
            return [
                letter.id, age(row), (unknown + letter.groups.map(\.name)).joined(separator: " "),
                letter.parts.first?.reason ?? "?", letter.text("shop") ?? "–", letter.text("id") ?? "–",
            ].map { shortened($0) }
                + (withResolutions ? [letter.parts.lazy.compactMap(\.resolution).first?.text ?? "–"] : [])
                + [letter.parts.first?.error ?? ""]
        }
        let lines = ([header + ["ERROR"]] + cells).map { $0.map(sanitized) }
        // The last is as long as it is.
        let widths = header.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            header.indices.map { line[$0] + String(repeating: " ", count: widths[$0] - line[$0].count) + "  " }.joined()
                + (line.last ?? "") + "\n"
        }.joined()
    }

    /// `5:118  ord-7714  retried as 5:120`.
    static func line(_ row: DeadLetterRow) -> String {
        let outcome = row.outcome.map { outcome in
            if case .refused = outcome { "refused: \(outcome.detail)" } else { outcome.detail }
        }
        return [row.letter.id, row.letter.text("id").map { shortened($0) } ?? "–", outcome ?? ""]
            .map(sanitized).joined(separator: "  ")
    }

    /// Everything of one letter.
    static func whole(_ row: DeadLetterRow) -> String {
        let letter = row.letter
        var lines = ["\(letter.id)  \(letter.isResolved ? "resolved" : "unresolved")"]
        lines.append(
            "  entry     \(sanitized(letter.entry))  partition \(letter.partition)  seq \(letter.seq?.description ?? "–")"
        )
        for part in letter.parts {
            lines.append(
                named(part.group.name) + "\(sanitized(part.reason)), \(age(of: part, row.now)) ago: "
                    + sanitized(part.error))
            if let resolution = part.resolution {
                lines.append(named("") + sanitized("\(resolution.text) (by \(resolution.by) at \(resolution.at))"))
            }
        }
        if !row.knowsPostgres { lines.append(named("postgres") + "?") }
        lines.append("  fields, byte for byte:")
        lines += letter.fields.map { "    \(escaped($0.name)) \(escaped($0.value))" }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func named(_ name: String) -> String {
        "  " + name + String(repeating: " ", count: max(1, 10 - name.count))
    }

    private static func age(_ row: DeadLetterRow) -> String {
        row.letter.parts.map { $0.milliseconds }.min().map {
            Readable.age(milliseconds: row.now - $0)
        } ?? "?"
    }

    private static func age(of part: DeadLetter.Part, _ now: Int) -> String {
        Readable.age(milliseconds: now - part.milliseconds)
    }

    /// As redis-cli shows bytes: what isn't printable ASCII as `\x1b`.
    private static func escaped(_ bytes: [UInt8]) -> String {
        var text = "\""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += "\\" + String(UnicodeScalar(byte))
            case 0x20..<0x7F: text += String(UnicodeScalar(byte))
            default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text + "\""
    }

    /// An entry that was added by hand may hold anything.
    private static func shortened(_ text: String) -> String {
        text.count > 64 ? text.prefix(63) + "…" : text
    }
}
