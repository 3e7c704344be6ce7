import OrderLog

/// Knows what must never happen, and looks at each step as it happens.
///
/// It sees the whole world at once, which no process does.
final class Judge {
    private(set) var violations: [String] = []
    private let note: (String) -> Void
    /// The ledger, against which the log is compared.
    weak var postgres: SimulatedPostgres?
    /// Whether admission was on before the first order came.
    var coversAll = false
    /// Where each epoch was opened: no two servers' histories share one.
    private var openings: [Place: String] = [:]
    /// Marks that the ledger has, a partition each.
    private var ledgered: [Set<String>]

    init(partitions: Int, note: @escaping (String) -> Void) {
        ledgered = Array(repeating: [], count: partitions)
        self.note = note
    }

    func violated(_ text: String) {
        note("VIOLATION: \(text)")
        violations.append(text)
    }

    // MARK: - Steps

    /// An open log that is the ledger's own gives no place a second time.
    func appended(_ item: LogItem, to partition: Partition, on redis: SimulatedRedis, epoch: Epoch) {
        note("\(redis.name): \(item.mark) is \(partition)/\(item.entry.place?.seq.description ?? "-"), epoch \(epoch)")
        guard let postgres, let place = item.entry.place, postgres.row(partition).epoch == epoch else { return }
        if let record = postgres.record(partition, place.seq), record.mark != item.mark {
            violated(
                "\(redis.name) gave \(item.mark) the place \(partition)/\(place.seq), where the ledger has \(record.mark)"
            )
        }
    }

    /// What was opened holds the ledger, and its own epoch.
    func opened(_ partition: Partition, on redis: SimulatedRedis, epoch: Epoch) {
        let key = Place(epoch: epoch, seq: Seq(Int64(partition.number)))
        if let other = openings.updateValue(redis.replid, forKey: key), other != redis.replid {
            violated("epoch \(epoch) of partition \(partition) was opened on \(other) and on \(redis.replid)")
        }
        compareLogWithLedger(partition, redis)
    }

    func appliedInPostgres(_ batch: Batch, isOwner: Bool, records: [SimulatedPostgres.Record]) {
        let partition = batch.permit.partition
        if !isOwner { violated("\(batch.permit.owner) changed Postgres with an old token") }
        for record in records.suffix(batch.placedIDs.count) {
            if !ledgered[partition.number].insert(record.mark).inserted {
                violated("the ledger has \(record.mark) twice in partition \(partition)")
            }
        }
        if let last = records.last?.seq, last.number != Int64(records.count) {
            violated("the ledger of partition \(partition) has a hole below \(last)")
        }
    }

    /// What a sink in Redis shows is what the log beside it says.
    func appliedInRedis(_ batch: Batch, isOwner: Bool, on redis: SimulatedRedis) {
        if !isOwner { violated("\(batch.permit.owner) changed a sink in Redis with an old token") }
        compareSinkWithLog(batch.permit.partition, redis)
    }

    /// Nothing is acknowledged before it is applied.
    func acknowledged(
        _ id: EntryID, in keys: PartitionKeys, _ partition: Partition, _ group: Group, on redis: SimulatedRedis
    ) {
        guard let item = keys.item(id), item.isGenuine, let seq = item.entry.place?.seq,
            keys.groups[group.place]?.pending.contains(where: { $0.entry == id }) == true
        else { return }
        switch group {
        case .postgres:
            guard let postgres, postgres.record(partition, seq)?.mark != item.mark else { return }
        default:
            guard (keys.positions[group.place]?.seq ?? .none) < seq else { return }
        }
        violated("\(item.mark) at \(partition)/\(seq) was acknowledged in \(group) on \(redis.name), and not applied")
    }

    /// A halt needs a reason that is true.
    func halted(_ worker: String, _ reason: String, on redis: SimulatedRedis, isCurrent: Bool) {
        note("\(worker): halted: \(reason)")
        if reason.contains("superseded") && !isCurrent || reason.contains("is a replica") && !redis.isMaster { return }
        violated("needless halt of \(worker) on \(redis.name): \(reason)")
    }

