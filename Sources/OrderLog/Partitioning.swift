/// Which partition a shop's changes go to, of a log with a fixed number of partitions.
package struct Partitioning: Hashable, Sendable {
    /// P, fixed when the log is created.
    package let count: Int

    /// Takes a count within ``Limits/partitions``; nil outside it.
    ///
    /// - Parameter count: P.
    package init?(count: Int) {
        guard Limits.partitions.contains(count) else { return nil }
        self.count = count
    }

    /// CRC16 of the shop's name, mod P.
    package func partition(ofShop shop: String) -> Partition {
        Partition(Int(Self.crc16(shop.utf8)) % count)
    }

    package var all: [Partition] { (0..<count).map(Partition.init) }

    /// The CRC16 that Redis Cluster uses (XMODEM: polynomial 0x1021, start 0).
    ///
    /// <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#appendix-a-crc16-reference-implementation-in-ansi-c>
    static func crc16(_ bytes: some Sequence<UInt8>) -> UInt16 {
        var crc: UInt16 = 0
        for byte in bytes {
            crc ^= UInt16(byte) << 8
            for _ in 0..<8 {
                crc = crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021
            }
        }
        return crc
    }
}
