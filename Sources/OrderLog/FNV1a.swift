/// A hash that is the same in every process and build: FNV-1a, 64 bits.
///
/// Swift's own hashes differ from process to process.
///
/// <http://www.isthe.com/chongo/tech/comp/fnv/>
package enum FNV1a {
    /// The hash of nothing.
    package static let start: UInt64 = 0xcbf2_9ce4_8422_2325

    /// Takes bytes into a hash.
    package static func mix(_ bytes: UnsafeRawBufferPointer, into hash: UInt64) -> UInt64 {
        bytes.reduce(hash) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }

    /// Takes a text into a hash.
    package static func mix(_ text: String, into hash: UInt64) -> UInt64 {
        var text = text
        return text.withUTF8 { mix(UnsafeRawBufferPointer($0), into: hash) }
    }
}
