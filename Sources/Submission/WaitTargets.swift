package import OrderLog

/// What is waited for: the places of what was submitted.
///
/// In one history of a partition a place proves all before it, so the last one of each is enough, however many there are.
package struct WaitTargets {
    package struct Target {
        package let partition: Partition
        package let epoch: Epoch
        package var first: Seq
        package var last: Seq
        /// Of the change at `last`.
        package var id: String
        package var shop: String
    }

    package private(set) var all: [Target] = []
    private var positions: [History: Int] = [:]

    private struct History: Hashable {
        let partition: Partition
        let epoch: Epoch
    }

    package init() {}

    package mutating func add(
        _ seq: Seq, of id: String, shop: String, in partition: Partition, epoch: Epoch
    ) {
        // Another epoch is another history: it has a target of its own.
        let history = History(partition: partition, epoch: epoch)
        guard let index = positions[history] else {
            positions[history] = all.count
            all.append(
                Target(partition: partition, epoch: epoch, first: seq, last: seq, id: id, shop: shop))
            return
        }
        all[index].first = min(all[index].first, seq)
        if seq > all[index].last {
            all[index].last = seq
            (all[index].id, all[index].shop) = (id, shop)
        }
    }
}
