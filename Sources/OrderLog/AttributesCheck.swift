/// Checks that `attributes` is a JSON object that Postgres's jsonb can hold, without changing a byte of it.
///
/// Stricter than JSON (<https://datatracker.ietf.org/doc/html/rfc8259>) where jsonb is: no `\u0000`, no lone
/// surrogates, no number beyond numeric's scale. Stricter than jsonb within ``Limits``: size, depth, exponents.
///
/// <https://www.postgresql.org/docs/15/datatype-json.html>
package enum AttributesCheck {
    /// Checks one text.
    ///
    /// - Parameter text: JSON as somebody wrote it; white space around the object may stay.
    /// - Returns: The same text.
    /// - Throws: ``FieldError`` naming `attributes`, what is wrong, and at which byte, counted from 1.
    /// - Complexity: One pass over at most ``Limits/attributesBytesMax`` bytes, without recursion.
    package static func check(_ text: String) throws(FieldError) -> String {
        guard text.utf8.count <= Limits.attributesBytesMax else {
            throw FieldError(
                "attributes", "expected at most \(Limits.attributesBytesMax) bytes, got \(text.utf8.count)")
        }
        let bytes = text.utf8.span
        var at = 0
        skipSpace(bytes, &at)
        guard at < bytes.count, bytes[at] == UInt8(ascii: "{") else {
            throw FieldError("attributes", "expected a JSON object, got \(FieldError.quote(text))")
        }
        try checkValue(bytes, &at)
        skipSpace(bytes, &at)
        guard at == bytes.count else { throw wrong("expected nothing behind the object", at) }
        return text
    }

    /// What may come next in the innermost open object or array.
    private enum Expected {
        case value, valueOrEnd, key, keyOrEnd, commaOrEnd
    }

    /// Walks one value.
    ///
    /// What is open is a stack of bits, 1 for an object: that is why the depth has to be below 64.
    private static func checkValue(_ bytes: Span<UInt8>, _ at: inout Int) throws(FieldError) {
        var open: UInt64 = 0
        var depth = 0
        var expected = Expected.value
        repeat {
            skipSpace(bytes, &at)
            guard at < bytes.count else { throw wrong("ends too early", at) }
            switch (bytes[at], expected) {
            case (UInt8(ascii: "{"), .value), (UInt8(ascii: "{"), .valueOrEnd),
                (UInt8(ascii: "["), .value), (UInt8(ascii: "["), .valueOrEnd):
                guard depth < Limits.attributesDepthMax else {
                    throw wrong("nests deeper than \(Limits.attributesDepthMax)", at)
                }
                let isObject = bytes[at] == UInt8(ascii: "{")
                open = open << 1 | (isObject ? 1 : 0)
                depth += 1
                expected = isObject ? .keyOrEnd : .valueOrEnd
                at += 1
            case (UInt8(ascii: "}"), .keyOrEnd), (UInt8(ascii: "]"), .valueOrEnd),
                (UInt8(ascii: "}"), .commaOrEnd) where open & 1 == 1,
                (UInt8(ascii: "]"), .commaOrEnd) where open & 1 == 0:
                open >>= 1
                depth -= 1
                expected = .commaOrEnd
                at += 1
            case (UInt8(ascii: ","), .commaOrEnd):
                expected = open & 1 == 1 ? .key : .value
                at += 1
            case (UInt8(ascii: "\""), .key), (UInt8(ascii: "\""), .keyOrEnd):
                try checkString(bytes, &at)
                skipSpace(bytes, &at)
                guard at < bytes.count, bytes[at] == UInt8(ascii: ":") else { throw wrong("expected a colon", at) }
                at += 1
                expected = .value
            case (_, .value), (_, .valueOrEnd):
                try checkScalar(bytes, &at)
                expected = .commaOrEnd
            case (_, .key), (_, .keyOrEnd):
                throw wrong("expected a name in quotes", at)
            case (_, .commaOrEnd):
                throw wrong("expected a comma or a closing bracket", at)
            }
        } while depth > 0
    }

    private static func checkScalar(_ bytes: Span<UInt8>, _ at: inout Int) throws(FieldError) {
        switch bytes[at] {
        case UInt8(ascii: "\""): try checkString(bytes, &at)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try checkNumber(bytes, &at)
        case UInt8(ascii: "t"): try checkWord("true", bytes, &at)
        case UInt8(ascii: "f"): try checkWord("false", bytes, &at)
        case UInt8(ascii: "n"): try checkWord("null", bytes, &at)
        default: throw wrong("expected a value", at)
        }
    }

    private static func checkWord(
        _ word: StaticString, _ bytes: Span<UInt8>, _ at: inout Int
    ) throws(FieldError) {
        let start = at
        let isThere = word.withUTF8Buffer { letters in
            letters.count <= bytes.count - start && letters.indices.allSatisfy { letters[$0] == bytes[start + $0] }
        }
        guard isThere else { throw wrong("expected a value", at) }
        at += word.utf8CodeUnitCount
    }

    // MARK: Strings

    private static func checkString(_ bytes: Span<UInt8>, _ at: inout Int) throws(FieldError) {
        at += 1
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\""):
                at += 1
                return
            case UInt8(ascii: "\\"):
                try checkEscape(bytes, &at)
            case 0..<0x20:
                throw wrong("has a control character within a string", at)
            default:
                at += 1
            }
        }
        throw wrong("ends within a string", at)
    }

    private static func checkEscape(_ bytes: Span<UInt8>, _ at: inout Int) throws(FieldError) {
        let start = at
        guard at + 1 < bytes.count else { throw wrong("ends within a string", bytes.count) }
        switch bytes[at + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            at += 2
        case UInt8(ascii: "u"):
            guard let unit = JSONEscape.codeUnit(bytes, at: at) else {
                throw wrong("has a \\u without four hexadecimal digits", start)
            }
            switch unit {
            case 0: throw wrong("has a \\u0000, which Postgres can't hold", start)
            case 0xD800..<0xDC00:
                guard let low = JSONEscape.codeUnit(bytes, at: at + 6), (0xDC00..<0xE000).contains(low) else {
                    throw wrong("has half of a surrogate pair", start)
                }
                at += 12
            case 0xDC00..<0xE000: throw wrong("has half of a surrogate pair", start)
            default: at += 6
            }
        default:
            throw wrong("has an unknown escape", start)
        }
    }

    // MARK: Numbers

    private static func checkNumber(_ bytes: Span<UInt8>, _ at: inout Int) throws(FieldError) {
        let start = at
        if bytes[at] == UInt8(ascii: "-") { at += 1 }
        let whole = at
        var fractionDigits = 0
        var exponent = 0
        guard skipDigits(bytes, &at) > 0 else { throw wrong("expected a digit", at) }
        guard bytes[whole] != UInt8(ascii: "0") || at == whole + 1 else {
            throw wrong("has a number with a leading zero", whole)
        }
        if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
            at += 1
            fractionDigits = skipDigits(bytes, &at)
            guard fractionDigits > 0 else { throw wrong("expected a digit", at) }
        }
        if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            let isNegative = at < bytes.count && bytes[at] == UInt8(ascii: "-")
            if isNegative || at < bytes.count && bytes[at] == UInt8(ascii: "+") { at += 1 }
            let digits = at
            guard skipDigits(bytes, &at) > 0 else { throw wrong("expected a digit", at) }
            for index in digits..<at where exponent <= Limits.attributesExponentMax {
                exponent = exponent * 10 + Int(bytes[index] - UInt8(ascii: "0"))
            }
            if isNegative { exponent.negate() }
        }
        guard exponent.magnitude <= Limits.attributesExponentMax,
            fractionDigits - exponent <= Limits.attributesScaleMax
        else {
            throw wrong("has a number that is too large or too small", start)
        }
    }

    private static func skipDigits(_ bytes: Span<UInt8>, _ at: inout Int) -> Int {
        let start = at
        while at < bytes.count, UInt8(ascii: "0")...UInt8(ascii: "9") ~= bytes[at] { at += 1 }
        return at - start
    }

    private static func skipSpace(_ bytes: Span<UInt8>, _ at: inout Int) {
        while at < bytes.count,
            bytes[at] == UInt8(ascii: " ") || bytes[at] == UInt8(ascii: "\n") || bytes[at] == UInt8(ascii: "\r")
                || bytes[at] == UInt8(ascii: "\t")
        {
            at += 1
        }
    }

    private static func wrong(_ what: String, _ at: Int) -> FieldError {
        FieldError("attributes", "\(what), at byte \(at + 1)")
    }
}
