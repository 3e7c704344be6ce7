/// What the log's entries give, read in log order by a few lines that know nothing of how Onewrite applies them.
package struct LogFold {
    package private(set) var orders: [StoreContents.OrderKey: StoreContents.Order] = [:]
    package private(set) var orderLines: [StoreContents.OrderKey: [String]] = [:]
    package private(set) var stock: [StoreContents.StockKey: String] = [:]
    package private(set) var deliveries: [[String]] = []

    private var counters: [StoreContents.StockKey: Int64] = [:]
    private var ordered: [StoreContents.OrderKey: [String: Int64]] = [:]
    private var returned: [StoreContents.OrderKey: [String: Int64]] = [:]

    private static let jobs = ["order.placed": "prepare", "order.cancelled": "cancel", "order.returned": "return"]

    package init(_ contents: StoreContents) {
        for (partition, entries) in contents.log.enumerated() {
            deliveries.append([])
            for entry in entries { take(entry, partition) }
        }
        stock = counters.mapValues { "\($0)" }
    }

    /// An order's lines as Postgres's table has them: SKU, quantity, and how many came back.
    private func text(_ key: StoreContents.OrderKey) -> [String] {
        (ordered[key] ?? [:]).map { "\($0.key):\($0.value):\(returned[key]?[$0.key] ?? 0)" }.sorted()
    }

    private mutating func take(_ entry: StoreContents.LogEntry, _ partition: Int) {
        let fields = entry.fields
        let (type, shop) = (fields["type"] ?? "", fields["shop"] ?? "")
        let lines = (fields["lines"] ?? "").split(separator: " ").map { line in
            let parts = line.split(separator: ":")
            return (sku: String(parts.first ?? ""), quantity: parts.last.flatMap { Int64($0) } ?? 0)
        }
        for line in lines {
            let key = StoreContents.StockKey(partition: partition, shop: shop, sku: line.sku)
            switch type {
            case "stock.counted": counters[key] = line.quantity
            case "order.placed": counters[key, default: 0] -= line.quantity
            default: counters[key, default: 0] += line.quantity
            }
        }
        let key = StoreContents.OrderKey(shop: shop, id: fields["order"] ?? fields["id"] ?? "")
        switch type {
        case "order.placed":
            orders[key] = StoreContents.Order(
                customer: fields["customer"] ?? "", status: "placed", partition: partition, seq: entry.seq ?? -1,
                attributes: fields["attributes"].map(sortedJSON))
            ordered[key] = Dictionary(lines.map { ($0.sku, $0.quantity) }, uniquingKeysWith: +)
            returned[key] = [:]
            orderLines[key] = text(key)
        case "order.cancelled":
            orders[key] = orders[key].map {
                StoreContents.Order(
                    customer: $0.customer, status: "cancelled", partition: $0.partition, seq: $0.seq,
                    attributes: $0.attributes)
            }
        case "order.returned":
            for line in lines where ordered[key]?[line.sku] != nil {
                returned[key]?[line.sku, default: 0] += line.quantity
            }
            orderLines[key] = ordered[key].map { _ in text(key) }
            let isWhole = ordered[key]?.allSatisfy { returned[key]?[$0.key] ?? 0 >= $0.value } ?? false
            if isWhole, let order = orders[key], order.status == "placed" {
                orders[key] = StoreContents.Order(
                    customer: order.customer, status: "returned", partition: order.partition, seq: order.seq,
                    attributes: order.attributes)
            }
        default: return
        }
        let items = lines.map { "{\"sku\":\"\($0.sku)\",\"quantity\":\($0.quantity)}" }.joined(separator: ",")
        let customer = fields["customer"].map { "\"\($0)\"" } ?? "null"
        deliveries[partition].append(
            """
            {"job":"\(Self.jobs[type] ?? "?")"\(type == "order.returned" ? ",\"id\":\"\(fields["id"] ?? "")\"" : ""),"order":"\(key.id)","shop":"\(shop)",\
            "customer":\(customer),"lines":[\(items)],"attributes":\(fields["attributes"] ?? "null"),\
            "partition":\(partition),"epoch":\(fields["epoch"] ?? "0"),"seq":\(entry.seq ?? -1)}
            """)
    }
}
