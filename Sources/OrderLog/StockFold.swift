/// What a batch does to the stock: one step a SKU, however many lines named it.
package struct StockFold: Sendable {
    /// What happens in one shop.
    package struct Shop: Sendable {
        package let name: String
        /// The steps, in the order in which their SKUs came up.
        ///
        /// One whose additions cancel out is there too: it makes the SKU known, so that stores with other batches hold
        /// the same SKUs.
        package fileprivate(set) var steps: [Step] = []
        fileprivate var index: [Name: Int] = [:]
    }

    /// One SKU's step.
    package struct Step: Hashable, Sendable {
        package let sku: String
        /// Whether `quantity` is the new stock (a count came by), or is added to what there is.
        package fileprivate(set) var isAbsolute: Bool
        package fileprivate(set) var quantity: Int64
    }

    /// The shops, in the order in which they came up.
    package private(set) var shops: [Shop] = []

    /// Folds the changes of a batch, in log order.
    package init(_ applied: [Batch.Applied]) {
        var index: [Name: Int] = [:]
        var current = 0
        for entry in applied {
            let change = entry.change
            // Neighbours are often of one shop.
            if shops.isEmpty || !shops[current].name.hasSameBytes(as: change.shop) {
                current = index[Name(change.shop)] ?? shops.count
                if current == shops.count {
                    index[Name(change.shop)] = current
                    shops.append(Shop(name: change.shop))
                }
            }
            for line in change.lines.items {
                switch change.kind {
                case .orderPlaced: shops[current].add(-line.quantity, line.sku)
                case .orderCancelled, .orderReturned, .stockReceived: shops[current].add(line.quantity, line.sku)
                case .stockCounted: shops[current].set(line.quantity, line.sku)
                }
            }
        }
    }
}

extension StockFold.Shop {
    fileprivate mutating func add(_ quantity: Int64, _ sku: String) {
        if let at = index[Name(sku)] {
            steps[at].quantity += quantity
        } else {
            insert(StockFold.Step(sku: sku, isAbsolute: false, quantity: quantity))
        }
    }

    fileprivate mutating func set(_ quantity: Int64, _ sku: String) {
        if let at = index[Name(sku)] {
            steps[at].isAbsolute = true
            steps[at].quantity = quantity
        } else {
            insert(StockFold.Step(sku: sku, isAbsolute: true, quantity: quantity))
        }
    }

    private mutating func insert(_ step: StockFold.Step) {
        index[Name(step.sku)] = steps.count
        steps.append(step)
    }
}
