/// A shop, a SKU, or an ID of an order or a change, by its bytes.
///
/// Redis and Postgres compare bytes; Swift's strings compare what they mean, so that "é" in one character is to them the
/// same as "e" with an accent behind it. What is looked up or sorted by a name uses this.
package struct Name: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String

    package init(_ text: String) { self.text = text }

    package var description: String { text }

    package static func == (left: Name, right: Name) -> Bool { left.text.hasSameBytes(as: right.text) }

    package func hash(into hasher: inout Hasher) {
        text.utf8.span.withUnsafeBytes { hasher.combine(bytes: $0) }
    }

    /// In the order of their bytes, which is that of their Unicode scalars, as in Postgres's collation `C`.
    package static func < (left: Name, right: Name) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }
}

extension String {
    /// Whether two texts are the same byte for byte.
    package func hasSameBytes(as other: String) -> Bool {
        let (own, others) = (utf8.span, other.utf8.span)
        guard own.count == others.count else { return false }
        return own.withUnsafeBytes { own in others.withUnsafeBytes { own.elementsEqual($0) } }
    }
}

/// What a name may be: 1 to 128 bytes of UTF-8 without characters that can't be seen, and no blank at either end.
///
/// What can't be seen is listed here, and not taken from the Unicode version of whoever asks: every build, and the functions
/// in Redis, come to the same answer for ever.
///
/// Unicode: <https://www.unicode.org/reports/tr44/#General_Category_Values>
package enum NameRule {
    /// Control characters (Cc), format characters (Cf: marks of direction, zero width), separators of lines and paragraphs.
    static let invisible: [ClosedRange<UInt32>] = [
        0x00...0x1F, 0x7F...0x9F, 0xAD...0xAD, 0x600...0x605, 0x61C...0x61C, 0x6DD...0x6DD, 0x70F...0x70F,
        0x890...0x891, 0x8E2...0x8E2, 0x180E...0x180E, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F,
        0xFEFF...0xFEFF, 0xFFF9...0xFFFB, 0x110BD...0x110BD, 0x110CD...0x110CD, 0x13430...0x1343F,
        0x1BCA0...0x1BCA3, 0x1D173...0x1D17A, 0xE0000...0xE007F,
    ]
    /// Spaces (Zs).
    static let blanks: [ClosedRange<UInt32>] = [
        0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x202F...0x202F, 0x205F...0x205F, 0x3000...0x3000,
    ]

    /// What is expected of a name, for an error's text.
    package static let text =
        "1 to \(Limits.nameBytes.upperBound) bytes of UTF-8 without invisible characters, and no blank at either end"

    /// Whether a text is a name of the few characters that logs of the first formats take, or of others.
    ///
    /// - Parameters:
    ///   - text: Any.
    ///   - plain: Those characters.
    ///   - length: How long such a name is, in bytes.
    /// - Returns: nil when it is no name at all.
    package static func isPlain(_ text: String, among plain: Alphabet, _ length: ClosedRange<Int>) -> Bool? {
        let bytes = text.utf8.span
        if length.contains(bytes.count), plain.containsAll(bytes) { return true }
        guard Limits.nameBytes.contains(bytes.count) else { return nil }
        let scalars = text.unicodeScalars
        guard let first = scalars.first, let last = scalars.last, !isIn(blanks, first), !isIn(blanks, last),
            !scalars.contains(where: { isIn(invisible, $0) })
        else { return nil }
        return false
    }

    private static func isIn(_ ranges: [ClosedRange<UInt32>], _ scalar: Unicode.Scalar) -> Bool {
        ranges.contains { $0.contains(scalar.value) }
    }
}

/// Names in texts that part them by blanks and colons: what would part them is percent-encoded there, and nothing else, so
/// that each name has one text, and one of the old alphabets is its own.
package enum NameEncoding {
    /// In `lines`: `%`, blanks and colons.
    package static func encodedInLines(_ sku: String) -> String { encoded(sku, hasColons: true) }

    /// As the idempotency window knows a change: shop and change ID with a blank between.
    package static func windowName(shop: String, id: String) -> String {
        encoded(shop, hasColons: false) + " " + encoded(id, hasColons: false)
    }

    /// Whether a part of such a name is encoded there.
    package static func isEncodedInWindow(_ name: String) -> Bool {
        let bytes = name.utf8.span
        for index in bytes.indices where bytes[index] == UInt8(ascii: "%") || bytes[index] == UInt8(ascii: " ") {
            return true
        }
        return false
    }

    /// Where the idempotency window has such a name, when it is in buckets: 20 bits.
    ///
    /// FNV-1a with 32 bits, folded. The last byte is left out, so that IDs which count up share a bucket by tens: a call of
    /// many takes a command for each bucket.
    package static func windowHash(_ name: String) -> Int {
        var hash = WindowHash()
        hash.add(name.utf8.span, isLast: true)
        return hash.value
    }

    /// The same, without making the name where it can be done without.
    package static func windowHash(shop: String, id: String) -> Int {
        if isEncodedInWindow(shop) || isEncodedInWindow(id) { return windowHash(windowName(shop: shop, id: id)) }
        var hash = WindowHash()
        hash.add(shop.utf8.span, isLast: false)
        hash.add(UInt8(ascii: " "))
        hash.add(id.utf8.span, isLast: true)
        return hash.value
    }

    private struct WindowHash {
        private var hash: UInt32 = 0x811c_9dc5

        mutating func add(_ byte: UInt8) { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }

        mutating func add(_ bytes: Span<UInt8>, isLast: Bool) {
            for index in 0..<max(0, bytes.count - (isLast ? 1 : 0)) { add(bytes[index]) }
        }

        var value: Int { Int(hash & 0xf_ffff ^ hash >> 20) }
    }

    /// The name that a text in `lines` stands for; nil for one that isn't a name's.
    package static func decoded(_ bytes: Span<UInt8>) -> String? {
        var isEncoded = false
        for index in bytes.indices where bytes[index] == UInt8(ascii: "%") { isEncoded = true }
        guard isEncoded else { return bytes.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) } }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "%") else {
                decoded.append(bytes[index])
                index += 1
                continue
            }
            guard index + 2 < bytes.count else { return nil }
            switch (bytes[index + 1], bytes[index + 2]) {
            case (UInt8(ascii: "2"), UInt8(ascii: "5")): decoded.append(UInt8(ascii: "%"))
            case (UInt8(ascii: "2"), UInt8(ascii: "0")): decoded.append(UInt8(ascii: " "))
            case (UInt8(ascii: "3"), UInt8(ascii: "A")): decoded.append(UInt8(ascii: ":"))
            default: return nil
            }
            index += 3
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func encoded(_ name: String, hasColons: Bool) -> String {
        let special: (UInt8) -> Bool = { byte in
            byte == UInt8(ascii: "%") || byte == UInt8(ascii: " ") || hasColons && byte == UInt8(ascii: ":")
        }
        guard name.utf8.contains(where: special) else { return name }
        var encoded: [UInt8] = []
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "%"): encoded += "%25".utf8
            case UInt8(ascii: " "): encoded += "%20".utf8
            case UInt8(ascii: ":") where hasColons: encoded += "%3A".utf8
            default: encoded.append(byte)
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }
}
