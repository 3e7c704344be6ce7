package import PostgresClient
package import RedisClient
import ThreadedIO

/// What Onewrite is not: an application that writes each order to three places, one after another.
///
/// It is written as such code usually is. On a start it goes on behind the last order that it finds in Postgres, since it
/// believes that an order that is there was dealt with.
package struct DualWrite {
    package static let schema = "naive"
    package static let stockKey = "naive:stock"
    package static let deliveriesKey = "naive:deliveries"

    private let redis: RedisConnection
    private let postgres: PostgresConnection

    package init(redis: RedisConnection, postgres: PostgresConnection) {
        self.redis = redis
        self.postgres = postgres
    }

    /// Makes the tables.
    package static func create(on postgres: PostgresConnection) throws {
        try postgres.script(
            """
            CREATE SCHEMA naive;
            CREATE TABLE naive.orders (
                number bigint PRIMARY KEY, id text NOT NULL, customer text NOT NULL, shop text NOT NULL, lines text NOT NULL
            );
            CREATE TABLE naive.stock (sku text PRIMARY KEY, on_hand bigint NOT NULL);
            """, until: .after(.seconds(10)))
    }

    /// Writes the orders that a seed gives, from where it believes it is.
    package func run(orders: Int, seed: UInt64) throws {
        let last = try postgres.query("SELECT coalesce(max(number), -1) FROM orders", until: limit)
        let next = Int(try last.first?.requireInt64(0) ?? -1) + 1
        var generator = SeededGenerator(seed: seed)
        for number in 0..<orders {
            let order = Workload.order(number, using: &generator)
            if number >= next { try write(order, number) }
        }
    }

    private func write(_ order: PlannedChange, _ number: Int) throws {
        let inserted = try postgres.query(
            Self.insert,
            [
                .integer(Int64(number)), .text(order.id), .text(order.customer ?? ""), .text(order.shop),
                .text(order.linesText),
            ], until: limit)
        // There already: dealt with. A killed predecessor's insert may still have been under way when this one started.
        guard inserted.affected == 1 else { return }
        for line in order.lines {
            try redis.call(
                RedisCommand("HINCRBY", Self.stockKey, "\(order.shop) \(line.sku)", -line.quantity), until: limit)
        }
        try redis.call(RedisCommand("RPUSH", Self.deliveriesKey, order.id), until: limit)
    }

    private static let insert = """
        INSERT INTO orders (number, id, customer, shop, lines) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
        """

    private var limit: Deadline { .after(.seconds(10)) }
}

/// How far the stores of ``DualWrite`` are apart.
package struct DualWriteResult: Sendable {
    /// Orders in Postgres.
    package var orders = 0
    /// Orders without exactly one delivery.
    package var ordersThatDiffer = 0
    /// Stock counters in Redis that aren't what the orders in Postgres give.
    package var countersThatDiffer = 0

    /// Reads the stores and compares them.
    package init(redis: RedisConnection, postgres: PostgresConnection) throws {
        let deadline = Deadline.after(.seconds(30))
        var deliveries: [String: Int] = [:]
        for id in try redis.call(RedisCommand("LRANGE", DualWrite.deliveriesKey, 0, -1), until: deadline)
            .requireArray()
        {
            deliveries[try id.requireString(), default: 0] += 1
        }
        var counters: [String: Int64] = [:]
        for row in try postgres.query("SELECT id, shop, lines FROM orders", until: deadline) {
            orders += 1
            if deliveries.removeValue(forKey: try row.requireString(0)) != 1 { ordersThatDiffer += 1 }
            let shop = try row.requireString(1)
            for line in try row.requireString(2).split(separator: " ") {
                let parts = line.split(separator: ":")
                counters["\(shop) \(parts[0])", default: 0] -= Int64(parts[1]) ?? 0
            }
        }
        // What is left was delivered and never ordered.
        ordersThatDiffer += deliveries.count
        let found = try redis.call(RedisCommand("HGETALL", DualWrite.stockKey), until: deadline).requireArray()
        for index in stride(from: 0, to: found.count, by: 2) {
            let expected = counters.removeValue(forKey: try found[index].requireString()) ?? 0
            if try found[index + 1].requireString() != "\(expected)" { countersThatDiffer += 1 }
        }
        countersThatDiffer += counters.count
    }
}
