import OrderLog

/// Steps through one line of JSON.
///
/// Its syntax errors name the line and the byte, counted from 1.
struct JSONScanner {
    private let bytes: [UInt8]
    private let line: Range<Int>
    private var at: Int

    init(_ bytes: [UInt8], _ line: Range<Int>) {
        self.bytes = bytes
        self.line = line
        at = line.lowerBound
    }

    /// The next byte; nil at the line's end.
    var peek: UInt8? { at < line.upperBound ? bytes[at] : nil }

    mutating func skipSpace() {
        while let byte = peek, byte.isSpace { at += 1 }
    }

    func expectEnd() throws(FieldError) {
        var rest = self
        rest.skipSpace()
        guard rest.peek == nil else { throw rest.notJSON("expected nothing behind the object") }
    }

    // MARK: Objects and arrays

    /// Steps through an object whose brace is next.
    ///
    /// - Parameter member: Gets each name, and has to take the value that is next.
    /// - Throws: What `member` throws, or a syntax error.
    mutating func takeMembers(
        _ member: (inout JSONScanner, String) throws(FieldError) -> Void
    ) throws(FieldError) {
        try takeList(closing: UInt8(ascii: "}")) { scanner throws(FieldError) in
            guard scanner.peek == UInt8(ascii: "\"") else { throw scanner.notJSON("expected a name in quotes") }
            let name = try scanner.takeString(FieldError.wholeRow)
            scanner.skipSpace()
            guard scanner.take(UInt8(ascii: ":")) else { throw scanner.notJSON("expected a colon") }
            scanner.skipSpace()
            try member(&scanner, name)
        }
    }

    /// Steps through an array whose bracket is next.
    ///
    /// - Parameter element: Has to take the value that is next.
    /// - Throws: What `element` throws, or a syntax error.
    mutating func takeElements(_ element: (inout JSONScanner) throws(FieldError) -> Void) throws(FieldError) {
        try takeList(closing: UInt8(ascii: "]"), element)
    }

    /// Steps over both kinds of brackets, and the commas between what is in them.
    private mutating func takeList(
        closing: UInt8, _ one: (inout JSONScanner) throws(FieldError) -> Void
    ) throws(FieldError) {
        at += 1
        skipSpace()
        if take(closing) { return }
        repeat {
            skipSpace()
            try one(&self)
            skipSpace()
        } while take(UInt8(ascii: ","))
        guard take(closing) else { throw notJSON("expected a comma or a closing bracket") }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        at += 1
        return true
    }

    // MARK: Values as they are written

    /// Takes a value as it is written, checking no more than where it ends.
    mutating func takeRaw() throws(FieldError) -> String {
        let start = at
        try skipValue()
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }

    /// Steps over a value, well-formed or not, up to the comma or bracket behind it.
    mutating func skipValue() throws(FieldError) {
        var depth = 0
        repeat {
            switch peek {
            case UInt8(ascii: "\""): try skipString()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                at += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard depth > 0 else { throw notJSON("expected a value") }
                depth -= 1
                at += 1
            case nil: throw notJSON("ends too early")
            default:
                // Within brackets anything may pass; outside of them a word or number ends the value.
                if depth > 0 { at += 1 } else { try skipWord() }
            }
        } while depth > 0
    }

    private mutating func skipWord() throws(FieldError) {
        let start = at
        while let byte = peek, !byte.isSpace, !byte.isDelimiter { at += 1 }
        guard at > start else { throw notJSON("expected a value") }
    }

    // MARK: Strings

    /// Takes a string, unescaped.
    ///
    /// - Parameter field: What an error is to name when the value isn't a string.
    /// - Returns: The text that the string stands for.
    /// - Throws: ``FieldError`` naming `field`, or the line when the string is not well-formed.
    mutating func takeString(_ field: String) throws(FieldError) -> String {
        guard peek == UInt8(ascii: "\"") else {
            throw FieldError(field, "expected a string, got \(describeValue())")
        }
        let start = at + 1
        let hasEscapes = try skipString()
        let inner = start..<at - 1
        return hasEscapes ? try unescape(inner) : String(decoding: bytes[inner], as: UTF8.self)
    }

    /// Steps over a string.
    ///
    /// - Returns: Whether it has escapes, which are not checked here.
    @discardableResult
    private mutating func skipString() throws(FieldError) -> Bool {
        var hasEscapes = false
        at += 1
        while let byte = peek {
            switch byte {
            case UInt8(ascii: "\""):
                at += 1
                return hasEscapes
            case UInt8(ascii: "\\"):
                hasEscapes = true
                at = min(at + 2, line.upperBound)
            case 0..<0x20: throw notJSON("has a control character within a string")
            default: at += 1
            }
        }
        throw notJSON("ends within a string")
    }

    private func unescape(_ inner: Range<Int>) throws(FieldError) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(inner.count)
        var at = inner.lowerBound
        while at < inner.upperBound {
            guard bytes[at] == UInt8(ascii: "\\") else {
                text.append(bytes[at])
                at += 1
                continue
            }
            switch bytes[at + 1] {
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(bytes[at + 1])
            case UInt8(ascii: "u"):
                guard let scalar = escapedScalar(at) else {
                    throw notJSON("has a \\u that is no character", at: at)
                }
                text += String(scalar).utf8
                at += scalar.value > 0xFFFF ? 12 : 6
                continue
            default: throw notJSON("has an unknown escape", at: at)
            }
            at += 2
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The character of a `\uXXXX`, or of the two that make a surrogate pair.
    private func escapedScalar(_ at: Int) -> Unicode.Scalar? {
        guard let unit = JSONEscape.codeUnit(bytes.span, at: at) else { return nil }
        guard UTF16.isLeadSurrogate(unit) else { return Unicode.Scalar(unit) }
        guard let low = JSONEscape.codeUnit(bytes.span, at: at + 6), UTF16.isTrailSurrogate(low) else { return nil }
        return Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00))
    }

    // MARK: Errors

    /// The next value for an error's text.
    func describeValue() -> String {
        guard let first = peek else { return "nothing" }
        switch first {
        case UInt8(ascii: "{"): return "an object"
        case UInt8(ascii: "["): return "an array"
        case UInt8(ascii: "\""): return "a string"
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return "a number"
        default:
            let value = bytes[at..<line.upperBound].prefix { !$0.isSpace && !$0.isDelimiter }
            let word = String(decoding: value, as: UTF8.self)
            switch word {
            case "": return "nothing"
            case "null", "true", "false": return word
            default: return FieldError.quote(word)
            }
        }
    }

    private func notJSON(_ message: String, at place: Int? = nil) -> FieldError {
        .row("not JSON: \(message), at byte \((place ?? at) - line.lowerBound + 1)")
    }
}

extension UInt8 {
    /// What ends a word or a number in JSON, besides white space.
    fileprivate var isDelimiter: Bool {
        switch self {
        case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["),
            UInt8(ascii: "]"), UInt8(ascii: "\""):
            true
        default: false
        }
    }
}
