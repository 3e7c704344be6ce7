package import Connections
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import ThreadedIO

/// A shop's stock as both stores have it.
public struct StockReport: Sendable, Equatable {
    /// A SKU's.
    public struct Row: Sendable, Equatable {
        /// Which.
        public let sku: String
        /// On hand in Redis; nil when it has no such SKU.
        public internal(set) var redis: Int64?
        /// On hand in Postgres; nil when it has no such SKU, or wasn't asked.
        public internal(set) var postgres: Int64?
        /// Whether the two differ; nil when only one was asked.
        public internal(set) var differs: Bool?
    }

    /// Whose.
    public let shop: String
    /// The partition that the shop is in.
    public let partition: Int
    /// Sorted by SKU.
    public let rows: [Row]

    /// Reads it.
    ///
    /// - Parameters:
    ///   - shop: The shop.
    ///   - skus: Which; all when there are none.
    ///   - servers: Where.
    /// - Throws: ``LogError`` or the servers' errors.
    package init(shop: String, skus: [String], _ servers: Servers) throws {
        self.shop = shop
        let redis = try servers.redis()
        let place = try servers.identity(redis).partitioning.partition(ofShop: shop)
        partition = place.number
        let postgres = try servers.postgres()
        var onHand: [Name: Row] = [:]
        for sku in skus { onHand[Name(sku)] = Row(sku: sku) }
        let key = servers.keys.stock(place, shop: shop)
        let fields = try redis.call(RedisCommand("HGETALL", key), until: .after(StreamLog.timeout)).requireArray()
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            // Others may have put anything there: it is shown, repaired, beside what is ours.
            guard let sku = fields[index].repairedText else { continue }
            guard skus.isEmpty || onHand[Name(sku)] != nil else { continue }
            onHand[Name(sku), default: Row(sku: sku)].redis = fields[index + 1].string.flatMap { Int64($0) }
        }
        if let postgres {
            let found = try postgres.query(
                "SELECT sku, on_hand FROM stock WHERE shop = $1", [.text(shop)], until: .after(StreamLog.timeout))
            for row in found {
                let sku = try row.requireString(0)
                guard skus.isEmpty || onHand[Name(sku)] != nil else { continue }
                onHand[Name(sku), default: Row(sku: sku)].postgres = try row.requireInt64(1)
            }
            for (sku, row) in onHand { onHand[sku]?.differs = row.redis != row.postgres }
        }
        rows = onHand.values.sorted { Name($0.sku) < Name($1.sku) }
    }
}

// The contract `onewrite/stock/v1`, by hand so that unknown is an explicit null.

extension StockReport: Encodable {
    private enum Key: String, CodingKey { case schema, shop, partition, skus }

    /// Encodes `onewrite/stock/v1`.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode("onewrite/stock/v1", forKey: .schema)
        try container.encode(shop, forKey: .shop)
        try container.encode(partition, forKey: .partition)
        try container.encode(rows, forKey: .skus)
    }
}

extension StockReport.Row: Encodable {
    private enum Key: String, CodingKey { case sku, redis, postgres, differs }

    /// Encodes an element of the contract's `skus`.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(sku, forKey: .sku)
        try container.encode(redis, forKey: .redis)
        try container.encode(postgres, forKey: .postgres)
        try container.encode(differs, forKey: .differs)
    }
}
