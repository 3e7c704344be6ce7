/// A change as the demo submits it, and as its check looks for it.
///
/// Apart from the log's own types on purpose: the check uses none of the code that it checks.
struct DemoChange: Hashable, Sendable {
    enum Kind: String, Sendable {
        case placed = "order.placed"
        case cancelled = "order.cancelled"
        case received = "stock.received"
        case counted = "stock.counted"
    }

    struct Line: Hashable, Sendable {
        let sku: String
        let quantity: Int64
    }

    let kind: Kind
    let id: String
    let shop: String
    var customer: String?
    /// The order that is cancelled.
    var order: String?
    let lines: [Line]
    var attributes: String?

    /// `TEA-250:2 MUG-1:1`, as the log holds it.
    var linesText: String { lines.map { "\($0.sku):\($0.quantity)" }.joined(separator: " ") }

    /// A line of NDJSON; nothing that the demo makes up needs escaping.
    var json: String {
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
struct DemoReceipt: Decodable, Hashable, Sendable {
    let id: String
    let outcome: String
    var partition: Int?
    var seq: Int64?
    var entry: String?
}

/// A change and the answer to it.
struct Submission: Hashable, Sendable {
    let change: DemoChange
    let receipt: DemoReceipt
}
