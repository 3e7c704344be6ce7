/// Rejected rows as a CSV that can be mended in a spreadsheet and submitted again.
///
/// The rows are as they were, with one more column that says why, which is passed over when it is read.
package struct RejectedSheet: Sendable {
    /// The column's name.
    static let column = "rejected"

    private let separator: UInt8
    private let columns: Int
    /// The header, with the column.
    package let header: [UInt8]

    /// - Parameters:
    ///   - header: The input's, without its line break.
    ///   - separator: What parts its fields.
    ///   - columns: How many there are.
    init(header: [UInt8], separator: UInt8, columns: Int) {
        (self.separator, self.columns) = (separator, columns)
        self.header = header + [separator] + Self.column.utf8 + [0x0A]
    }

    /// - Parameters:
    ///   - text: An order's rows, as ``InputRow/text`` has them.
    ///   - reason: Why it is rejected.
    /// - Returns: The rows with their line breaks; the first says why. Of an order of which not all rows were kept none is given:
    ///   submitted again, it would be one with too few lines.
    package func rows(_ text: [UInt8], reason: String) -> [UInt8] {
        if text.count >= RecordFramer.keptBytesMax {
            return Array(repeating: separator, count: columns)
                + Self.field(
                    "\(reason). Its rows are more than \(RecordFramer.keptBytesMax) bytes: mend them where they are")
        }
        var rest: [UInt8]? = text
        var framer = RecordFramer(isReady: { _ in true }) {
            defer { rest = nil }
            return rest
        }
        framer.separator = separator
        var rows: [UInt8] = []
        var field = Self.field(reason)
        // Nothing can fail that is read from memory, and nothing is too long that was kept.
        while case .whole(let range)? = try? framer.next(quoted: separator != 0x09) {
            rows += framer.bytes[range]
            rows.append(separator)
            rows += field
            field = [0x0A]
        }
        return rows
    }

    private static func field(_ text: String) -> [UInt8] {
        Array("\"\(text.replacing("\"", with: "\"\""))\"\n".utf8)
    }
}
