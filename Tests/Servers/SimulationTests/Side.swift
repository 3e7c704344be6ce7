import OrderLog
import Testing

/// A call of a port, as both sides understand it: everything that it needs is in the side's own memory.
enum PortCall: Hashable {
    case append(first: Int, count: Int, payload: Int)
    case look
    case read(Group, worker: Int, limit: Int)
    case reclaim(Group, worker: Int, limit: Int)
    case range(limit: Int)
    case lastEntries(limit: Int)
    case createGroup(Group)
    case destroyGroup(Group)
    case removeIdleConsumers(Group, worker: Int)
    case fence(Group, worker: Int, underLastLook: Bool)
    case apply(Group, worker: Int, limit: Int)
    case acknowledge(Group, worker: Int)
    case shut
    case reserve(isStale: Bool)
    case open(isLast: Bool)
    case confirm
    case changeIDs
    /// Drops what lies before the place that is so far behind the head.
    case trim(behind: Int)
    /// Admission is turned on or off, or counted to its end.
    case turnAdmission(isOn: Bool), count
    /// The log loses its last entry, the head and the window with it.
    case loseLast
}

/// The log, its sinks and its ledger, real or simulated, and what their callers remember.
final class Side {
    /// Beyond the ports: what a submitter and a fault do.
    struct Outside {
        let append: ([Change]) async throws -> String
        let destroyGroup: (Group) throws -> Void
        let loseLast: () throws -> Void
        let turnAdmission: (Bool, History) throws -> Void
        let count: (History) throws -> Void
        /// How far counting is, and what may be sold.
        let available: () throws -> String
    }

    static let groups = [Group.postgres, .stock]
    static let names = ["a", "b"].compactMap(WorkerName.init)

    let partition: Partition
    private let identity: LogIdentity
    private let logs: [Group: [any TrimmableLog]]
    private let sinks: [Group: any BuiltInSink]
    private let ledger: any Ledger
    private let outside: Outside

    private struct Hand: Hashable {
        let group: Group
        let worker: Int
    }

    private var held: [Hand: [Entry]] = [:]
    private var permits: [Hand: (Permit, Position)] = [:]
    private var lastLook: LogLook?
    private var lastRow: LedgerRow?
    private var reserved: Epoch?

    init(
        _ partition: Partition, _ identity: LogIdentity, logs: [Group: [any TrimmableLog]],
        sinks: [Group: any BuiltInSink], ledger: any Ledger, outside: Outside
    ) {
        self.partition = partition
        self.identity = identity
        self.logs = logs
        self.sinks = sinks
        self.ledger = ledger
        self.outside = outside
    }

    /// Makes a call.
    ///
    /// - Returns: What came of it, without what differs between servers: stream IDs and replids.
    func perform(_ call: PortCall) async throws -> String {
        do {
            return try await outcome(of: call)
        } catch let error as StoreError {
            return "error \(error.kind)"
        }
    }

    /// What can be seen in the end.
    func state() async throws -> String {
        let look = try await log(.postgres, 0).look(at: partition)
        let row = try await ledger.row(of: partition)
        let log = try await log(.postgres, 0).range(in: partition, from: .zero, limit: 1000)
        let kept = try await ledger.entries(in: partition, after: .none, limit: 1000)
        return
            "\(text(look)) | \(text(row)) | \(text(log)) | ledger \(kept.map(\.seq)) \(kept.map { $0.change?.name ?? "-" })"
            + " | \(try outside.available())"
    }

