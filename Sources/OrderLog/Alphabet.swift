/// A set of ASCII bytes, looked up in one step.
package struct Alphabet: Sendable {
    private let members: (UInt64, UInt64)

    private init(_ text: StaticString) {
        var low: UInt64 = 0
        var high: UInt64 = 0
        text.withUTF8Buffer { bytes in
            for byte in bytes {
                if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte - 64) }
            }
        }
        members = (low, high)
    }

    package func contains(_ byte: UInt8) -> Bool {
        if byte < 64 { return members.0 >> UInt64(byte) & 1 == 1 }
        return byte < 128 && members.1 >> UInt64(byte - 64) & 1 == 1
    }

    /// Whether all of some bytes are members; none is.
    package func containsAll(_ bytes: Span<UInt8>) -> Bool {
        for index in bytes.indices where !contains(bytes[index]) { return false }
        return true
    }

    /// `[A-Za-z0-9._:/-]`: `id`, `order`, `shop`.
    package static let identifier = Alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/-")
    /// `[a-z0-9-]`: groups.
    package static let group = Alphabet("abcdefghijklmnopqrstuvwxyz0123456789-")
    /// `[A-Za-z0-9._-]`: SKUs and workers' names.
    package static let sku = Alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
}
