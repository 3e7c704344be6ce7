package import Connections
import OrderLog
package import RedisLog

/// Which shops admit orders only as far as stock covers them, and what one of them may sell.
package struct AdmissionReport: Sendable, Encodable {
    package struct Shop: Sendable, Encodable {
        package let shop: String
        package let state: AdmissionBook.State.Phase
    }

    package struct Row: Sendable, Encodable {
        package let sku: String
        /// What may be sold; nil when nothing is known of it.
        package let available: Int64?
        /// What stock has at present.
        package let onHand: Int64?

        private enum CodingKeys: String, CodingKey {
            case sku, available
            case onHand = "on_hand"
        }
    }

    package let schema = "onewrite/admission/v1"
    /// All that have it, or the one that was asked for.
    package let shops: [Shop]
    /// nil unless a shop was asked for.
    package let skus: [Row]?

    private enum CodingKeys: String, CodingKey { case schema, shops, skus }

    /// Asks Redis.
    ///
    /// - Parameters:
    ///   - shop: Which; nil for all.
    ///   - skus: Of that shop; empty for all.
    ///   - servers: Where the log is.
    /// - Throws: `LogError`, and the servers' errors.
    package init(shop: String?, skus: [String], _ servers: Servers) throws {
        let redis = try servers.redis()
        let identity = try servers.identity(redis)
        let book = AdmissionBook(redis, servers.keys)
        guard let shop else {
            shops = try identity.partitioning.all.flatMap { try book.states(in: $0) }
                .map { Shop(shop: $0.shop, state: $0.state.phase) }.sorted { Name($0.shop) < Name($1.shop) }
            self.skus = nil
            return
        }
        let partition = identity.partitioning.partition(ofShop: shop)
        let state = try book.states(in: partition).first { $0.shop.hasSameBytes(as: shop) }?.state ?? .off
        shops = [Shop(shop: shop, state: state.phase)]
        self.skus =
            state.phase == .off
            ? []
            : try book.numbers(of: shop, in: partition, skus.map(\.inNormalForm))
                .map { Row(sku: $0.sku, available: $0.available, onHand: $0.onHand) }
    }
}
