import OrderLog

/// What one run of the conformance suite has found.
struct ConformanceRun {
    private(set) var findings: [SinkConformance.Finding] = []
    private let open: @Sendable (Partition, Epoch) async throws -> History
    private let contents: @Sendable (Partition) async throws -> [String]
    private var opened: [Partition: [Int64: History]] = [:]

    init(
        open: @escaping @Sendable (Partition, Epoch) async throws -> History,
        contents: @escaping @Sendable (Partition) async throws -> [String]
    ) {
        self.open = open
        self.contents = contents
    }

    /// The history of a partition's log under an epoch.
    mutating func history(of partition: Partition, epoch: Int64) async throws -> History {
        if let history = opened[partition]?[epoch] { return history }
        let history = try await open(partition, Epoch(epoch))
        opened[partition, default: [:]][epoch] = history
        return history
    }

    mutating func found(_ rule: SinkConformance.Rule, _ detail: String) {
        let finding = SinkConformance.Finding(rule: rule, detail: detail)
        if !findings.contains(where: { $0.rule == rule }) { findings.append(finding) }
    }

    // MARK: - The rules, one worker at a time

    /// What a batch does, once, twice, and behind a hole.
    mutating func effects(_ sink: any Sink) async throws {
        let partition = Partition(1)
        guard let (permit, start) = try await taken(sink, partition, "a", .beginning) else { return }
        if start.seq != .none { found(.beginning, "the position is at \(start.seq)") }
        let first = Self.batch(permit, after: start, count: 3)
        try await expect(.applied, of: first, on: sink, .effect, holding: 3)
        let later = Self.batch(permit, after: first.position, count: 2)
        try await expect(.applied, of: later, on: sink, .effect, holding: 5)
        try await expect(.positionMoved(to: Seq(5)), of: later, on: sink, .twice, holding: 5)
        try await expect(.positionMoved(to: Seq(5)), of: first, on: sink, .twice, holding: 5)
        let behindHole = Self.batch(
            permit, after: Position(epoch: permit.history.epoch, seq: Seq(6), entry: nil), count: 2)
        try await expect(.positionMoved(to: Seq(5)), of: behindHole, on: sink, .gap, holding: 5)
        let skipping = Batch(permit, after: later.position, skippingThrough: Seq(9), nil)
        try await expect(.applied, of: skipping, on: sink, .noEffect, holding: 5)
        guard let (_, end) = try await taken(sink, partition, "a", .effect) else { return }
        if end.seq != Seq(9) { found(.noEffect, "the position is at \(end.seq), and not at 9") }
    }

    /// Who may not write any more.
    mutating func refusals(_ sink: any Sink, other: any Sink) async throws {
        let partition = Partition(2)
        guard let (old, start) = try await taken(sink, partition, "a", .olderToken),
            let (new, _) = try await taken(other, partition, "b", .olderToken)
        else { return }
        let batch = Self.batch(old, after: start, count: 2)
        try await expect(.fenced(by: "b"), of: batch, on: sink, .olderToken, holding: 0)
        let stolen = Permit(
            partition: partition, history: new.history, token: new.token, owner: Self.worker("c"))
        try await expect(
            .fenced(by: "b"), of: Self.batch(stolen, after: start, count: 2), on: sink, .otherOwner, holding: 0)
        guard try await taken(other, partition, "b", .sameOwner) != nil else { return }
        try await expect(
            .fenced(by: "b"), of: Self.batch(new, after: start, count: 2), on: other, .sameOwner, holding: 0)
    }

    /// A log that was opened anew.
    mutating func epochs(_ sink: any Sink) async throws {
        let partition = Partition(3)
        guard let (old, start) = try await taken(sink, partition, "a", .epochOpened),
            try await taken(sink, partition, "a", .epochOpened, epoch: 2) != nil
        else { return }
        let batch = Self.batch(old, after: start, count: 2)
        let outcome = try await sink.apply(batch)
        let held = try await contents(partition).count
        if outcome == .applied || held != 0 {
            found(.epochOpened, "the outcome is \(outcome), \(held) entries are held")
        }
        let late = try await sink.fence(partition, under: history(of: partition, epoch: 1), owner: Self.worker("late"))
        if late != .historyChanged { found(.olderEpoch, "epoch 1 took over from epoch 2") }
    }

    mutating func partitions(_ sink: any Sink) async throws {
        for number in [4, 5] {
            guard let (permit, start) = try await taken(sink, Partition(number), "a", .partitions) else { return }
            if start.seq != .none { found(.partitions, "partition \(number) begins at \(start.seq)") }
            try await expect(
                .applied, of: Self.batch(permit, after: start, count: number), on: sink, .partitions, holding: number)
        }
    }

    // MARK: - Steps

    private mutating func taken(
        _ sink: any Sink, _ partition: Partition, _ owner: String, _ rule: SinkConformance.Rule, epoch: Int64 = 1
    ) async throws -> (Permit, Position)? {
        let history = try await history(of: partition, epoch: epoch)
        switch try await sink.fence(partition, under: history, owner: Self.worker(owner)) {
        case .fenced(let permit, let position):
            if permit.owner.text != owner || permit.partition != partition {
                found(rule, "the permit is \(permit.owner)'s, of partition \(permit.partition)")
            }
            return (permit, position)
        case .historyChanged:
            found(rule, "fencing was refused in epoch \(epoch)")
            return nil
        }
    }

    private mutating func expect(
        _ expected: ApplyOutcome, of batch: Batch, on sink: any Sink, _ rule: SinkConformance.Rule, holding count: Int
    ) async throws {
        let outcome = try await sink.apply(batch)
        if outcome != expected { found(rule, "expected the outcome \(expected), got \(outcome)") }
        let held = try await contents(batch.permit.partition)
        if held.count != count { found(rule, "expected \(count) entries in the store, found \(held.count)") }
    }

    // MARK: - Made values

    static func history(_ epoch: Int64) -> History {
        History(epoch: Epoch(epoch), replid: String(repeating: "a", count: 40))
    }

    static func worker(_ name: String) -> WorkerName { WorkerName(name) ?? .opener }

    /// So many orders behind a position.
    static func batch(_ permit: Permit, after position: Position, count: Int) -> Batch {
        var batch = Batch(permit, after: position)
        for number in 0..<count {
            let place = Place(epoch: permit.history.epoch, seq: Seq(position.seq.number + Int64(number) + 1))
            let draft = ChangeDraft(
                type: "order.placed", id: "order-\(permit.partition)-\(place.seq)", shop: "main", customer: "c-1",
                lines: .text("TEA:1 MUG:2"))
            let change: Change
            do { change = try Change(draft) } catch { preconditionFailure("an order as any other: \(error)") }
            let id = EntryID(milliseconds: UInt64(1_000_000 + place.seq.number), counter: 0)
            batch.apply(change, of: Entry(id: id, place: place, content: .change(change)), at: place)
        }
        return batch
    }
}
