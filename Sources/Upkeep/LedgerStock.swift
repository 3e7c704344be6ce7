package import OrderLog

/// A partition's stock, as the ledger gives it.
///
/// Every entry that is a change counts, also one that Postgres was told to set aside: the sinks decide by an entry's content
/// alone. Memory grows with the SKUs, not with the entries.
package struct LedgerStock {
    private static let chunk = 2000

    private let ledger: any LedgerPast
    private let partition: Partition
    /// Entries that the sink in Redis was told to set aside.
    private let taken: Set<Seq>
    /// Shop → SKU → on hand.
    package private(set) var shops: [Name: [Name: Int64]] = [:]
    /// The last seq that is in it.
    package private(set) var seq = Seq.none

    package init(_ ledger: any LedgerPast, _ partition: Partition, without taken: Set<Seq> = []) {
        (self.ledger, self.partition, self.taken) = (ledger, partition, taken)
    }

    /// Takes in what the ledger has up to a seq.
    ///
    /// - Parameters:
    ///   - last: At most the ledger's last.
    ///   - progress: Takes the seq that it is at.
    ///   - each: Takes what the ledger has, chunk by chunk.
    /// - Throws: ``StoreError``, also when the ledger has a hole.
    package mutating func fold(
        through last: Seq, _ progress: (Seq) throws -> Void = { _ in }, each: ([LedgerEntry]) throws -> Void = { _ in }
    ) async throws {
        while seq < last {
            let rows = try await ledger.entries(in: partition, after: seq, limit: Self.chunk).filter { $0.seq <= last }
            guard let first = rows.first?.seq, first == seq.next, let end = rows.last?.seq,
                end.number == seq.number + Int64(rows.count)
            else {
                throw StoreError(
                    .postgres, .malformed,
                    "partition \(partition): the ledger has a hole behind seq \(seq); onewrite audit names what is missing"
                )
            }
            add(rows)
            try each(rows)
            seq = end
            try progress(seq)
        }
    }

    private mutating func add(_ rows: [LedgerEntry]) {
        var applied: [Batch.Applied] = []
        applied.reserveCapacity(rows.count)
        for row in rows where !taken.contains(row.seq) {
            guard case .change(let change) = row.entry(in: Epoch(0)).content else { continue }
            applied.append(Batch.Applied(id: .zero, place: Place(epoch: Epoch(0), seq: row.seq), change: change))
        }
        for shop in StockFold(applied).shops {
            for step in shop.steps {
                let (shop, sku) = (Name(shop.name), Name(step.sku))
                let before = step.isAbsolute ? 0 : shops[shop]?[sku] ?? 0
                shops[shop, default: [:]][sku] = before + step.quantity
            }
        }
    }
}
