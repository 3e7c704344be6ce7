import ArgumentParser
import Connections
import Dashboard
import Foundation
import Inspection
import OrderLog
import ThreadedIO
import Upkeep

/// `onewrite rebuild`.
struct RebuildCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild",
        abstract: "Make a store anew from the ledger in Postgres, while workers go on.",
        discussion: """
            Examples:
              onewrite rebuild log --deliveries-since 2h
              onewrite rebuild stock --shop main --yes

            Each prints its plan; --yes does it. One that was stopped is started again, and goes on.
            """,
        subcommands: [
            RebuildLogCommand.self, RebuildStockCommand.self, RebuildDeliveryCommand.self, RebuildTablesCommand.self,
        ])
}

/// Plan or deed, for what is rebuilt.
struct RebuildOptions: ParsableArguments {
    @Flag(help: "Do it; without this only the plan is printed.")
    var yes = false

    @Flag(name: .customLong("dry-run"), help: "Only print the plan, also with --yes.")
    var isDryRun = false

    @Flag(help: "One JSON object (onewrite/rebuild/v1).")
    var json = false

    var acts: Bool { yes && !isDryRun }

    func show(_ report: some Encodable, _ lines: [String]) throws {
        if json { try Console.printJSON(report) } else { for line in lines { Console.print(line) } }
        if !acts { Console.error("nothing was changed" + (isDryRun ? "" : "; --yes does it")) }
    }
}

/// `onewrite rebuild log`.
struct RebuildLogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Make the log in Redis anew after Redis lost everything, or another Redis takes its place.",
        discussion: """
            Examples:
              onewrite rebuild log --deliveries-since 2026-11-29T08:00:00Z
              onewrite rebuild log --no-deliveries --yes

            From the ledger come the log's head, its last entry and those whose jobs are wanted, the positions, the stock, and the \
            IDs of the idempotency window, so that what is submitted again is known again. Entries that Postgres had not applied \
            are gone: whoever submitted them has to submit them again. The jobs of which orders the delivery service shall get \
            again is for you to say; it deduplicates by shop, order and job. Partitions that are there are left as they are.

            Groups of one's own: before their workers start, onewrite group add NAME --from start, also for one that began from \
            now. Their stores know how far they are.
            """)

    @Option(
        help: ArgumentHelp(
            "Make the jobs again of what was appended since: a moment (2026-11-29T08:00:00Z), or a duration before now (2h).",
            valueName: "time"))
    var deliveriesSince: String?

    @Flag(help: "Make no job again: the delivery service has had them all.")
    var noDeliveries = false

    @OptionGroup var rebuild: RebuildOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard noDeliveries == (deliveriesSince == nil) else {
            throw ValidationError("which jobs shall be made again? Say --deliveries-since TIME, or --no-deliveries")
        }
        if let deliveriesSince, Self.moment(deliveriesSince) == nil {
            throw ValidationError(
                "--deliveries-since: expected a moment like 2026-11-29T08:00:00Z, or a duration like 2h, got "
                    + FieldError.quote(deliveriesSince))
        }
    }

    static func moment(_ text: String) -> Date? {
        if let age = Duration(text: text) { return Date(timeIntervalSinceNow: -(age / .seconds(1))) }
        do { return try Date(text, strategy: .iso8601) } catch { return nil }
    }

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-rebuild")
        let jobs = deliveriesSince.flatMap(Self.moment).map { LogRebuild.Jobs.since($0) } ?? .none
        let window = try settings.window()
        try settings.sayWhere()
        let acts = rebuild.acts
        let rows = try await StopRequest.endingLane(saying: "stopping; run it again to go on") { interrupt in
            var patience = Patience(interrupt: interrupt)
            let log = try patience.attempt { try LogRebuild(servers, interrupt: interrupt) }
            var rows = try await log.plan(jobs, window: window)
            guard acts else { return rows }
            try log.establish()
            for index in rows.indices {
                let row = rows[index]
                rows[index] = try await log.run(row) { seq in
                    if interrupt.isSignalled { throw CancellationError() }
                    ProgressLine.say("partition \(row.partition) of \(rows.count): stock at seq \(seq) of \(row.last)")
                }
            }
            return rows
        }
        let report = RebuildReport(log: rows)
        try rebuild.show(report, report.lines)
        let closed = rows.filter { $0.opened?.state == .halted }.count
        if closed > 0 { throw Failure(.tryAgain, "\(closed) of \(rows.count) partitions are not open: see above") }
    }
}

/// `onewrite rebuild stock`.
struct RebuildStockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stock",
        abstract: "Make the stock counters in Redis anew from the ledger.",
        discussion: """
            Examples:
              onewrite rebuild stock
              onewrite rebuild stock --shop main --yes

            The counters are made beside those in use, and put in their place with the position that they are of, in one step. \
            What was applied since then is applied again at once. A partition is rebuilt as a whole, with all its shops.
            """)

    @Option(help: ArgumentHelp("Only the partition that holds this shop.", valueName: "shop"))
    var shop: String?

    @OptionGroup var rebuild: RebuildOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-rebuild")
        try settings.sayWhere()
        let acts = rebuild.acts
        let rows = try await StopRequest.endingLane(saying: "stopping; run it again to go on") { [shop] interrupt in
            var patience = Patience(interrupt: interrupt)
            let stock = try patience.attempt { try StockRebuild(servers, interrupt: interrupt) }
            var rows = try await stock.plan(only: shop.map { stock.partition(ofShop: $0) })
            guard acts else { return rows }
            for index in rows.indices {
                let row = rows[index]
                rows[index] = try await stock.run(row) { seq in
                    if interrupt.isSignalled { throw CancellationError() }
                    ProgressLine.say("partition \(row.partition): at seq \(seq) of \(row.ledger)")
                }
            }
            return rows
        }
        let report = RebuildReport(stock: rows)
        try rebuild.show(report, report.lines)
        if rows.contains(where: { $0.refusal != nil }) { throw Failure(.tryAgain, "") }
    }
}