    private func outcome(of call: PortCall) async throws -> String {
        switch call {
        case .append(let first, let count, let payload):
            return try await outside.append((first..<first + count).map { try Self.order($0 % 9, payload) })
        case .look:
            let look = try await log(.postgres, 0).look(at: partition)
            let row = try await ledger.row(of: partition)
            (lastLook, lastRow) = (look, row)
            return "\(text(look)) \(text(row))"
        case .read(let group, let worker, let limit):
            let delivered = try await log(group, worker).read(from: [partition], limit: limit, wait: .zero)
            let entries = try delivered.flatMap { try $0.entries() }
            held[Hand(group: group, worker: worker), default: []] += entries
            return text(entries)
        case .reclaim(let group, let worker, let limit):
            let reclaimed = try await log(group, worker).reclaim(from: partition, cursor: .zero, limit: limit)
            held[Hand(group: group, worker: worker)] = reclaimed.entries
            return text(reclaimed.entries) + " missing \(reclaimed.missing.count) more \(reclaimed.cursor != .zero)"
        case .range(let limit):
            return text(try await log(.stock, 1).range(in: partition, from: .zero, limit: limit))
        case .lastEntries(let limit):
            return text(try await log(.stock, 1).lastEntries(in: partition, through: nil, limit: limit))
        case .createGroup(let group):
            try await log(group, 0).createGroup(in: partition, after: .zero)
            return "made"
        case .destroyGroup(let group):
            try outside.destroyGroup(group)
            return "destroyed"
        case .removeIdleConsumers(let group, let worker):
            try await log(group, worker).removeIdleConsumers(from: partition)
            return "removed"
        case .fence(let group, let worker, let underLastLook):
            return try await fence(Hand(group: group, worker: worker), underLastLook)
        case .apply(let group, let worker, let limit):
            return try await apply(Hand(group: group, worker: worker), limit)
        case .acknowledge(let group, let worker):
            let hand = Hand(group: group, worker: worker)
            guard let (permit, _) = permits[hand] else { return "no permit" }
            let entries = (held[hand] ?? []).map { Acknowledgement(seq: $0.place?.seq, entry: $0.id) }
            return
                "\(try await log(group, worker).acknowledge(entries, under: permit, heeding: group == .postgres ? .nothing : .position))"
        case .shut:
            guard let epoch = lastLook?.head?.epoch else { return "no look" }
            return "\(try await log(.postgres, 0).shut(partition, epoch: epoch))"
        case .reserve(let isStale):
            guard let look = lastLook, let stale = lastRow else { return "no look" }
            let row = isStale ? stale : try await ledger.row(of: partition)
            reserved = try await ledger.reserve(
                partition, row: row, headEpoch: look.head?.epoch, replid: look.replid, owner: Self.names[0])
            return "\(reserved?.description ?? "refused")"
        case .open(let isLast):
            guard let look = lastLook, let epoch = reserved, let head = look.head else { return "no look" }
            let lost = try await ledger.entries(in: partition, after: head.seq, limit: 1000)
            let outcome = try await log(.postgres, 0).open(
                partition, seen: look, epoch: epoch, identity: identity,
                admitted: try await ledger.admittedShops(in: partition), healing: lost, isLast: isLast)
            return "\(lost.count) \(outcome) \(try outside.available())"
        case .confirm:
            guard let epoch = reserved else { return "no epoch" }
            return "\(try await ledger.confirm(partition, epoch: epoch, entry: nil))"
        case .changeIDs:
            let ids = try await ledger.changeIDs(in: partition, at: (1...12).map { Seq($0) })
            return "\(ids.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value ?? "-")" })"
        case .trim(let behind):
            let log = try log(.postgres, 0)
            let standings = try await log.standings(in: partition).filter { Self.groups.contains($0.group) }
            guard let look = lastLook, let history = look.history, let head = look.head else { return "closed" }
            let seq = Seq(max(1, head.seq.number - Int64(behind)))
            guard let location = try await ledger.locations(in: partition, at: [seq])[seq] else { return "no row" }
            let outcome = try await log.trim(partition, before: location, under: history, heeding: standings)
            return "\(standings.map(text)) \(outcome)"
        case .turnAdmission(let isOn):
            guard let history = lastLook?.history else { return "closed" }
            try outside.turnAdmission(isOn, history)
            return try outside.available()
        case .count:
            guard let history = lastLook?.history else { return "closed" }
            try outside.count(history)
            return try outside.available()
        case .loseLast:
            try outside.loseLast()
            return "lost"
        }
    }

    private func fence(_ hand: Hand, _ underLastLook: Bool) async throws -> String {
        var look = try await log(hand.group, hand.worker).look(at: partition)
        if underLastLook, let lastLook { look = lastLook }
        guard let history = look.history else { return "closed" }
        switch try await sinks[hand.group]?.fence(partition, under: history, owner: Self.names[hand.worker]) {
        case .fenced(let permit, let position)?:
            permits[hand] = (permit, position)
            return "token \(permit.token) \(text(position))"
        default: return "historyChanged"
        }
    }

    /// Applies what is in hand, from the entry behind the position on, as long as the seqs follow.
    private func apply(_ hand: Hand, _ limit: Int) async throws -> String {
        guard let (permit, position) = permits[hand] else { return "no permit" }
        var batch = Batch(permit, after: position)
        for entry in held[hand] ?? [] where batch.count < limit {
            guard let place = entry.place, place.seq == batch.last.next, case .change(let change) = entry.content
            else { continue }
            batch.apply(change, of: entry, at: place)
        }
        if batch.isEmpty { return "nothing" }
        let outcome = try await sinks[hand.group]?.apply(batch)
        if outcome == .applied { permits[hand] = (permit, batch.position) }
        return "\(batch.first)-\(batch.last) \(outcome.map { "\($0)" } ?? "")"
    }

    private func log(_ group: Group, _ worker: Int) throws -> any TrimmableLog { try #require(logs[group]?[worker]) }

    /// An order, or what comes in.
    static func order(_ number: Int, _ payload: Int) throws -> Change {
        let isReceipt = number % 3 == 0
        return try Change(
            ChangeDraft(
                type: (isReceipt ? Change.Kind.stockReceived : .orderPlaced).rawValue, id: "o-\(number)", shop: "main",
                customer: isReceipt ? nil : "c", lines: .items([(sku: "TEA", quantity: "\(payload)")])))
    }

    // MARK: - Without what differs

    private func text(_ look: LogLook) -> String {
        let head = look.head.map { "\($0.epoch)/\($0.first)-\($0.seq) \($0.replid == look.replid ? "ours" : "other")" }
        return "\(look.isMaster) \(head ?? "no head")"
    }

    private func text(_ row: LedgerRow) -> String {
        "epoch \(row.epoch) \(text(row.position)) token \(row.token) owner \(row.owner)"
    }

    private func text(_ standing: GroupStanding) -> String {
        "\(standing.group) \(standing.seq?.description ?? "-") pending \(standing.oldestPending != nil)"
    }

    private func text(_ position: Position) -> String { "\(position.epoch)/\(position.seq)" }

    private func text(_ entries: [Entry]) -> String {
        entries.map { entry in
            let place = entry.place.map { "\($0.epoch)/\($0.seq)" } ?? "-"
            guard case .change(let change) = entry.content else { return "\(place) unusable" }
            return "\(place) \(change.id) \(change.lines.text)"
        }.joined(separator: ", ")
    }
}
