import Inspection

/// A hash of what a JSON text says: spaces, the order of an object's members, and how a string is escaped make no difference.
///
/// Numbers are told apart as they are written.
package struct JSONMeaning {
    /// Deeper than anything that a sink writes; other texts may be anything.
    private static let depthMax = 40

    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    private init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// Reads an object that names its place in the log.
    ///
    /// - Parameters:
    ///   - json: The text.
    ///   - seq: The member that is taken out as a whole number.
    ///   - ignored: The member that says nothing.
    /// - Returns: The number, and a hash of all other members; nil when it is no such object.
    package static func object(_ json: UnsafeRawBufferPointer, seq: StaticString, ignoring ignored: StaticString) -> (
        Int64, Int
    )? {
        var reader = JSONMeaning(json)
        let (seqName, ignoredName) = (Self.hash(of: seq), Self.hash(of: ignored))
        var found: Int64?
        reader.skipSpace()
        let sum = reader.members { reader, name in
            let start = reader.at
            guard let value = reader.value(depth: 1) else { return nil }
            if name == seqName { found = wholeNumber(json[start..<reader.at]) }
            return name == seqName || name == ignoredName ? 0 : hash(of: name, value)
        }
        reader.skipSpace()
        guard reader.at == json.count, let sum, let found else { return nil }
        return (found, sum)
    }

    private enum Kind: UInt8 { case string, word, array, object }

    private mutating func value(depth: Int) -> Int? {
        guard depth < Self.depthMax, at < bytes.count else { return nil }
        switch bytes[at] {
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "{"):
            return members { reader, name in reader.value(depth: depth + 1).map { Self.hash(of: name, $0) } }
        case UInt8(ascii: "["):
            var hasher = Hasher()
            hasher.combine(Kind.array.rawValue)
            let isList = list(closing: UInt8(ascii: "]")) {
                guard let element = $0.value(depth: depth + 1) else { return false }
                hasher.combine(element)
                return true
            }
            return isList ? hasher.finalize() : nil
        default:
            let start = at
            while at < bytes.count, !Self.endsWord(bytes[at]) { at += 1 }
            guard at > start else { return nil }
            return Self.hash(.word, UnsafeRawBufferPointer(rebasing: bytes[start..<at]))
        }
    }

    /// Adds up what the members say, so that their order makes no difference.
    private mutating func members(_ member: (inout JSONMeaning, Int) -> Int?) -> Int? {
        guard at < bytes.count, bytes[at] == UInt8(ascii: "{") else { return nil }
        var sum = Int(Kind.object.rawValue)
        let isObject = list(closing: UInt8(ascii: "}")) {
            guard $0.at < $0.bytes.count, $0.bytes[$0.at] == UInt8(ascii: "\""), let name = $0.string() else {
                return false
            }
            $0.skipSpace()
            guard $0.take(UInt8(ascii: ":")) else { return false }
            $0.skipSpace()
            guard let said = member(&$0, name) else { return false }
            sum &+= said
            return true
        }
        return isObject ? sum : nil
    }

    private mutating func list(closing: UInt8, _ one: (inout JSONMeaning) -> Bool) -> Bool {
        at += 1
        skipSpace()
        if take(closing) { return true }
        repeat {
            skipSpace()
            guard one(&self) else { return false }
            skipSpace()
        } while take(UInt8(ascii: ","))
        return take(closing)
    }

    private mutating func string() -> Int? {
        at += 1
        let start = at
        while at < bytes.count, bytes[at] != UInt8(ascii: "\""), bytes[at] != UInt8(ascii: "\\") { at += 1 }
        guard at < bytes.count else { return nil }
        if bytes[at] == UInt8(ascii: "\"") {
            defer { at += 1 }
            return Self.hash(.string, UnsafeRawBufferPointer(rebasing: bytes[start..<at]))
        }
        var text = Array(bytes[start..<at])
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if byte == UInt8(ascii: "\"") { return text.withUnsafeBytes { Self.hash(.string, $0) } }
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte)
                continue
            }
            guard at < bytes.count else { return nil }
            let escape = bytes[at]
            at += 1
            switch escape {
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "u"):
                guard let scalar = scalar() else { return nil }
                text += String(scalar).utf8
            default: text.append(escape)
            }
        }
        return nil
    }

    /// The character of the digits behind a `\u`, or of a surrogate pair.
    private mutating func scalar() -> Unicode.Scalar? {
        guard let unit = codeUnit() else { return nil }
        guard UTF16.isLeadSurrogate(unit) else { return Unicode.Scalar(unit) }
        guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")), let low = codeUnit(), UTF16.isTrailSurrogate(low)
        else {
            return nil
        }
        return Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00))
    }

    private mutating func codeUnit() -> UInt16? {
        guard at + 4 <= bytes.count else { return nil }
        defer { at += 4 }
        return UInt16(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
    }

    private mutating func skipSpace() {
        while at < bytes.count, Self.isSpace(bytes[at]) { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    private static func endsWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["),
            UInt8(ascii: "]"), UInt8(ascii: "\""):
            true
        default: isSpace(byte)
        }
    }

    private static func wholeNumber(_ digits: Slice<UnsafeRawBufferPointer>) -> Int64? {
        Int64(String(decoding: digits, as: UTF8.self)).flatMap { $0 > 0 ? $0 : nil }
    }

    private static func hash(_ kind: Kind, _ bytes: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(kind.rawValue)
        hasher.combine(bytes: bytes)
        return hasher.finalize()
    }

    private static func hash(of name: StaticString) -> Int {
        name.withUTF8Buffer { hash(.string, UnsafeRawBufferPointer($0)) }
    }

    private static func hash(of name: Int, _ value: Int) -> Int {
        var hasher = Hasher()
        hasher.combine(name)
        hasher.combine(value)
        return hasher.finalize()
    }
}
