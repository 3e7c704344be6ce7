import OrderLog

/// Servers and processes of one simulation, and what is true of them all.
final class SimulatedWorld {
    static let start = ContinuousClock.now

    let schedule: Schedule
    let judge: Judge
    let partitioning: Partitioning
    let identity: LogIdentity
    let postgres: SimulatedPostgres
    /// Where new connections to Redis lead.
    private(set) var address: SimulatedRedis
    /// Masters that were replaced, and live on.
    private(set) var oldMasters: [SimulatedRedis] = []
    /// The workers' processes that live.
    var workers: [SimulatedProcess] = []
    var busySubmitters = 0
    let changes: [[Change]]
    /// What was refused for want of stock when it was submitted last.
    var refused: [Set<String>]
    private var servers = 1

    init(schedule: Schedule) {
        self.schedule = schedule
        let count = 1 + schedule.generator.below(2)
        changes = OrderStock.changes(partitions: count)
        refused = Array(repeating: [], count: count)
        guard let partitioning = Partitioning(count: count) else { preconditionFailure("one or two partitions") }
        self.partitioning = partitioning
        identity = LogIdentity(partitioning: partitioning, log: "sim")
        judge = Judge(partitions: count) { [schedule] text in schedule.note(text) }
        postgres = SimulatedPostgres(partitions: count, judge: judge)
        judge.postgres = postgres
        address = SimulatedRedis(
            "m1", partitions: Array(repeating: PartitionKeys(), count: count), judge: judge,
            milliseconds: { [schedule] in schedule.now / 1000 })
        address.replyLimit = 1 + schedule.generator.below(4)
        postgres.replyLimit = address.replyLimit
        for partition in partitioning.all { initialise(partition) }
        address.settle()
    }

    /// What `init` leaves.
    private func initialise(_ partition: Partition) {
        let row = postgres.row(partition)
        guard
            let epoch = postgres.reserve(
                partition, row: row, headEpoch: nil, replid: address.replid, owner: .initialiser)
        else { return judge.violated("an untouched row can't be reserved") }
        let seen = address.look(partition)
        _ = address.open(
            partition, seen: seen, epoch: epoch, identity: identity, admitted: false, healing: [], isLast: true)
        address.write(partition) { keys in
            for group in [Group.postgres, .stock] {
                keys.groups[group.place] = PartitionKeys.ConsumerGroup(lastDelivered: .zero)
            }
        }
    }

    /// Turns admission on before anything is submitted.
    func beginWithAdmission() {
        judge.coversAll = true
        for partition in partitioning.all {
            postgres.admits[partition.number] = true
            address.write(partition) { $0.admission = .on }
        }
        address.settle()
    }

    func instant(_ moment: Int64) -> ContinuousClock.Instant { Self.start.advanced(by: .microseconds(moment)) }

    /// Whether nobody seems to subscribe to a worker's channel: true of the dead, mostly, and seldom of the living.
    func seemsGone(_ worker: WorkerName) -> Bool {
        let lives = workers.contains { $0.name == worker.text && !$0.isKilled }
        return lives ? schedule.isFaulty && schedule.generator.chance(8) : schedule.generator.chance(700)
    }

    // MARK: - Masters

    /// Whether each partition is open on the master, by the row's word, too.
    ///
    /// A *closed* master that lives on behind another can't be told from a server that lost its tail: the protocol doesn't
    /// promise anything there, so it dies.
    private var isWhollyOpen: Bool {
        partitioning.all.allSatisfy { partition in
            let head = address.keys(partition).head
            return head?.replid == address.replid && head?.epoch == postgres.row(partition).epoch
        }
    }

    /// Makes a replica the master that is behind it by so many steps.
    func promoteReplica(behind steps: Int, oldMayLiveOn: Bool) {
        servers += 1
        let old = address
        let copy = SimulatedRedis(
            "m\(servers)", partitions: old.copy(behind: steps), judge: judge,
            milliseconds: { [schedule] in schedule.now / 1000 })
        copy.replyLimit = old.replyLimit
        if oldMayLiveOn && isWhollyOpen {
            oldMasters.append(old)
            old.breakSome(schedule)
        } else {
            old.incarnation += 1
        }
        address = copy
    }

