/// A payload's digest: tells a retry from another change under the same ID.
///
/// FNV-1a with 128 bits. It guards against mistakes, not against forgery: who can make two payloads collide can as
/// well leave the second one unsent.
///
/// <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
package struct Digest: Hashable, Sendable, CustomStringConvertible {
    /// The hash's upper and lower half: with 128-bit numbers each byte would cost three multiplications instead of two.
    private let high: UInt64
    private let low: UInt64

    /// Digests what a change says, apart from its ID and shop, under which the digest is kept.
    ///
    /// - Parameter change: The change.
    package init(of change: Change) {
        var high: UInt64 = 0x6c62_272e_07bb_0142
        var low: UInt64 = 0x62b8_2175_6295_c58d
        // The prime is 2^88 + 0x13b.
        func add(_ byte: UInt8) {
            low ^= UInt64(byte)
            let product = low.multipliedFullWidth(by: 0x13b)
            high = high &* 0x13b &+ product.high &+ low << 24
            low = product.low
        }
        // No field can hold a zero byte, and a missing one differs from an empty one: no two payloads share a text.
        func add(_ field: String?) {
            if let field {
                add(1)
                let bytes = field.utf8.span
                for index in bytes.indices { add(bytes[index]) }
            }
            add(0)
        }
        add(change.kind.rawValue)
        add(change.customer)
        add(change.order)
        add(change.lines.text)
        add(change.attributes)
        (self.high, self.low) = (high, low)
    }

    /// The digest of no payload that there is.
    package static let none = Digest(high: 0, low: 0)

    private init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    /// The digest that a description tells; nil for another text.
    package init?(_ description: String) {
        guard description.utf8.count == 32, let high = UInt64(description.prefix(16), radix: 16),
            let low = UInt64(description.suffix(16), radix: 16)
        else { return nil }
        (self.high, self.low) = (high, low)
    }

    /// The digest of 16 bytes, the highest first; nil for another number of them.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Appends its 16 bytes, the highest first.
    package func write(to bytes: inout [UInt8]) {
        for half in [high, low] {
            withUnsafeBytes(of: half.bigEndian) { bytes.append(contentsOf: $0) }
        }
    }

    /// 32 hexadecimal digits.
    package var description: String {
        String(unsafeUninitializedCapacity: 32) { digits in
            for index in 0..<32 {
                let half = index < 16 ? high : low
                let digit = UInt8(truncatingIfNeeded: half >> UInt64(60 - 4 * (index % 16)) & 0xf)
                digits[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") - 10 + digit
            }
            return 32
        }
    }
}
