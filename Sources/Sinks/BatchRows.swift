import OrderLog
import PostgresClient

/// A batch as the columns of ``ApplyStatement``, from `$8` on.
struct BatchRows {
    private(set) var columns: [PostgresValue]

    init(_ batch: Batch) {
        var statuses = Self.statuses(batch)
        var returned: PostgresArray?
        if batch.hasReturns { returned = Self.takeReturns(batch, &statuses) }
        columns = Self.appliedColumns(batch, statuses)
        columns += Self.lineColumns(batch, statuses)
        columns += Self.cancelledColumns(batch)
        columns += Self.stockColumns(batch)
        if !batch.deadLetters.isEmpty { columns += Self.deadLetterColumns(batch) }
        if let returned { columns += [.array(returned)] + Self.returnedColumns(batch) }
    }

    private struct OrderKey: Hashable {
        let shop: Name
        let id: Name
    }

    /// The status at the batch's end of each order placed in it, beside the entry that placed it; nil beside any other,
    /// also beside one that places an order again.
    private static func statuses(_ batch: Batch) -> [String?] {
        var placedAt: [OrderKey: Int] = [:]
        placedAt.reserveCapacity(batch.applied.count)
        var statuses: [String?] = []
        statuses.reserveCapacity(batch.applied.count)
        for (index, entry) in batch.applied.enumerated() {
            let change = entry.change
            var status: String?
            switch change.kind {
            case .orderPlaced:
                let key = OrderKey(shop: Name(change.shop), id: Name(change.id))
                if placedAt[key] == nil {
                    placedAt[key] = index
                    status = "placed"
                }
            case .orderCancelled:
                let key = OrderKey(shop: Name(change.shop), id: Name(change.order ?? ""))
                if let placed = placedAt[key] { statuses[placed] = "cancelled" }
            case .orderReturned, .stockReceived, .stockCounted: break
            }
            statuses.append(status)
        }
        return statuses
    }

    /// What came back of orders that are placed in the batch itself: beside each of their lines; and they are `returned` when all
    /// of it did.
    private static func takeReturns(_ batch: Batch, _ statuses: inout [String?]) -> PostgresArray {
        var placedAt: [OrderKey: Int] = [:]
        var returned: [Int: [Name: Int64]] = [:]
        for (index, entry) in batch.applied.enumerated() {
            let change = entry.change
            if statuses[index] != nil { placedAt[OrderKey(shop: Name(change.shop), id: Name(change.id))] = index }
            guard change.kind == .orderReturned,
                let placed = placedAt[OrderKey(shop: Name(change.shop), id: Name(change.order ?? ""))]
            else { continue }
            for line in change.lines.items {
                returned[placed, default: [:]][Name(line.sku), default: 0] += line.quantity
            }
        }
        var column = PostgresArray()
        for (index, entry) in batch.applied.enumerated() where statuses[index] != nil {
            var isWhole = true
            for line in entry.change.lines.items {
                let back = returned[index]?[Name(line.sku)] ?? 0
                if back < line.quantity { isWhole = false }
                column.append(back)
            }
            if isWhole, statuses[index] == "placed" { statuses[index] = "returned" }
        }
        return column
    }

    /// What came back of orders that are there already, a row an order and SKU.
    private static func returnedColumns(_ batch: Batch) -> [PostgresValue] {
        struct Key: Hashable {
            let order: OrderKey
            let sku: Name
        }
        var (sums, keys): ([Key: Int64], [Key]) = ([:], [])
        for entry in batch.applied where entry.change.kind == .orderReturned {
            let order = OrderKey(shop: Name(entry.change.shop), id: Name(entry.change.order ?? ""))
            for line in entry.change.lines.items {
                let key = Key(order: order, sku: Name(line.sku))
                if sums[key] == nil { keys.append(key) }
                sums[key, default: 0] += line.quantity
            }
        }
        var shops = PostgresArray()
        var orders = PostgresArray()
        var skus = PostgresArray()
        var quantities = PostgresArray()
        for key in keys {
            shops.append(key.order.shop.text)
            orders.append(key.order.id.text)
            skus.append(key.sku.text)
            quantities.append(sums[key] ?? 0)
        }
        return [shops, orders, skus, quantities].map(PostgresValue.array)
    }

