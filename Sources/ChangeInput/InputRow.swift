package import OrderLog

/// One change as the input holds it: a line of NDJSON, or the consecutive rows of an order in a CSV.
package struct InputRow: Sendable {
    /// The line it begins on, from 1.
    package let line: Int
    /// The change's ID; of a rejected row it is nil unless the row has one that an ID may look like.
    package let id: String?
    /// What was read, byte for byte, without the last line break and possibly not UTF-8.
    package let text: [UInt8]
    /// Whether `text` is only the beginning: its first 64 KiB.
    package let isTextCut: Bool
    /// A valid change, or why there is none.
    package let result: Result<Change, RowError>

    init(line: Int, id: String?, text: [UInt8], isTextCut: Bool = false, result: Result<Change, RowError>) {
        self.line = line
        self.text = text
        self.isTextCut = isTextCut
        self.result = result
        switch result {
        case .success(let change): self.id = change.id
        // Rejected rows hold anything: only what could have been an ID is shown as one.
        case .failure: self.id = id.flatMap { $0.isName ? $0 : nil }
        }
    }
}

extension InputRow {
    /// The same row, refused for what the reader doesn't know of.
    package func rejected(_ error: FieldError) -> InputRow {
        InputRow(
            line: line, id: id, text: text, isTextCut: isTextCut, result: .failure(RowError(line: line, error: error)))
    }

    /// Reads a change that is a JSON object, as a line of NDJSON has it.
    ///
    /// - Parameters:
    ///   - range: Where the object is, with nothing but white space around it.
    ///   - bytes: What it is in.
    ///   - line: The line it begins on, from 1.
    ///   - fallbackID: The change's ID if the object has none.
    package init(object range: Range<Int>, of bytes: [UInt8], line: Int, fallbackID: String? = nil) {
        let row = bytes[range]
        var draft = ChangeDraft()
        let result: Result<Change, RowError>
        do throws(FieldError) {
            guard row.isUTF8 else { throw .notUTF8 }
            try ChangeObject.read(range, of: bytes, into: &draft)
            draft.id = draft.id ?? fallbackID
            draft = draft.inNormalForm
            result = .success(try Change(draft))
        } catch {
            result = .failure(RowError(line: line, error: error))
        }
        let kept = row.prefix(RecordFramer.keptBytesMax)
        self.init(
            line: line, id: draft.id, text: Array(kept), isTextCut: kept.count < row.count, result: result)
    }

    /// A line that is longer than ``Limits/inputLineBytesMax``.
    package init(tooLong line: Int) {
        self.init(
            line: line, id: nil, text: [], isTextCut: true, result: .failure(RowError(line: line, error: .tooLong)))
    }
}

/// Why a row is rejected, and on which line.
package struct RowError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The line that is wrong, from 1: within an order of several rows it may lie behind the first.
    package let line: Int
    package let error: FieldError

    package init(line: Int, error: FieldError) {
        self.line = line
        self.error = error
    }

    /// `line 4 113: quantity: expected a whole number from 1 to 1 000 000, got "two"`.
    package var description: String {
        "line \(FieldError.spaced(line)): \(error.field == FieldError.wholeRow ? error.message : error.description)"
    }
}

extension FieldError {
    /// The field of an error that no field is to blame for.
    static let wholeRow = "line"

    static func row(_ message: String) -> FieldError { FieldError(wholeRow, message) }

    static var tooLong: FieldError { .row("longer than \(spaced(Limits.inputLineBytesMax)) bytes") }
    static var notUTF8: FieldError { .row("is not UTF-8") }
}
