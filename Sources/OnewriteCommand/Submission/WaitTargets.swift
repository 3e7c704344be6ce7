import ArgumentParser
import OrderLog
import RedisLog

/// What `--wait` waits for: the places of what was submitted.
///
/// In one history of a partition a place proves all before it, so the last one of each is enough, however many there are.
struct WaitTargets {
    struct Target {
        let partition: Partition
        let epoch: Epoch
        var first: Seq
        var last: Seq
        /// Of the change at `last`.
        var id: String
        var shop: String
    }

    private(set) var all: [Target] = []
    private var positions: [Partition: Int] = [:]

    mutating func add(_ result: Appender.Result, of id: String, shop: String, in partition: Partition, epoch: Epoch) {
        // Another epoch is another history: its target follows, and the partition's earlier one stays.
        guard let index = positions[partition], all[index].epoch == epoch else {
            positions[partition] = all.count
            all.append(
                Target(partition: partition, epoch: epoch, first: result.seq, last: result.seq, id: id, shop: shop))
            return
        }
        all[index].first = min(all[index].first, result.seq)
        if result.seq > all[index].last {
            all[index].last = result.seq
            (all[index].id, all[index].shop) = (id, shop)
        }
    }
}

/// The groups that `--wait` names.
struct WaitGroups: ExpressibleByArgument, CustomStringConvertible {
    static let all = WaitGroups(text: Group.builtIn.map(\.name).joined(separator: ","))

    private let text: String

    private init(text: String) {
        self.text = text
    }

    init?(argument: String) {
        text = argument
    }

    var description: String { text }

    /// The groups, or why the text names none.
    func groups() throws -> [Group] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map { name in
            guard let group = Group(String(name)) else {
                throw ValidationError(
                    "--wait: no group \(FieldError.quote(String(name))); expected postgres, stock, delivery as in "
                        + "--wait=stock,delivery (--wait alone means all three, and stands last)")
            }
            return group
        }
    }
}
