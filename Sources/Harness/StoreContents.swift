import Foundation
package import PostgresClient
package import RedisClient
import ThreadedIO

/// All that the stores hold, read with plain SQL and plain Redis commands.
///
/// Neither this file nor ``StoreCheck`` uses any of the code under test: not the log's keys, not its types, not its scripts.
package struct StoreContents: Sendable {
    /// An entry of the log, its fields as they stand there.
    package struct LogEntry: Hashable, Sendable {
        package let entry: String
        package let fields: [String: String]

        package var seq: Int64? { fields["seq"].flatMap { Int64($0) } }

        package init(entry: String, fields: [String: String]) {
            self.entry = entry
            self.fields = fields
        }
    }

    /// A row of the ledger, in the form of an entry: what isn't there is left out.
    package struct LedgerRow: Hashable, Sendable {
        package let seq: Int64
        package let entry: String
        package let fields: [String: String]
    }

    package struct Order: Hashable, Sendable {
        package let customer: String
        package let status: String
        package let partition: Int
        package let seq: Int64
        /// Keys sorted, so that equal objects are equal texts.
        package let attributes: String?
    }

    package struct OrderKey: Hashable, Comparable, Sendable, CustomStringConvertible {
        package let shop: String
        package let id: String
        package var description: String { "\(shop) \(id)" }
        package static func < (left: OrderKey, right: OrderKey) -> Bool {
            (left.shop, left.id) < (right.shop, right.id)
        }
    }

    package struct StockKey: Hashable, Comparable, Sendable, CustomStringConvertible {
        package let partition: Int
        package let shop: String
        package let sku: String
        package var description: String { "\(shop) \(sku)" }
        package static func < (left: StockKey, right: StockKey) -> Bool {
            (left.partition, left.shop, left.sku) < (right.partition, right.shop, right.sku)
        }
    }

    package var partitions = 0
    /// By partition, in the order of the stream.
    package var log: [[LogEntry]] = []
    package var ledger: [[LedgerRow]] = []
    package var orders: [OrderKey: Order] = [:]
    /// `SKU:quantity`, sorted.
    package var orderLines: [OrderKey: [String]] = [:]
    package var stockInPostgres: [StockKey: String] = [:]
    package var stockInRedis: [StockKey: String] = [:]
    /// The jobs by partition, as JSON, in the list's order.
    package var deliveries: [[String]] = []
    /// The seq that each group says it has applied, by partition.
    package var positions: [String: [Int64]] = [:]
    /// How many entries each group has pending, by partition.
    package var pending: [String: [Int64]] = [:]
    package var deadLetters = 0
    /// How many entries the log no longer holds since they were trimmed; they stand in ``log`` as the ledger has them.
    package var trimmed = 0

    package static let groups = ["postgres", "stock", "delivery"]

    /// Contents that are given, not read.
    ///
    /// - Parameter log: By partition, in the order of the stream.
    package init(log: [[LogEntry]]) {
        partitions = log.count
        self.log = log
    }

    /// Reads everything; nothing may be written meanwhile.
    ///
    /// - Parameters:
    ///   - redis: Where the log is.
    ///   - postgres: With the schema in its search path.
    ///   - namespace: What the keys begin with.
    /// - Throws: `RedisError`, `PostgresError`.
    package init(redis: RedisConnection, postgres: PostgresConnection, namespace: String) throws {
        let deadline = Deadline.after(.seconds(30))
        let meta = try postgres.query("SELECT partitions FROM meta", until: deadline)
        partitions = Int(try meta.first?.requireInt64(0) ?? 0)
        ledger = Array(repeating: [], count: partitions)
        try readPostgres(postgres, deadline)
        for partition in 0..<partitions { try readRedis(redis, "{\(namespace):\(partition)}", deadline) }
        try readStock(redis, namespace, deadline)
    }

    private mutating func readPostgres(_ postgres: PostgresConnection, _ deadline: Deadline) throws {
        let names = ["epoch", "id", "type", "shop", "order", "customer", "lines", "attributes"]
        for row in try postgres.query(
            """
            SELECT partition, seq, entry, epoch, id, type, shop, order_id,
                customer, lines, attributes FROM ledger ORDER BY partition, seq
            """, until: deadline)
        {
            var fields: [String: String] = ["seq": try row.requireString(1)]
            for (index, name) in names.enumerated() { fields[name] = row.string(3 + index) }
            ledger[Int(try row.requireInt64(0))].append(
                LedgerRow(seq: try row.requireInt64(1), entry: try row.requireString(2), fields: fields))
        }
        for row in try postgres.query(
            "SELECT shop, id, customer, status, partition, seq, attributes FROM orders", until: deadline)
        {
            orders[OrderKey(shop: try row.requireString(0), id: try row.requireString(1))] = Order(
                customer: try row.requireString(2), status: try row.requireString(3),
                partition: Int(try row.requireInt64(4)), seq: try row.requireInt64(5),
                attributes: row.string(6).map(sortedJSON))
        }
        for row in try postgres.query(
            """
            SELECT shop, order_id, sku || ':' || quantity || ':' || coalesce(to_jsonb(order_lines) ->> 'returned', '0')
            FROM order_lines ORDER BY 1, 2, 3
            """, until: deadline)
        {
            let key = OrderKey(shop: try row.requireString(0), id: try row.requireString(1))
            orderLines[key, default: []].append(try row.requireString(2))
        }
        // A shop's partition isn't in this table; the ledger knows it.
        for row in try postgres.query(
            """
            SELECT coalesce(l.partition, -1), s.shop, s.sku, s.on_hand FROM stock s
            LEFT JOIN (SELECT DISTINCT shop, partition FROM ledger) l USING (shop)
            """, until: deadline)
        {
            let key = StockKey(
                partition: Int(try row.requireInt64(0)), shop: try row.requireString(1), sku: try row.requireString(2))
            stockInPostgres[key] = try row.requireString(3)
        }
        positions["postgres"] = try postgres.query("SELECT seq FROM partitions ORDER BY partition", until: deadline)
            .map { try $0.requireInt64(0) }
        deadLetters += Int(
            try postgres.query("SELECT count(*) FROM dead_letters", until: deadline).first?.requireInt64(0) ?? 0)
    }

    private mutating func readRedis(_ redis: RedisConnection, _ tag: String, _ deadline: Deadline) throws {
        try readLog(redis, tag, deadline)
        deliveries.append(
            try redis.call(RedisCommand("LRANGE", "\(tag):deliveries", 0, -1), until: deadline)
                .requireArray().map { try $0.requireString() })
        for group in Self.groups {
            let summary = try redis.call(RedisCommand("XPENDING", "\(tag):log", group), until: deadline)
            pending[group, default: []].append(try summary.requireArray(count: 4)[0].requireInteger())
            let dead = try redis.call(RedisCommand("XLEN", "\(tag):dead:\(group)"), until: deadline)
            deadLetters += Int(try dead.requireInteger())
            guard group != "postgres" else { continue }
            let seq = try redis.call(RedisCommand("HGET", "\(tag):position:\(group)", "seq"), until: deadline)
            positions[group, default: []].append(seq.string.flatMap { Int64($0) } ?? 0)
        }
    }

    /// Reads a partition's log, and puts before it what was trimmed: the head says what that is, and the ledger what it was.
    private mutating func readLog(_ redis: RedisConnection, _ tag: String, _ deadline: Deadline) throws {
        // Not in a MULTI, which a server that is out of memory refuses: again, if it was trimmed in between.
        var first: Int64
        var entries: RedisReply
        var isSteady = false
        repeat {
            let head = RedisCommand("HGET", "\(tag):head", "first")
            let replies = try redis.pipeline(
                [head, RedisCommand("XRANGE", "\(tag):log", "-", "+"), head], until: deadline)
            first = replies[0].string.flatMap { Int64($0) } ?? 1
            entries = replies[1]
            isSteady = replies[0].string == replies[2].string
        } while !isSteady
        let gone = ledger[log.count].prefix { $0.seq < first }
        trimmed += gone.count
        log.append(
            gone.map { LogEntry(entry: $0.entry, fields: $0.fields) }
                + (try entries.requireArray().map {
                    var fields: [String: String] = [:]
                    for index in stride(from: 0, to: $0[1].count, by: 2) {
                        fields[try $0[1][index].requireString()] = try $0[1][index + 1].requireString()
                    }
                    return LogEntry(entry: try $0[0].requireString(), fields: fields)
                }))
    }

    private mutating func readStock(
        _ redis: RedisConnection, _ namespace: String, _ deadline: Deadline
    ) throws {
        for server in try redis.sessions(until: deadline) { try readStock(redis, server, namespace, deadline) }
    }

    private mutating func readStock(
        _ redis: RedisConnection, _ server: RedisSession, _ namespace: String, _ deadline: Deadline
    ) throws {
        var cursor = "0"
        repeat {
            let reply = try server.call(
                RedisCommand("SCAN", cursor, "MATCH", "{\(namespace):*}:stock:*", "COUNT", 1000), until: deadline)
            cursor = try reply.requireArray(count: 2)[0].requireString()
            for name in reply[1].elements {
                let name = try name.requireString()
                let words = name.dropFirst(namespace.count + 2).split(separator: ":", maxSplits: 2)
                guard words.count == 3, let partition = Int(words[0].dropLast()) else { continue }
                let values = try redis.call(RedisCommand("HGETALL", name), until: deadline).requireArray()
                for index in stride(from: 0, to: values.count, by: 2) {
                    let key = StockKey(
                        partition: partition, shop: String(words[2]), sku: try values[index].requireString())
                    stockInRedis[key] = try values[index + 1].requireString()
                }
            }
        } while cursor != "0"
    }
}

/// The same JSON with its keys sorted; a text that is no JSON stays as it is.
package func sortedJSON(_ text: String) -> String {
    do {
        let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
        let data = try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys])
        return String(decoding: data, as: UTF8.self)
    } catch {
        return text
    }
}
