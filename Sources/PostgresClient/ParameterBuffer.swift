import Glibc

/// The parameters of a statement as libpq takes them: one flat buffer, and pointers into it.
///
/// libpq: <https://www.postgresql.org/docs/15/libpq-exec.html#LIBPQ-PQEXECPARAMS>
struct ParameterBuffer {
    private var bytes: [UInt8] = []
    private var starts: [Int?] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    /// Encodes the parameters.
    ///
    /// - Throws: ``PostgresError/invalidParameter(reason:)`` for a NUL in a text.
    init(_ parameters: [PostgresValue]) throws(PostgresError) {
        for (index, parameter) in parameters.enumerated() {
            let start = bytes.count
            let hasNUL = append(parameter)
            guard !hasNUL else {
                throw .invalidParameter(
                    reason: "parameter $\(index + 1) contains a NUL, which Postgres's text can't hold")
            }
            guard let length = Int32(exactly: bytes.count - start) else {
                throw .invalidParameter(reason: "parameter $\(index + 1) is larger than 2 GiB")
            }
            let isNull = if case .null = parameter { true } else { false }
            let isBinary = if case .bytes = parameter { true } else { false }
            starts.append(isNull ? nil : start)
            lengths.append(length)
            formats.append(isBinary ? 1 : 0)
            bytes.append(0)
        }
    }

    /// Calls with count, values, lengths and formats, valid during the call only.
    func withPointers<Result>(
        _ body: (Int32, [UnsafePointer<CChar>?], [Int32], [Int32]) -> Result
    ) -> Result {
        bytes.withUnsafeBytes { buffer in
            let first = buffer.bindMemory(to: CChar.self).baseAddress
            let values = starts.map { start in start.flatMap { first?.advanced(by: $0) } }
            return body(Int32(starts.count), values, lengths, formats)
        }
    }

    /// Returns whether there is a NUL where none may be.
    private mutating func append(_ parameter: PostgresValue) -> Bool {
        switch parameter {
        case .null:
            return false
        case .text(let text):
            let start = bytes.count
            bytes.append(contentsOf: text.utf8)
            return bytes[start...].withUnsafeBytes { text in
                text.baseAddress.map { memchr($0, 0, text.count) != nil } ?? false
            }
        case .integer(let integer):
            bytes.append(decimal: integer)
            return false
        case .boolean(let boolean):
            bytes.append(boolean ? UInt8(ascii: "t") : UInt8(ascii: "f"))
            return false
        case .bytes(let value):
            bytes.append(contentsOf: value)
            return false
        case .array(let array):
            return append(array)
        case .texts(let texts):
            return append(texts) { array, text in array.append(text) }
        case .integers(let integers):
            return append(integers) { array, integer in array.append(integer) }
        case .booleans(let booleans):
            return append(booleans) { array, boolean in array.append(boolean) }
        case .byteArrays(let byteArrays):
            return append(byteArrays) { array, value in array.append(bytes: value) }
        }
    }

    private mutating func append<Element>(
        _ elements: [Element?], _ appendElement: (inout PostgresArray, Element) -> Void
    ) -> Bool {
        var array = PostgresArray()
        for element in elements {
            if let element { appendElement(&array, element) } else { array.appendNull() }
        }
        return append(array)
    }

    private mutating func append(_ array: PostgresArray) -> Bool {
        bytes.append(contentsOf: array.literal)
        bytes.append(UInt8(ascii: "}"))
        return array.containsNUL
    }
}
