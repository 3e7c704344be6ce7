import OrderLog

/// A Postgres server: a partition's row, its ledger and its dead letters; each call is a transaction by itself.
final class SimulatedPostgres: Endpoint {
    /// A row of the ledger, or a placed dead letter.
    struct Record {
        let seq: Seq
        var location: EntryLocation
        let mark: String
        /// The change; nil for a dead letter.
        let change: Change?
        let fields: [EntryField]
    }

    private(set) var rows: [LedgerRow]
    private(set) var records: [[Record]]
    private(set) var byHand: [Set<EntryID>]
    /// Which partitions' shops admit orders only as far as stock covers them.
    var admits: [Bool]
    /// As a simulated Redis's.
    var replyLimit = Int.max
    let judge: Judge?

    init(partitions: Int, judge: Judge?) {
        let start = Position(epoch: Epoch(0), seq: .none, entry: nil)
        rows = Array(
            repeating: LedgerRow(epoch: Epoch(0), replid: "", position: start, token: Token(0), owner: ""),
            count: partitions)
        records = Array(repeating: [], count: partitions)
        byHand = Array(repeating: [], count: partitions)
        admits = Array(repeating: false, count: partitions)
        self.judge = judge
    }

    func row(_ partition: Partition) -> LedgerRow { rows[partition.number] }

    /// `UPDATE partitions`.
    private func update(
        _ partition: Partition, epoch: Epoch? = nil, replid: String? = nil, seq: Seq? = nil, entry: EntryID?? = nil,
        raisingTokenFor owner: String? = nil
    ) {
        let row = row(partition)
        let epoch = epoch ?? row.epoch
        rows[partition.number] = LedgerRow(
            epoch: epoch, replid: replid ?? row.replid,
            position: Position(epoch: epoch, seq: seq ?? row.position.seq, entry: entry ?? row.position.entry),
            token: owner == nil ? row.token : Token(row.token.number + 1), owner: owner ?? row.owner)
    }

    // MARK: - Statements

    func fence(_ partition: Partition, under history: History, owner: WorkerName) -> FenceOutcome {
        guard row(partition).epoch == history.epoch else { return .historyChanged }
        update(partition, raisingTokenFor: owner.text)
        let row = row(partition)
        return .fenced(
            Permit(partition: partition, history: history, token: row.token, owner: owner), row.position)
    }

    /// ``ApplyStatement``; false when the row was not found.
    func apply(_ batch: Batch) throws -> Bool {
        let permit = batch.permit
        let partition = permit.partition
        let row = row(partition)
        let isOwner = row.token == permit.token && row.owner == permit.owner.text
        guard isOwner, row.epoch == permit.history.epoch,
            row.position.seq == batch.first.previous
        else { return false }
        if let first = batch.placedIDs.first?.seq, let last = records[partition.number].last?.seq, first <= last {
            throw StoreError(.postgres, .refused, "duplicate key value violates unique constraint")
        }
        for letter in batch.deadLetters where letter.seq == nil { byHand[partition.number].insert(letter.entry.id) }
        records[partition.number] += Self.records(batch)
        update(partition, seq: batch.last, entry: .some(batch.lastEntry))
        judge?.appliedInPostgres(batch, isOwner: isOwner, records: records[partition.number])
        return true
    }

    private static func records(_ batch: Batch) -> [Record] {
        let applied = batch.applied.map { entry in
            Record(
                seq: entry.place.seq, location: EntryLocation(place: entry.place, entry: entry.id),
                mark: entry.change.id, change: entry.change, fields: [])
        }
        let dead = batch.deadLetters.compactMap { letter -> Record? in
            guard let seq = letter.seq else { return nil }
            let place = Place(epoch: batch.permit.history.epoch, seq: seq)
            return Record(
                seq: seq, location: EntryLocation(place: place, entry: letter.entry.id),
                mark: LogItem.mark(of: letter.entry.content), change: nil, fields: letter.entry.fields)
        }
        return (applied + dead).sorted { $0.seq < $1.seq }
    }

    func reserve(
        _ partition: Partition, row read: LedgerRow, headEpoch: Epoch?, replid: String, owner: WorkerName
    ) -> Epoch? {
        let row = row(partition)
        guard row.epoch == read.epoch else { return nil }
        let epoch = Epoch(max(row.epoch, headEpoch ?? Epoch(0)).number + 1)
        update(partition, epoch: epoch, replid: replid, entry: .some(nil), raisingTokenFor: owner.text)
        return epoch
    }

    func changeIDs(_ partition: Partition, at seqs: [Seq]) -> [Seq: String?] {
        var ids: [Seq: String?] = [:]
        for seq in seqs {
            guard let record = record(partition, seq) else { continue }
            ids[seq] = .some(record.change?.id ?? (record.mark.isEmpty ? nil : record.mark))
        }
        return ids
    }

    func entries(_ partition: Partition, after seq: Seq, limit: Int) -> [LedgerEntry] {
        records[partition.number].filter { $0.seq > seq }.prefix(min(limit, replyLimit)).map { record in
            guard let change = record.change else { return LedgerEntry(seq: record.seq, deadLetter: record.fields) }
            let fields = change.stringFields.map { EntryField(name: Array($0.name.utf8), value: Array($0.value.utf8)) }
            return LedgerEntry(seq: record.seq, fields: fields, change: AppendedChange(change))
        }
    }

    func locations(_ partition: Partition, at seqs: [Seq]) -> [Seq: EntryLocation] {
        var locations: [Seq: EntryLocation] = [:]
        for seq in seqs { locations[seq] = record(partition, seq)?.location }
        return locations
    }

    func relocate(_ partition: Partition, epoch: Epoch, to locations: [EntryLocation]) -> Bool {
        guard row(partition).epoch == epoch else { return false }
        for location in locations {
            let index = Int(location.place.seq.number) - 1
            guard records[partition.number].indices.contains(index) else { continue }
            records[partition.number][index].location = location
        }
        return true
    }

    func confirm(_ partition: Partition, epoch: Epoch, entry: EntryID?) -> Bool {
        guard row(partition).epoch == epoch else { return false }
        if row(partition).position.entry == nil { update(partition, entry: .some(entry)) }
        return true
    }

    /// The record at a seq: they are dense, which the judge sees to.
    func record(_ partition: Partition, _ seq: Seq) -> Record? {
        let index = Int(seq.number) - 1
        return records[partition.number].indices.contains(index) ? records[partition.number][index] : nil
    }
}
