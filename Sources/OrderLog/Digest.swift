/// A payload's digest: tells a retry from another change under the same ID.
///
/// FNV-1a with 128 bits. It guards against mistakes, not against forgery: who can make two payloads collide can as
/// well leave the second one unsent.
///
/// <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
package struct Digest: Hashable, Sendable, CustomStringConvertible {
    private let value: UInt128

    /// Digests what a change says, apart from its ID and shop, under which the digest is kept.
    ///
    /// - Parameter change: The change.
    package init(of change: Change) {
        var hash: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d
        func add(_ byte: UInt8) {
            hash ^= UInt128(byte)
            hash = hash &* 0x0000_0000_0100_0000_0000_0000_0000_013b
        }
        // No field can hold a zero byte, and a missing one differs from an empty one: no two payloads share a text.
        for field in [change.kind.rawValue, change.customer, change.order, change.lines.text, change.attributes] {
            if let field {
                add(1)
                for byte in field.utf8 { add(byte) }
            }
            add(0)
        }
        value = hash
    }

    /// 32 hexadecimal digits.
    package var description: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }
}