    private static func appliedColumns(_ batch: Batch, _ statuses: [String?]) -> [PostgresValue] {
        var seqs = PostgresArray()
        var epochs = PostgresArray()
        var entries = PostgresArray()
        var digests = PostgresArray()
        var ids = PostgresArray()
        var types = PostgresArray()
        var shops = PostgresArray()
        var orders = PostgresArray()
        var customers = PostgresArray()
        var lines = PostgresArray()
        var attributes = PostgresArray()
        var milliseconds = PostgresArray()
        var states = PostgresArray()
        for (entry, status) in zip(batch.applied, statuses) {
            let change = entry.change
            seqs.append(entry.place.seq.number)
            epochs.append(entry.place.epoch.number)
            entries.append(entry.id.description)
            digests.append(Digest(of: change).description)
            ids.append(change.id)
            types.append(change.kind.rawValue)
            shops.append(change.shop)
            orders.append(orNull: change.order)
            customers.append(orNull: change.customer)
            lines.append(change.lines.text)
            attributes.append(orNull: change.attributes)
            // The ID of an entry added with an ID by hand can lie outside what a date can be.
            milliseconds.append(Int64(min(entry.id.milliseconds, 253_402_300_799_999)))
            states.append(orNull: status)
        }
        return [
            seqs, epochs, entries, digests, ids, types, shops, orders, customers, lines, attributes, milliseconds,
            states,
        ].map(PostgresValue.array)
    }

    private static func lineColumns(_ batch: Batch, _ statuses: [String?]) -> [PostgresValue] {
        var shops = PostgresArray()
        var orders = PostgresArray()
        var skus = PostgresArray()
        var quantities = PostgresArray()
        for (entry, status) in zip(batch.applied, statuses) where status != nil {
            for line in entry.change.lines.items {
                shops.append(entry.change.shop)
                orders.append(entry.change.id)
                skus.append(line.sku)
                quantities.append(line.quantity)
            }
        }
        return [shops, orders, skus, quantities].map(PostgresValue.array)
    }

    private static func cancelledColumns(_ batch: Batch) -> [PostgresValue] {
        var shops = PostgresArray()
        var orders = PostgresArray()
        for entry in batch.applied where entry.change.kind == .orderCancelled {
            shops.append(entry.change.shop)
            orders.append(entry.change.order ?? "")
        }
        return [.array(shops), .array(orders)]
    }

    private static func stockColumns(_ batch: Batch) -> [PostgresValue] {
        var counted = (shops: PostgresArray(), skus: PostgresArray(), quantities: PostgresArray())
        var changed = counted
        for shop in StockFold(batch.applied).shops {
            for step in shop.steps {
                if step.isAbsolute {
                    counted.shops.append(shop.name)
                    counted.skus.append(step.sku)
                    counted.quantities.append(step.quantity)
                } else {
                    changed.shops.append(shop.name)
                    changed.skus.append(step.sku)
                    changed.quantities.append(step.quantity)
                }
            }
        }
        return [counted.shops, counted.skus, counted.quantities, changed.shops, changed.skus, changed.quantities]
            .map(PostgresValue.array)
    }

    private static func deadLetterColumns(_ batch: Batch) -> [PostgresValue] {
        var entries = PostgresArray()
        var seqs = PostgresArray()
        var texts = ["id", "type", "shop", "order", "customer", "lines", "attributes"].map { ($0, PostgresArray()) }
        var fields = PostgresArray()
        var reasons = PostgresArray()
        var errors = PostgresArray()
        for letter in batch.deadLetters {
            entries.append(letter.entry.id.description)
            if let seq = letter.seq { seqs.append(seq.number) } else { seqs.appendNull() }
            let own = letter.entry.fields
            for index in texts.indices {
                let value = own.first { $0.name.elementsEqual(texts[index].0.utf8) }?.value
                texts[index].1.append(orNull: value.map(Self.readable))
            }
            fields.append(bytes: DeadLetterFields.framed(own))
            reasons.append(letter.quarantine.reason.rawValue)
            errors.append(letter.quarantine.error)
        }
        return ([entries, seqs] + texts.map(\.1) + [fields, reasons, errors]).map(PostgresValue.array)
    }

    /// Postgres's text can hold neither invalid UTF-8 nor NUL; the bytes themselves are in `fields`.
    private static func readable(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self).replacing("\0", with: "\u{FFFD}")
    }
}

extension Batch {
    /// Whether anything came back in it: then the statement that applies it is another.
    var hasReturns: Bool { applied.contains { $0.change.kind == .orderReturned } }
}

extension PostgresArray {
    fileprivate mutating func append(orNull text: String?) {
        if let text { append(text) } else { appendNull() }
    }
}
