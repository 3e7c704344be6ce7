package import OrderLog
package import RedisClient
package import RedisLog
import ThreadedIO

/// Looks through the log itself for an order that nobody else remembers.
///
/// From end to end, a thousand entries at a time: only where Postgres can't be asked.
package struct LogSearch {
    /// An order's own entry.
    package struct Found {
        package let shop: String
        package let place: OrderTrail.LogPlace
    }

    private static let chunk = 1000

    package let redis: RedisConnection
    package let keys: Keys
    /// Takes what it is at.
    package var progress: (String) -> Void = { _ in }

    /// The entries of a change's ID.
    ///
    /// - Parameters:
    ///   - id: The ID of the change: an order's, or its cancellation's.
    ///   - type: What it must be.
    ///   - shop: Whose it must be; nil for any.
    ///   - partitions: Where to look.
    /// - Returns: The first of each shop, in the partitions' order.
    /// - Throws: `RedisError` when the log can't be read.
    package func entries(
        of id: String, _ type: Change.Kind, ofShop shop: String? = nil, in partitions: some Sequence<Partition>
    ) throws(RedisError) -> [Found] {
        var found: [Found] = []
        for partition in partitions {
            progress("looking through the log of partition \(partition)")
            var from = "-"
            while true {
                let page = try redis.call(
                    RedisCommand("XRANGE", keys.log(partition), from, "+", "COUNT", Self.chunk),
                    until: .after(SnapshotReader.timeout)
                ).requireArray()
                for entry in page {
                    let fields = EntryFields(ofEntry: entry)
                    guard fields.text("id")?.hasSameBytes(as: id) == true, fields.text("type") == type.rawValue,
                        let seq = fields.seq,
                        let named = fields.text("shop"), named.hasSameBytes(as: shop ?? named),
                        !found.contains(where: { $0.shop.hasSameBytes(as: named) })
                    else { continue }
                    let place = OrderTrail.LogPlace(
                        seq: seq, epoch: fields.text("epoch").flatMap { Int($0) }, entry: try entry[0].requireString())
                    found.append(Found(shop: named, place: place))
                }
                guard page.count == Self.chunk, let last = page.last else { break }
                from = "(\(try last[0].requireString())"
            }
        }
        return found
    }
}
