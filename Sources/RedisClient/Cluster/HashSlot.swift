/// One of the 16 384 parts of a Redis Cluster's keys; each is on one master.
///
/// Redis: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>
struct HashSlot: Hashable, Sendable {
    static let count = 16384

    let number: Int

    /// A slot by its number; nil for one that there is not.
    init?(_ number: Int) {
        guard (0..<Self.count).contains(number) else { return nil }
        self.number = number
    }

    /// The slot of a key: of what stands in its first pair of braces, where that is not empty.
    init(of key: some Collection<UInt8>) {
        var tag = key[...]
        if let open = key.firstIndex(of: UInt8(ascii: "{")) {
            let inside = key[key.index(after: open)...]
            if let close = inside.firstIndex(of: UInt8(ascii: "}")), close != inside.startIndex {
                tag = inside[..<close]
            }
        }
        number = Int(Self.crc16(tag)) % Self.count
    }

    /// XMODEM: polynomial 0x1021, start 0.
    private static func crc16(_ bytes: some Sequence<UInt8>) -> UInt16 {
        var crc: UInt16 = 0
        for byte in bytes {
            crc ^= UInt16(byte) << 8
            for _ in 0..<8 { crc = crc & 0x8000 == 0 ? crc << 1 : (crc << 1) ^ 0x1021 }
        }
        return crc
    }
}
