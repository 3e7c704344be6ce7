import Submission
import Connections
import ArgumentParser
import Dashboard
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import ThreadedIO

extension StockCommand {
    /// `onewrite stock show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "A shop's stock in Redis and in Postgres, side by side.",
            discussion: """
                Example:
                  onewrite stock show --shop main TEA-250

                The two differ for a moment while a group still applies; onewrite status shows the lag.
                """)

        @Argument(help: ArgumentHelp("The SKUs to show (default: all).", valueName: "SKU"))
        var skus: [String] = []

        @Option(help: "The shop.")
        var shop: String

        @Flag(help: "Print one JSON object.")
        var json = false

        @OptionGroup var common: CommonOptions

        func run() async throws {
            // A count of nothing checks the names as the log does.
            _ = try Change(
                flags: ChangeDraft(
                    type: Change.Kind.stockCounted.rawValue, id: "-", shop: shop,
                    lines: .items((skus.isEmpty ? ["-"] : skus).map { ($0, "0") })))
            let servers = try Servers(try common.settings(), name: "onewrite-stock")
            let table = try await CommandLane().run { _ in
                var patience = Patience()
                return try patience.attempt { try StockTable(shop: shop, skus: skus, servers) }
            }
            Console.print(json ? table.json : table.text)
            if table.rows.contains(where: { $0.redis == nil && $0.postgres == nil }) { throw Failure(.no, "") }
        }
    }
}

/// A shop's stock as both stores have it.
struct StockTable {
    struct Row {
        let sku: String
        var redis: Int64?
        var postgres: Int64?
    }

    let shop: String
    let partition: Partition
    /// Whether Postgres was asked.
    private let hasPostgres: Bool
    private(set) var rows: [Row] = []

    /// Reads it.
    ///
    /// - Parameters:
    ///   - shop: The shop.
    ///   - skus: Which; all when there are none.
    ///   - servers: Where.
    /// - Throws: ``Failure``, ``RedisError`` or ``PostgresError``.
    init(shop: String, skus: [String], _ servers: Servers) throws {
        self.shop = shop
        let redis = try servers.redis()
        partition = try servers.identity(redis).partitioning.partition(ofShop: shop)
        let postgres = try servers.postgres()
        hasPostgres = postgres != nil
        var onHand: [String: Row] = [:]
        for sku in skus { onHand[sku] = Row(sku: sku) }
        let key = servers.keys.stock(partition, shop: shop)
        let fields = try redis.call(RedisCommand("HGETALL", key), until: .after(StreamLog.timeout)).requireArray()
        for index in stride(from: 0, to: fields.count - 1, by: 2) {
            let sku = try fields[index].requireString()
            guard skus.isEmpty || onHand[sku] != nil else { continue }
            onHand[sku, default: Row(sku: sku)].redis = fields[index + 1].string.flatMap { Int64($0) }
        }
        if let postgres {
            let found = try postgres.query(
                "SELECT sku, on_hand FROM stock WHERE shop = $1", [.text(shop)], until: .after(StreamLog.timeout))
            for row in found {
                let sku = try row.requireString(0)
                guard skus.isEmpty || onHand[sku] != nil else { continue }
                onHand[sku, default: Row(sku: sku)].postgres = try row.requireInt64(1)
            }
        }
        rows = onHand.values.sorted { $0.sku < $1.sku }
    }

    private func differs(_ row: Row) -> Bool? { hasPostgres ? row.redis != row.postgres : nil }

    /// A line a SKU; what differs is marked.
    var text: String {
        guard !rows.isEmpty else { return "no stock of shop \(shop) yet" }
        let header = ["SKU", "REDIS", "POSTGRES"]
        let cells = rows.map { row in
            [sanitized(row.sku), row.redis.map(FieldError.spaced) ?? "?", row.postgres.map(FieldError.spaced) ?? "?"]
        }
        let widths = header.indices.map { column in ([header] + cells).map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            func padding(_ column: Int) -> String {
                String(repeating: " ", count: widths[column] - cells[column].count)
            }
            return cells[0] + padding(0) + "  " + padding(1) + cells[1] + "  " + padding(2) + cells[2]
        }
        return
            ([line(header)]
            + zip(rows, cells).map { row, cells in line(cells) + (differs(row) == true ? "  ! differ" : "") })
            .joined(separator: "\n")
    }

    var json: String {
        let items = rows.map { row in
            var json = JSONLine()
            json.add("sku", row.sku)
            json.add("redis", row.redis)
            json.add("postgres", row.postgres)
            json.add("differs", differs(row))
            return json.text
        }
        var json = JSONLine()
        json.add("schema", "onewrite/stock/v1")
        json.add("shop", shop)
        json.add("partition", Int64(partition.number))
        return json.text.dropLast() + ",\"skus\":[\(items.joined(separator: ","))]}"
    }
}
