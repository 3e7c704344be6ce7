/// A parameter of a statement.
///
/// Its type is what the statement makes of it. An array parameter travels as one value, for
/// `unnest($1::text[], $2::bigint[])`.
package enum PostgresValue: Sendable {
    case null
    /// Must not contain NUL.
    case text(String)
    case integer(Int64)
    case boolean(Bool)
    /// A `bytea`.
    case bytes([UInt8])
    case texts([String?])
    case integers([Int64?])
    case booleans([Bool?])
    case byteArrays([[UInt8]?])
    /// An array built element by element.
    case array(PostgresArray)
}

/// A one-dimensional array as Postgres reads it, built in one buffer.
///
/// The elements must be of one type, as the statement's is.
///
/// Syntax: <https://www.postgresql.org/docs/15/arrays.html#ARRAYS-IO>
package struct PostgresArray: Sendable {
    /// The number of elements.
    package private(set) var count = 0
    /// Whether a text in it has a NUL, which Postgres can't hold.
    private(set) var containsNUL = false
    /// The literal without its closing brace.
    private(set) var literal: [UInt8] = [UInt8(ascii: "{")]

    package init() {}

    /// Makes room for as many bytes, to spare growing.
    package mutating func reserveCapacity(_ bytes: Int) {
        literal.reserveCapacity(bytes)
    }

    package mutating func append(_ text: String) {
        separate()
        literal.append(UInt8(ascii: "\""))
        var text = text
        let isPlain = text.withUTF8 { utf8 in
            let special = utf8.contains { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") || $0 == 0 }
            if !special { literal.append(contentsOf: utf8) }
            return !special
        }
        if !isPlain { appendEscaped(text) }
        literal.append(UInt8(ascii: "\""))
    }

    package mutating func append(_ integer: Int64) {
        separate()
        literal.append(decimal: integer)
    }

    package mutating func append(_ boolean: Bool) {
        separate()
        literal.append(boolean ? UInt8(ascii: "t") : UInt8(ascii: "f"))
    }

    /// Appends a `bytea`.
    package mutating func append(bytes: some Sequence<UInt8>) {
        separate()
        literal.append(contentsOf: #""\\x"#.utf8)
        for byte in bytes {
            literal.append(Self.hexDigits[Int(byte >> 4)])
            literal.append(Self.hexDigits[Int(byte & 15)])
        }
        literal.append(UInt8(ascii: "\""))
    }

    package mutating func appendNull() {
        separate()
        literal.append(contentsOf: "NULL".utf8)
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)

    private mutating func separate() {
        if count > 0 { literal.append(UInt8(ascii: ",")) }
        count += 1
    }

    private mutating func appendEscaped(_ text: String) {
        for byte in text.utf8 {
            if byte == 0 { containsNUL = true }
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { literal.append(UInt8(ascii: "\\")) }
            literal.append(byte)
        }
    }
}

extension [UInt8] {
    mutating func append(decimal integer: Int64) {
        if integer < 0 { append(UInt8(ascii: "-")) }
        let start = count
        var rest = integer.magnitude
        repeat {
            append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        self[start...].reverse()
    }
}
