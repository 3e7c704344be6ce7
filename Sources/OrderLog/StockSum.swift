/// The sum that a stock position keeps of its partition's counters: each quantity times its SKU's weight, modulo a prime.
///
/// Kept as a value beside the counters, which change by increments, it doesn't share their damage: half a batch that a
/// server executes at a later restart changes counters, and not the sum. The weights keep changes from cancelling out.
package struct StockSum: Hashable, Sendable {
    /// Products of two numbers below it are exact in a double, as `stock.lua` multiplies them.
    package static let modulus: Int64 = 67_108_859

    /// 0 ..< ``modulus``.
    package private(set) var value: Int64 = 0

    package init() {}

    /// Adds one counter.
    package mutating func add(_ quantity: Int64, weight: Int64) {
        let rest = quantity % Self.modulus
        value = (value + weight * (rest < 0 ? rest + Self.modulus : rest)) % Self.modulus
    }

    /// The weights of a shop's SKUs, 1 ..< ``modulus``: FNV-1a over shop and SKU.
    ///
    /// Positions keep what they come to: with another function every stored sum would be wrong.
    package struct Weights {
        private let start: UInt64

        package init(shop: String) {
            // No name holds a NUL: shop and SKU can't run into each other.
            start = FNV1a.mix(shop + "\0", into: FNV1a.start)
        }

        package func weight(of sku: UnsafeRawBufferPointer) -> Int64 {
            1 + Int64(FNV1a.mix(sku, into: start) % UInt64(StockSum.modulus - 1))
        }

        package func weight(of sku: String) -> Int64 {
            var sku = sku
            return sku.withUTF8 { weight(of: UnsafeRawBufferPointer($0)) }
        }
    }
}
