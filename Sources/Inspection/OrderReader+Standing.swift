package import Connections
package import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Reports
import ThreadedIO

extension OrderReader {
    /// What an order is at this moment, for who wants to cancel it.
    package enum Standing: Sendable {
        /// Accepted, applied or not: with its lines in the order of their SKUs' bytes, and what came back of them.
        case placed([Line], returned: [Line])
        /// With the place of its cancellation; nil when the ledger has none.
        case cancelled([Line], in: Partition, OrderTrail.LogPlace?)
        /// Its ID is there, and is no order that anything was done for.
        case noOrder(String)
        /// Neither Postgres nor the idempotency window knows it.
        case absent
        /// Who would have to know can't tell now.
        case unknown(String)
    }

    /// Looks for an order in Postgres, and where that has not applied it, or can't be asked, in the log.
    ///
    /// - Parameters:
    ///   - id: The order's.
    ///   - shop: Whose it is.
    /// - Returns: What it is.
    /// - Throws: `RedisError`; `PostgresError` when the wait was interrupted.
    package func standing(of id: String, ofShop shop: String) throws -> Standing {
        let partition = partitioning.partition(ofShop: shop)
        var trouble = ledgerTrouble
        var (position, known): (Int, (lines: [Line], returned: [Line])?) = (0, nil)
        do throws(PostgresError) {
            // First: what is applied meanwhile counts twice, which is found to be too much rather than too little.
            position = try ledger?.position(partition) ?? 0
            if let ledger, let (stored, seq) = try ledger.order(id, ofShop: shop) {
                let lines = Self.sorted(stored.lines.map { Line(sku: $0.sku, quantity: $0.quantity) })
                guard stored.status != "cancelled" else {
                    return .cancelled(
                        lines, in: partition,
                        try ledger.change("\(id)/cancel", ofShop: shop, partition: partition, behind: seq)?.place)
                }
                known = (lines, stored.lines.map { Line(sku: $0.sku, quantity: $0.returned) })
            }
        } catch {
            if case .interrupted = error { throw error }
            trouble = "\(error)"
        }
        if let known {
            return .placed(
                known.lines, returned: try returned(known.returned, of: id, shop, partition, behind: position))
        }
        let recent = try seen(NameEncoding.windowName(shop: shop, id: id), partition)
        guard let place = try trouble == nil || recent != nil ? recent : search(id, .orderPlaced, shop, partition)
        else {
            return trouble.map { .unknown("it is not in the log, and Postgres can't tell: \($0)") } ?? .absent
        }
        let entry = try redis.call(
            RedisCommand("XRANGE", keys.log(partition), place.entry, place.entry), until: .after(SnapshotReader.timeout)
        ).entries().first
        guard let entry, entry.place?.seq.number == Int64(place.seq) else {
            return .unknown(
                "its entry at partition \(partition), seq \(place.seq) is not in the log any more, and Postgres "
                    + (trouble.map { "can't tell: \($0)" } ?? "has not applied it"))
        }
        switch entry.content {
        case .change(let change)
        where change.kind == .orderPlaced && Name(change.id) == Name(id) && Name(change.shop) == Name(shop):
            if trouble == nil,
                let dead = try ledger?.change(id, ofShop: shop, partition: partition, seq: place.seq)?.dead
            {
                return .noOrder(
                    "was set aside by postgres (\(sanitized(dead.reason))): onewrite dead show \(partition):\(place.seq)"
                )
            }
            let lines = Self.sorted(change.lines.items)
            // The log would take a second cancellation of what the window has forgotten.
            if recent == nil, let cancelled = try search("\(id)/cancel", .orderCancelled, shop, partition) {
                return .cancelled(lines, in: partition, cancelled)
            }
            return .placed(lines, returned: try returned([], of: id, shop, partition, behind: position))
        case .change(let change): return .noOrder("is the ID of another change, \(change.kind.rawValue)")
        case .unusable(let quarantine, _): return .noOrder("is no order that can be applied: \(quarantine.error)")
        }
    }

    /// What came back, with the returns that the log has and Postgres has not applied.
    private func returned(
        _ applied: [Line], of id: String, _ shop: String, _ partition: Partition, behind position: Int
    ) throws -> [Line] {
        var sums: [Name: Int64] = [:]
        for line in applied where line.quantity > 0 { sums[Name(line.sku), default: 0] += line.quantity }
        for number in 1...Self.returnsMax {
            let name = NameEncoding.windowName(shop: shop, id: Change.returnID(number, of: id))
            guard let place = try seen(name, partition) else { break }
            guard place.seq > position else { continue }
            let entry = try redis.call(
                RedisCommand("XRANGE", keys.log(partition), place.entry, place.entry),
                until: .after(SnapshotReader.timeout)
            ).entries().first
            guard case .change(let change) = entry?.content else { continue }
            for line in change.lines.items { sums[Name(line.sku), default: 0] += line.quantity }
        }
        return Self.sorted(sums.map { Line(sku: $0.key.text, quantity: $0.value) })
    }

    /// In one order, whoever told of the lines: the log tells one cancellation from another by its text.
    package static func sorted(_ lines: [Line]) -> [Line] {
        lines.sorted { $0.sku.utf8.lexicographicallyPrecedes($1.sku.utf8) }
    }
}

extension OrderReader.Standing {
    /// Why an order of this standing can't be cancelled; nil for one that can, or is.
    package func refusal(order: String, shop: String) -> LogError? {
        switch self {
        case .placed(_, let returned) where !returned.isEmpty:
            LogError(
                .no,
                "of order \(order) of shop \(shop) came back \(returned.map { "\(sanitized($0.sku)):\($0.quantity)" }.joined(separator: " ")) "
                    + "already, which a cancellation would give back again. What is left can come back, too: onewrite return"
            )
        case .placed, .cancelled: nil
        case .noOrder(let why): LogError(.no, "\(order) of shop \(shop) \(why)")
        case .absent:
            LogError(
                .no, "there is no order \(order) of shop \(shop): neither Postgres has it, nor does Redis remember it")
        case .unknown(let why):
            LogError(.tryAgain, "the lines of order \(order) of shop \(shop) can't be told now: \(why). Try again")
        }
    }
}
