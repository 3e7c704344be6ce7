import Foundation
import OrderLog

/// The orders of a benchmark: two lines each, field by field those of the bare loop, with shops and SKUs to choose.
struct BenchOrders: Sendable {
    let shops: Int
    let skus: Int

    /// How much all lines of an order take from the stock.
    static let quantity = 3

    private static let customers = 5000

    func shop(_ number: Int) -> String { shops == 1 ? "main" : "shop-\(number % shops)" }

    private func id(_ number: Int) -> String {
        let digits = String(number)
        return "order-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }

    private func customer(_ number: Int) -> String { "customer-\(number % Self.customers)" }

    private func items(_ number: Int) -> [(sku: String, quantity: String)] {
        let other = number + (skus > 37 ? 37 : 1)
        return [("SKU-\(number % skus)", "1"), ("SKU-\(other % skus)", "2")]
    }

    /// What all orders take, and more, a line of NDJSON for each shop and up to a hundred SKUs.
    func stock(for orders: Int) -> String {
        var lines = ""
        for shop in Set((0..<min(shops, orders)).map(shop)).sorted() {
            for start in stride(from: 0, to: skus, by: 100) {
                let items = (start..<min(start + 100, skus)).map {
                    "{\"sku\":\"SKU-\($0)\",\"quantity\":\(Self.quantity * orders)}"
                }
                lines +=
                    "{\"type\":\"stock.counted\",\"id\":\"stock-\(start)\",\"shop\":\"\(shop)\",\"lines\":[\(items.joined(separator: ","))]}\n"
            }
        }
        return lines
    }

    /// An order as it is submitted in a process.
    func change(_ number: Int) throws(FieldError) -> Change {
        try Change(
            ChangeDraft(id: id(number), shop: shop(number), customer: customer(number), lines: .items(items(number))))
    }

    /// An order as a line of NDJSON, its end included.
    private func json(_ number: Int) -> String {
        let lines = items(number).map { "{\"sku\":\"\($0.sku)\",\"quantity\":\($0.quantity)}" }.joined(separator: ",")
        return "{\"id\":\"\(id(number))\",\"shop\":\"\(shop(number))\",\"customer\":\"\(customer(number))\","
            + "\"lines\":[\(lines)]}\n"
    }

    /// Writes a file of orders.
    func write(_ count: Int, to path: String) throws {
        try Data().write(to: URL(filePath: path))
        let file = try FileHandle(forWritingTo: URL(filePath: path))
        for start in stride(from: 0, to: count, by: 10_000) {
            let lines = (start..<min(count, start + 10_000)).map(json).joined()
            try file.write(contentsOf: Data(lines.utf8))
        }
        try file.close()
    }
}
