/// Rejected rows as a CSV that can be mended in a spreadsheet and submitted again.
///
/// The rows are as they were, with one more column that says why, which is passed over when it is read.
package struct RejectedSheet: Sendable {
    /// The column's name.
    static let column = "rejected"

    private let separator: UInt8
    /// The header, with the column.
    package let header: [UInt8]

    /// - Parameters:
    ///   - header: The input's, without its line break.
    ///   - separator: What parts its fields.
    init(header: [UInt8], separator: UInt8) {
        self.separator = separator
        self.header = header + [separator] + Self.column.utf8 + [0x0A]
    }

    /// - Parameters:
    ///   - text: An order's rows, as ``InputRow/text`` has them.
    ///   - reason: Why it is rejected.
    /// - Returns: The rows with their line breaks; the first says why.
    package func rows(_ text: [UInt8], reason: String) -> [UInt8] {
        var rest: [UInt8]? = text
        var framer = RecordFramer(isReady: { _ in true }) {
            defer { rest = nil }
            return rest
        }
        framer.separator = separator
        var rows: [UInt8] = []
        var field = Array("\"\(reason.replacing("\"", with: "\"\""))\"".utf8)
        while case .whole(let range)? = try? framer.next(quoted: separator != 0x09) {
            rows += framer.bytes[range]
            rows.append(separator)
            rows += field + [0x0A]
            field = []
        }
        return rows
    }
}