    /// Nothing is dropped that a store could still need: the ledger has it, the sink beside the log has it, and the entry by
    /// which a log is compared with the ledger stays.
    func trimmed(_ partition: Partition, on redis: SimulatedRedis, before seq: Seq, in keys: PartitionKeys) {
        note("\(redis.name): the log of \(partition) begins with seq \(seq)")
        // An old master that is cut off drops what only its own readers would miss, and these apply nothing any more.
        guard let postgres, postgres.row(partition).epoch == keys.head?.epoch else { return }
        if postgres.row(partition).position.seq < seq {
            violated("partition \(partition) was trimmed to seq \(seq), which Postgres has not applied")
        }
        if (keys.positions[Group.stock.place]?.seq ?? .none) < seq {
            violated("partition \(partition) was trimmed to seq \(seq), which the sink stock has not applied")
        }
    }

    /// An order is refused only if the stock doesn't cover it, with all that the log has.
    func refused(
        _ change: Change, _ keys: PartitionKeys, _ others: [String], _ partition: Partition, on redis: SimulatedRedis
    ) {
        note("\(redis.name): \(change.id) is refused in \(partition)")
        if change.stock(after: keys.derivedAvailable) >= 0 {
            violated("\(change.id) was refused on \(redis.name), although \(keys.derivedAvailable) are there")
        }
    }

    /// What may be sold is what stock and log give, and never below zero where each order had to be covered.
    func compareAvailable(_ partition: Partition, _ redis: SimulatedRedis) {
        let keys = redis.keys(partition)
        guard keys.admission == .on, let head = keys.head, head.replid == redis.replid else { return }
        if keys.available != keys.derivedAvailable {
            violated(
                "\(keys.available) may be sold in \(partition) on \(redis.name), and stock and log give \(keys.derivedAvailable)"
            )
        }
        if keys.available < 0, coversAll { violated("more than there was is sold in \(partition) on \(redis.name)") }
    }

    // MARK: - Comparisons

    func compareSinkWithLog(_ partition: Partition, _ redis: SimulatedRedis) {
        let keys = redis.keys(partition)
        let genuine = keys.log.lazy.filter(\.isGenuine)
        let gone = Int((keys.head?.first ?? Seq(1)).number) - 1
        let position = keys.positions[Group.stock.place]?.seq ?? .none
        if keys.applied.count != Int(position.number) {
            violated(
                "the sink stock applied \(keys.applied.count) entries of partition \(partition), and says \(position)")
        }
        if !keys.applied.dropFirst(gone).elementsEqual(genuine.prefix(max(0, keys.applied.count - gone)).map(\.mark)) {
            violated("the sink stock of partition \(partition) on \(redis.name) differs from the log beside it")
        }
    }

    func compareLogWithLedger(_ partition: Partition, _ redis: SimulatedRedis) {
        guard let postgres else { return }
        let keys = redis.keys(partition)
        let genuine = keys.log.filter(\.isGenuine)
        let records = postgres.records[partition.number]
        let gone = Int((keys.head?.first ?? Seq(1)).number) - 1
        for (index, item) in genuine.enumerated() where item.entry.place?.seq.number != Int64(gone + index + 1) {
            return violated("the log of partition \(partition) on \(redis.name) has a hole at \(gone + index + 1)")
        }
        if keys.head?.seq.number != Int64(gone + genuine.count) {
            violated("the head of partition \(partition) on \(redis.name) says another seq than its log")
        }
        if gone + genuine.count < records.count {
            violated(
                "partition \(partition) was opened on \(redis.name) without what the ledger has from "
                    + "\(gone + genuine.count + 1) on")
        }
        for (item, record) in zip(genuine, records.dropFirst(gone)) where item.mark != record.mark {
            return violated(
                "partition \(partition) has \(item.mark) at \(record.seq) in the log on \(redis.name), and \(record.mark) in "
                    + "the ledger")
        }
    }
}
