import ArgumentParser
import Connections
import Dashboard
import Inspection
import OrderLog
import Reports

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
            let stock = try await CommandLane().run { _ in
                var patience = Patience()
                return try patience.attempt { try StockReport(shop: shop, skus: skus, servers) }
            }
            if json { try Console.printJSON(stock) } else { Console.print(stock.text) }
            if stock.rows.contains(where: { $0.redis == nil && $0.postgres == nil }) { throw Failure(.no, "") }
        }
    }
}

extension StockReport {
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
            + zip(rows, cells).map { row, cells in line(cells) + (row.differs == true ? "  ! differ" : "") })
            .joined(separator: "\n")
    }
}
