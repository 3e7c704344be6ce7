/// A change as it is submitted, and as the check looks for it.
///
/// Apart from the log's own types on purpose: the check uses none of the code that it checks.
package struct PlannedChange: Hashable, Sendable {
    package enum Kind: String, Sendable {
        case placed = "order.placed"
        case cancelled = "order.cancelled"
        case returned = "order.returned"
        case received = "stock.received"
        case counted = "stock.counted"
    }

    package struct Line: Hashable, Sendable {
        package let sku: String
        package let quantity: Int64

        package init(sku: String, quantity: Int64) {
            self.sku = sku
            self.quantity = quantity
        }
    }

    package let kind: Kind
    package let id: String
    package let shop: String
    package var customer: String?
    /// The order that is cancelled or returned.
    package var order: String?
    package let lines: [Line]
    package var attributes: String?

    package init(
        kind: Kind, id: String, shop: String, customer: String? = nil, order: String? = nil, lines: [Line],
        attributes: String? = nil
    ) {
        self.kind = kind
        self.id = id
        self.shop = shop
        self.customer = customer
        self.order = order
        self.lines = lines
        self.attributes = attributes
    }

    /// `TEA-250:2 MUG-1:1`, as the log holds it.
    package var linesText: String { lines.map { "\($0.sku):\($0.quantity)" }.joined(separator: " ") }

    /// A line of NDJSON; nothing that is made up here needs escaping.
    package var json: String {
        var fields = ["\"type\":\"\(kind.rawValue)\"", "\"id\":\"\(id)\"", "\"shop\":\"\(shop)\""]
        if let customer { fields.append("\"customer\":\"\(customer)\"") }
        if let order { fields.append("\"order\":\"\(order)\"") }
        let lines = lines.map { "{\"sku\":\"\($0.sku)\",\"quantity\":\($0.quantity)}" }
        fields.append("\"lines\":[\(lines.joined(separator: ","))]")
        if let attributes { fields.append("\"attributes\":\(attributes)") }
        return "{\(fields.joined(separator: ","))}"
    }
}

/// What `onewrite submit --json` answered about one change.
package struct ReceiptLine: Decodable, Hashable, Sendable {
    package let id: String
    package let outcome: String
    package var partition: Int?
    package var seq: Int64?
    package var entry: String?
    /// The last seq that the log had when it was refused for want of stock.
    package var after: Int64?
    package var lacking: [Lacking]?

    package struct Lacking: Decodable, Hashable, Sendable {
        package let sku: String
        package let wanted: Int64
        package let available: Int64

        package init(sku: String, wanted: Int64, available: Int64) {
            (self.sku, self.wanted, self.available) = (sku, wanted, available)
        }
    }

    package init(
        id: String, outcome: String, partition: Int? = nil, seq: Int64? = nil, entry: String? = nil
    ) {
        self.id = id
        self.outcome = outcome
        self.partition = partition
        self.seq = seq
        self.entry = entry
    }
}

/// A change and the answer to it.
package struct Submission: Hashable, Sendable {
    package let change: PlannedChange
    package let receipt: ReceiptLine

    package init(change: PlannedChange, receipt: ReceiptLine) {
        self.change = change
        self.receipt = receipt
    }
}
