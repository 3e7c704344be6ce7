import ArgumentParser
import Connections
import Dashboard
import OrderLog
import ThreadedIO
import Upkeep

/// `onewrite rebuild tables`.
struct RebuildTablesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tables",
        abstract: "Make orders, order_lines and stock in Postgres anew from the ledger.",
        discussion: """
            Examples:
              onewrite rebuild tables
              onewrite rebuild tables --yes

            They are made beside those in use, which takes minutes for ten million rows of the ledger; then what differs is put \
            right in one transaction, for which the workers of group postgres wait. Rights, indexes and views stay as they \
            are. It needs the right to create tables in the schema, and as much disk as the three tables take.
            """)

    @OptionGroup var rebuild: RebuildOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-rebuild")
        try settings.sayWhere()
        let acts = rebuild.acts
        let report = try await StopRequest.endingLane(saying: "stopping; nothing is changed") { interrupt in
            var patience = Patience(interrupt: interrupt)
            let tables = try patience.attempt { try TablesRebuild(servers, interrupt: interrupt) }
            let plan = try tables.plan()
            return Report(plan, acts ? try tables.run { ProgressLine.say($0) } : nil)
        }
        try rebuild.show(report, report.lines)
    }

    private struct Report: Encodable {
        struct Table: Encodable {
            let table: String
            let rows: Int64
            let added: Int?
            let changed: Int?
            let removed: Int?
        }

        let schema = "onewrite/rebuild/v1"
        let what = "tables"
        let ledger: Int64
        let done: Bool
        let tables: [Table]

        init(_ plan: TablesRebuild.Plan, _ outcome: TablesRebuild.Outcome?) {
            ledger = plan.ledger
            done = outcome != nil
            let rows = [plan.orders, plan.orderLines, plan.stock]
            tables = TablesRebuild.Outcome.tables.enumerated().map { index, table in
                Table(
                    table: table, rows: rows[index], added: outcome?.added[index], changed: outcome?.changed[index],
                    removed: outcome?.removed[index])
            }
        }

        var lines: [String] {
            tables.map { table in
                let rows = "\(table.table): \(Readable.count(Int(table.rows))) rows"
                guard done else { return rows }
                return "\(rows); \(Readable.count(table.added)) added, \(Readable.count(table.changed)) changed, "
                    + "\(Readable.count(table.removed)) removed"
            } + ["\(Readable.count(Int(ledger))) rows of the ledger " + (done ? "were folded" : "are to be folded")]
        }
    }
}