    /// Turns replaced masters off.
    func retireOldMasters() {
        for old in oldMasters {
            old.isMaster = false
            old.incarnation += 1
        }
        oldMasters = []
    }

    // MARK: - Rest

    /// Why the world has not come to rest; nil when it has.
    var unrest: String? {
        if busySubmitters > 0 { return "a submitter has no answer" }
        if schedule.hasEvents { return "a message is on its way" }
        for partition in partitioning.all {
            let keys = address.keys(partition)
            let row = postgres.row(partition)
            guard let head = keys.head, head.replid == address.replid, head.epoch == row.epoch
            else { return "partition \(partition) is not open" }
            guard row.isConfirmed else { return "partition \(partition) is not confirmed" }
            if row.position.seq != head.seq {
                return "postgres is at \(row.position.seq) of \(head.seq) in \(partition)"
            }
            let stock = keys.positions[Group.stock.place]?.seq ?? .none
            if stock != head.seq { return "stock is at \(stock) of \(head.seq) in \(partition)" }
            for group in [Group.postgres, .stock] {
                guard let found = keys.groups[group.place] else { return "\(group) has no group in \(partition)" }
                if !found.pending.isEmpty { return "\(found.pending.count) are pending in \(group), \(partition)" }
                if found.lastDelivered < keys.lastID { return "\(group) has not read the end of \(partition)" }
            }
            if postgres.admits[partition.number] != (keys.admission != nil)
                || keys.admission.map({ $0 != .on }) ?? false
            {
                return "what may be sold is not counted in \(partition)"
            }
        }
        return nil
    }

    /// Compares all stores, and looks for every change that was submitted.
    func audit() {
        for partition in partitioning.all {
            judge.compareLogWithLedger(partition, address)
            judge.compareSinkWithLog(partition, address)
            let marks = Set(postgres.records[partition.number].map(\.mark))
            for change in changes[partition.number]
            where !marks.contains(change.id) && !refused[partition.number].contains(change.id) {
                judge.violated("\(change.id) was submitted, answered, and is not in the ledger")
            }
        }
    }
}

/// The changes that are submitted: made once, the same in every simulation.
enum OrderStock {
    private static let table: [[[Change]]] = [make(1), make(2)]

    /// What a partition's one shop is called where only that it has a name matters.
    static func shop(of partition: Partition) -> String { "shop of \(partition)" }

    static func changes(partitions: Int) -> [[Change]] { table[partitions - 1] }

    /// One more change of the same shop, which nothing refuses.
    static func nudge(of changes: [Change]) -> Change {
        do {
            return try Change(
                ChangeDraft(type: "stock.received", id: "nudge", shop: changes.first?.shop, lines: .text("TEA:1")))
        } catch { preconditionFailure("a change as any other: \(error)") }
    }

    private static func make(_ count: Int) -> [[Change]] {
        guard let partitioning = Partitioning(count: count) else { return [] }
        return partitioning.all.map { partition in
            let shop = (0...).lazy.map { "shop\($0)" }.first { partitioning.partition(ofShop: $0) == partition }
            return (0..<12).map { number in
                // Where admission is on, less comes in than is ordered.
                let isReceipt = number % 4 == 0
                let draft = ChangeDraft(
                    type: (isReceipt ? Change.Kind.stockReceived : .orderPlaced).rawValue,
                    id: "o\(partition)-\(number)", shop: shop, customer: isReceipt ? nil : "c",
                    lines: .items([(sku: "TEA", quantity: isReceipt ? "2" : "1")]))
                do { return try Change(draft) } catch { preconditionFailure("an order as any other: \(error)") }
            }
        }
    }
}
