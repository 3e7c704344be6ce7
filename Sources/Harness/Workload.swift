/// What three submitters submit, file by file: the same for the same seed.
package struct Workload: Sendable {
    package static let submitters = 3
    package static let shops = (1...12).map { "shop-\($0)" }
    package static let skus = [
        "TEA-100", "TEA-250", "TEA-1000", "MUG-1", "MUG-2", "POT-1", "TIN-S", "TIN-L", "SPOON-6", "HONEY-500",
    ]

    /// For each submitter its files, in order.
    package private(set) var files: [[[PlannedChange]]]
    package private(set) var orders = 0
    package private(set) var submittedTwice = 0
    package private(set) var cancellations = 0
    package private(set) var returns = 0
    package private(set) var counts = 0
    package private(set) var receptions = 0

    /// - Parameters:
    ///   - orders: How many orders.
    ///   - filesEach: How many files each submitter has.
    ///   - generator: Where chance comes from.
    package init(orders: Int, filesEach: Int, using generator: inout SeededGenerator) {
        files = Array(repeating: Array(repeating: [], count: filesEach), count: Self.submitters)
        for shop in Self.shops {
            let lines = Self.skus.map { PlannedChange.Line(sku: $0, quantity: 1000) }
            add(PlannedChange(kind: .counted, id: "count-\(shop)", shop: shop, lines: lines), by: 0, file: 0)
            counts += 1
        }
        for number in 0..<orders {
            let submitter = number % Self.submitters
            place(
                Self.order(number, using: &generator), number, by: submitter, file: number * filesEach / orders,
                &generator)
            stock(number, by: submitter, file: number * filesEach / orders, &generator)
        }
    }

    package static func order(_ number: Int, using generator: inout SeededGenerator) -> PlannedChange {
        let digits = String(number + 1)
        let lines = skus.shuffled(using: &generator).prefix(Int.random(in: 1...3, using: &generator)).map {
            PlannedChange.Line(sku: $0, quantity: Int64.random(in: 1...5, using: &generator))
        }
        return PlannedChange(
            kind: .placed, id: "ord-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits,
            shop: shops[Int.random(in: 0..<shops.count, using: &generator)],
            customer: "c-\(Int.random(in: 1...500, using: &generator))", lines: lines,
            attributes: number % 7 == 0 ? "{\"gift\":true,\"note\":\"No \(number)\"}" : nil)
    }

    private mutating func add(_ change: PlannedChange, by submitter: Int, file: Int) {
        files[submitter][file].append(change)
    }

    private mutating func place(
        _ order: PlannedChange, _ number: Int, by submitter: Int, file: Int, _ generator: inout SeededGenerator
    ) {
        add(order, by: submitter, file: file)
        orders += 1
        if number % 10 == 3 {
            // Another submitter sends it at about the same time: who is first is left to chance.
            add(order, by: (submitter + 1) % Self.submitters, file: file)
            submittedTwice += 1
        }
        // Behind its order: the same submitter's, in the same file or the next.
        if Int.random(in: 0..<20, using: &generator) == 0 {
            let later = min(file + Int.random(in: 0...1, using: &generator), files[submitter].count - 1)
            let cancellation = PlannedChange(
                kind: .cancelled, id: "\(order.id)/cancel", shop: order.shop, order: order.id, lines: order.lines)
            add(cancellation, by: submitter, file: later)
            cancellations += 1
        } else if let line = order.lines.first, Int.random(in: 0..<25, using: &generator) == 0 {
            let later = min(file + Int.random(in: 0...1, using: &generator), files[submitter].count - 1)
            let back = PlannedChange(
                kind: .returned, id: "\(order.id)/return/1", shop: order.shop, order: order.id,
                lines: [
                    PlannedChange.Line(sku: line.sku, quantity: Int64.random(in: 1...line.quantity, using: &generator))
                ])
            add(back, by: submitter, file: later)
            returns += 1
        }
    }

    private mutating func stock(
        _ number: Int, by submitter: Int, file: Int, _ generator: inout SeededGenerator
    ) {
        let shop = Self.shops[Int.random(in: 0..<Self.shops.count, using: &generator)]
        let skus = Self.skus.shuffled(using: &generator).prefix(2)
        let quantity = Int64.random(in: 50...1500, using: &generator)
        let lines = skus.map { PlannedChange.Line(sku: $0, quantity: quantity) }
        if number % 40 == 11 {
            add(
                PlannedChange(kind: .counted, id: "count-\(number)", shop: shop, lines: lines), by: submitter,
                file: file)
            counts += 1
        } else if number % 40 == 31 {
            add(
                PlannedChange(kind: .received, id: "delivery-\(number)", shop: shop, lines: lines), by: submitter,
                file: file)
            receptions += 1
        }
    }
}
