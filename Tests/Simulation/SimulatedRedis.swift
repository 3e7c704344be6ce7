import OrderLog

/// A Redis server: partitions' keys, and what replication keeps or loses of them.
///
/// Each call that changes something is one atomic step, and one step of the replication stream: a fault may take back the
/// last ones, all keys together.
final class SimulatedRedis: Endpoint {
    /// A read that waits for entries on the server, whatever became of its client.
    final class ParkedRead {
        let group: Group
        let consumer: WorkerName
        let partitions: [Partition]
        let limit: Int
        let wire: Wire?
        var ring: (() -> Void)?
        var result: [Delivered]?
        var isGroupMissing = false

        init(_ group: Group, _ consumer: WorkerName, _ partitions: [Partition], _ limit: Int, _ wire: Wire?) {
            self.group = group
            self.consumer = consumer
            self.partitions = partitions
            self.limit = limit
            self.wire = wire
        }
    }

    let name: String
    private(set) var replid: String
    var isMaster = true
    private(set) var partitions: [PartitionKeys]
    private var past: [[PartitionKeys]] = []
    /// Half a transaction at the end of the file that is written to; nil when there is none.
    private var half: HalfStep?
    var parked: [ParkedRead] = []
    /// The most entries that one answer holds: it may always be fewer than were asked for, and small logs meet every seam.
    var replyLimit = Int.max
    let judge: Judge?
    private let milliseconds: () -> Int64
    private var clockOffset: Int64 = 0
    private var lives = 0
    private var countings = 0
    /// Whether stock sets the next change aside instead of applying it.
    var takesNext = false
    /// So many entries that stock has yet to apply are counted with it.
    var behindMax: Int64 = 5

    init(
        _ name: String, partitions: [PartitionKeys], judge: Judge?, milliseconds: @escaping () -> Int64
    ) {
        self.name = name
        self.partitions = partitions
        self.judge = judge
        self.milliseconds = milliseconds
        replid = name
    }

    // MARK: - What faults do

    /// Makes everything so far safe from being lost.
    func settle() { past = [] }

    /// How many of the last steps can be lost.
    var losable: Int { past.count }

    /// The keys as a replica had them that is behind by so many steps.
    func copy(behind steps: Int) -> [PartitionKeys] {
        steps == 0 || past.isEmpty ? partitions : past[max(0, past.count - steps)]
    }

    /// Loses the last steps, and goes on with another replid: roles were swapped and swapped back.
    func loseTail(_ steps: Int) {
        if steps > 0 {
            partitions = copy(behind: steps)
            past.removeLast(min(steps, past.count))
        }
        // A server that was a replica in between has written all of its data to a new file.
        half = nil
        beginLife()
    }

    private func beginLife() {
        lives += 1
        replid = "\(name).\(lives)"
        parked = []
    }

    /// Dies and comes back without its last steps.
    ///
    /// - Parameters:
    ///   - steps: How many are lost.
    ///   - effects: How many effects of the first lost step stay in the file, behind a MULTI without EXEC.
    func restart(losing steps: Int, keeping effects: Int = 0) {
        incarnation += 1
        if let half {
            if half.isClosed {
                half.execute(on: &partitions)
                past = []
            } else {
                partitions = half.start
                past = []
            }
        }
        half = nil
        let steps = min(steps, past.count)
        if steps > 0 {
            let whole = steps == 1 ? partitions : past[past.count - steps + 1]
            let start = copy(behind: steps)
            if effects > 0 { half = HalfStep(from: start, to: whole, effects: effects) }
            partitions = start
            past.removeLast(steps)
        }
        beginLife()
    }

    /// `BGREWRITEAOF`, as soon as it has begun.
    func beginNewFile() { half = nil }

    /// Puts the clock so that it stands at the last ID that is left, so that IDs are used again.
    func setClockBack() {
        let last = partitions.map { Int64($0.lastID.milliseconds) }.max() ?? 0
        clockOffset = min(clockOffset, last - milliseconds())
    }

    /// The time in which a counting begins: another one for each.
    func nextCounting() -> Int {
        countings += 1
        return countings
    }

    // MARK: - Steps

    var now: Int64 { milliseconds() }

    /// One atomic step that changes keys.
    ///
    /// A single one is one command in the file, without MULTI and EXEC of its own.
    func write<Result>(
        _ partition: Partition, isSingle: Bool = false, _ body: (inout PartitionKeys) throws -> Result
    ) rethrows -> Result {
        if !isSingle { half?.isClosed = true }
        past.append(partitions)
        if past.count > 48 { past.removeFirst(24) }
        return try body(&partitions[partition.number])
    }

    func keys(_ partition: Partition) -> PartitionKeys { partitions[partition.number] }

    /// The head's seq when the log is still in that history.
    func seq(_ partition: Partition, under history: History) -> Seq? {
        guard isMaster, let head = keys(partition).head, replid == history.replid, head.replid == history.replid,
            head.epoch == history.epoch
        else { return nil }
        return head.seq
    }

    /// XADD `*`.
    func add(_ keys: inout PartitionKeys, _ item: (EntryID) -> LogItem) -> LogItem {
        let clock = UInt64(max(1, milliseconds() + clockOffset))
        let id =
            clock > keys.lastID.milliseconds ? EntryID(milliseconds: clock, counter: 0) : keys.lastID.successor
        keys.lastID = id
        let item = item(id)
        keys.log.append(item)
        return item
    }

    /// Hands entries to the reads that wait for them, the oldest first.
    func serveParked(_ partition: Partition) {
        for read in parked where read.partitions.contains(partition) {
            guard read.wire?.isUp ?? true else { continue }
            guard keys(partition).groups[read.group.place] != nil else {
                read.isGroupMissing = true
                finish(read)
                continue
            }
            let entries = deliver(partition, read.group, read.consumer, limit: read.limit)
            guard !entries.isEmpty else { continue }
            read.result = [Delivered(partition: partition, count: entries.count) { entries }]
            finish(read)
        }
    }

    func unpark(_ read: ParkedRead) {
        parked.removeAll { $0 === read }
    }

    private func finish(_ read: ParkedRead) {
        unpark(read)
        read.ring?()
    }

    /// XREADGROUP of one stream; the group exists.
    func deliver(_ partition: Partition, _ group: Group, _ consumer: WorkerName, limit: Int) -> [Entry] {
        let keys = keys(partition)
        guard let last = keys.groups[group.place]?.lastDelivered, (keys.log.last?.entry.id ?? .zero) > last else {
            return []
        }
        let start = keys.index(from: last.successor)
        let entries = keys.log[start...].prefix(limit).map(\.entry)
        guard let end = entries.last else { return [] }
        write(partition) { keys in
            keys.groups[group.place]?.lastDelivered = end.id
            keys.groups[group.place]?.consumers.insert(consumer)
            keys.groups[group.place]?.pending += entries.map { PartitionKeys.Pending(entry: $0.id, consumer: consumer) }
        }
        return entries
    }
}
