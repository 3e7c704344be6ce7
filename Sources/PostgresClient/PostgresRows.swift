import CLibpq

/// What a statement answered: rows, or how many it changed.
///
/// Owns libpq's memory for as long as it, or a row of it, is held.
package struct PostgresRows: RandomAccessCollection {
    let result: ResultOwner
    package let startIndex = 0
    package let endIndex: Int

    init(_ result: ResultOwner) {
        self.result = result
        endIndex = Int(PQntuples(result.pointer))
    }

    /// How many rows the statement inserted, updated, deleted or returned.
    package var affected: Int {
        Int(String(cString: PQcmdTuples(result.pointer))) ?? 0
    }

    /// The command that was done, such as `COMMIT` or `INSERT 0 1`.
    var commandTag: String { String(cString: PQcmdStatus(result.pointer)) }

    package subscript(index: Int) -> PostgresRow {
        precondition(indices.contains(index), "there is no row \(index)")
        return PostgresRow(result: result, index: Int32(index))
    }
}

/// One row; its columns count from 0.
///
/// `string`, `int64`, `bool` and `bytes` are nil for NULL, for a value of another form, and for a column that isn't there.
/// Their `require…` siblings throw ``PostgresError/malformed(reason:)`` for each of these.
package struct PostgresRow {
    let result: ResultOwner
    let index: Int32

    /// The number of columns.
    package var count: Int { Int(PQnfields(result.pointer)) }

    package func isNull(_ column: Int) -> Bool { text(column) == nil }

    package func string(_ column: Int) -> String? {
        text(column).map { String(decoding: $0, as: UTF8.self) }
    }

    package func int64(_ column: Int) -> Int64? {
        string(column).flatMap { Int64($0) }
    }

    package func bool(_ column: Int) -> Bool? {
        switch string(column) {
        case "t": true
        case "f": false
        default: nil
        }
    }

    /// A `bytea`.
    package func bytes(_ column: Int) -> [UInt8]? {
        guard let text = text(column), text.count.isMultiple(of: 2), text.starts(with: #"\x"#.utf8) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 2 - 1)
        for index in stride(from: 2, to: text.count, by: 2) {
            guard let high = Self.nibble(text[index]), let low = Self.nibble(text[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    package func requireString(_ column: Int) throws(PostgresError) -> String {
        try require(string(column), column, "a text")
    }

    package func requireInt64(_ column: Int) throws(PostgresError) -> Int64 {
        try require(int64(column), column, "an integer")
    }

    package func requireBool(_ column: Int) throws(PostgresError) -> Bool {
        try require(bool(column), column, "a boolean")
    }

    package func requireBytes(_ column: Int) throws(PostgresError) -> [UInt8] {
        try require(bytes(column), column, "a bytea")
    }

    private func require<Value>(_ value: Value?, _ column: Int, _ form: String) throws(PostgresError) -> Value {
        if let value { return value }
        let name = PQfname(result.pointer, Int32(column)).map { String(cString: $0) } ?? "which does not exist"
        let found = isNull(column) ? "NULL" : "something else"
        throw .malformed(reason: "column \(column) (\(name)) is \(found), not \(form)")
    }

    /// The column's text, in the result's own memory; nil for NULL and for a column that isn't there.
    private func text(_ column: Int) -> UnsafeBufferPointer<UInt8>? {
        guard (0..<count).contains(column), PQgetisnull(result.pointer, index, Int32(column)) == 0,
            let value = PQgetvalue(result.pointer, index, Int32(column))
        else { return nil }
        let length = Int(PQgetlength(result.pointer, index, Int32(column)))
        return UnsafeBufferPointer(start: UnsafeRawPointer(value).assumingMemoryBound(to: UInt8.self), count: length)
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}

/// Frees a `PGresult` when the last row of it is let go.
final class ResultOwner {
    let pointer: OpaquePointer

    init(_ pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit {
        PQclear(pointer)
    }
}
