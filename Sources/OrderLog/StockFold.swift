/// What a batch does to the stock: one step a SKU, however many lines named it.
package struct StockFold: Sendable {
    /// One SKU's step.
    package struct Step: Hashable, Sendable {
        package let shop: String
        package let sku: String
        /// Whether `quantity` is the new stock (a count came by), or is added to what there is.
        package fileprivate(set) var isAbsolute: Bool
        package fileprivate(set) var quantity: Int64
    }

    private struct Key: Hashable {
        let shop: String
        let sku: String
    }

    /// The steps, in the order in which their SKUs came up.
    ///
    /// One whose additions cancel out is there too: it makes the
    /// SKU known, so that stores with other batches hold the same SKUs.
    package private(set) var steps: [Step] = []
    private var index: [Key: Int] = [:]

    /// Folds the changes of a batch, in log order.
    package init(_ applied: [Batch.Applied]) {
        for entry in applied {
            let change = entry.change
            for line in change.lines.items {
                switch change.kind {
                case .orderPlaced: add(-line.quantity, change.shop, line.sku)
                case .orderCancelled, .stockReceived: add(line.quantity, change.shop, line.sku)
                case .stockCounted: set(line.quantity, change.shop, line.sku)
                }
            }
        }
    }

    private mutating func add(_ quantity: Int64, _ shop: String, _ sku: String) {
        if let at = index[Key(shop: shop, sku: sku)] {
            steps[at].quantity += quantity
        } else {
            insert(Step(shop: shop, sku: sku, isAbsolute: false, quantity: quantity))
        }
    }

    private mutating func set(_ quantity: Int64, _ shop: String, _ sku: String) {
        if let at = index[Key(shop: shop, sku: sku)] {
            steps[at].isAbsolute = true
            steps[at].quantity = quantity
        } else {
            insert(Step(shop: shop, sku: sku, isAbsolute: true, quantity: quantity))
        }
    }

    private mutating func insert(_ step: Step) {
        index[Key(shop: step.shop, sku: step.sku)] = steps.count
        steps.append(step)
    }
}
