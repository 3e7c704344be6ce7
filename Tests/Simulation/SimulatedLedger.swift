import OrderLog

/// The sink postgres over a simulated server.
final class SimulatedLedger: Ledger {
    private let postgres: SimulatedPostgres
    private let wire: Wire
    private let note: (String) -> Void

    init(
        _ postgres: SimulatedPostgres, _ wire: Wire, note: @escaping (String) -> Void
    ) {
        self.postgres = postgres
        self.wire = wire
        self.note = note
    }

    var acknowledgesOnApply: Bool { false }

    func fence(_ partition: Partition, under history: History, owner: WorkerName) async throws -> FenceOutcome {
        try await wire.call { [postgres] in postgres.fence(partition, under: history, owner: owner) }
    }

    func apply(_ batch: Batch, meanwhile: () async -> Void) async throws -> ApplyOutcome {
        let isApplied = try await wire.call { [postgres, note] in
            let isApplied = try postgres.apply(batch)
            note(
                "\(batch.permit.owner): applies \(batch.first) to \(batch.last) to postgres, epoch "
                    + "\(batch.permit.history.epoch): \(isApplied ? "committed" : "refused")")
            return isApplied
        }
        await meanwhile()
        if isApplied { return .applied }
        let row = try await row(of: batch.permit.partition)
        if row.epoch != batch.permit.history.epoch { return .historyChanged }
        if row.token != batch.permit.token || row.owner != batch.permit.owner.text { return .fenced(by: row.owner) }
        return .positionMoved(to: row.position.seq)
    }

    func row(of partition: Partition) async throws -> LedgerRow {
        try await wire.call { [postgres] in postgres.row(partition) }
    }

    func reserve(
        _ partition: Partition, row: LedgerRow, headEpoch: Epoch?, replid: String, owner: WorkerName
    ) async throws -> Epoch? {
        try await wire.call { [postgres, note] in
            let epoch = postgres.reserve(partition, row: row, headEpoch: headEpoch, replid: replid, owner: owner)
            note("\(owner): reserves \(partition) for \(replid): epoch \(epoch?.description ?? "refused")")
            return epoch
        }
    }

    func changeIDs(in partition: Partition, at seqs: [Seq]) async throws -> [Seq: String?] {
        try await wire.call { [postgres] in postgres.changeIDs(partition, at: seqs) }
    }

    func entries(in partition: Partition, after seq: Seq, limit: Int) async throws -> [LedgerEntry] {
        try await wire.call { [postgres] in postgres.entries(partition, after: seq, limit: limit) }
    }

    func entriesByHand(in partition: Partition, limit: Int) async throws -> Set<EntryID> {
        try await wire.call { [postgres] in postgres.byHand[partition.number] }
    }

    func admittedShops(in partition: Partition) async throws -> [String] {
        try await wire.call { [postgres] in
            postgres.admits[partition.number] ? [OrderStock.shop(of: partition)] : []
        }
    }

    func locations(in partition: Partition, at seqs: [Seq]) async throws -> [Seq: EntryLocation] {
        try await wire.call { [postgres] in postgres.locations(partition, at: seqs) }
    }

    func relocate(_ partition: Partition, epoch: Epoch, to locations: [EntryLocation]) async throws -> Bool {
        try await wire.call { [postgres] in postgres.relocate(partition, epoch: epoch, to: locations) }
    }

    func confirm(_ partition: Partition, epoch: Epoch, entry: EntryID?) async throws -> Bool {
        try await wire.call { [postgres] in postgres.confirm(partition, epoch: epoch, entry: entry) }
    }
}
