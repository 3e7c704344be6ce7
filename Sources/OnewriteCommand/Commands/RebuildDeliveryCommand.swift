import ArgumentParser
import Connections
import Foundation
import OrderLog
import ThreadedIO
import Upkeep

/// `onewrite rebuild delivery`.
struct RebuildDeliveryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delivery",
        abstract: "Put delivery jobs into their list again.",
        discussion: """
            Examples:
              onewrite rebuild delivery --since 2h
              onewrite rebuild delivery --shop main --order ord-1001 --order ord-1002 --yes
              onewrite rebuild delivery --shop main --orders without-answer.txt --yes

            Which jobs the delivery service has taken and lost only the service can say: name the orders for which it has no \
            answer, or the time that is in doubt. It is given each of these jobs once more, in the log's order, and deduplicates \
            by shop, order and job. Jobs that wait in the list still are left as they are.
            """)

    @Option(
        help: ArgumentHelp(
            "Of what was appended since: a moment (2026-11-29T08:00:00Z), or a duration before now (2h).",
            valueName: "time"))
    var since: String?

    @Option(help: ArgumentHelp("With --since: and before this.", valueName: "time"))
    var until: String?

    @Option(name: .customLong("order"), help: ArgumentHelp("Of this order; repeats.", valueName: "ID"))
    var orders: [String] = []

    @Option(
        name: .customLong("orders"), help: ArgumentHelp("Of the orders in this file, an ID a line.", valueName: "file"),
        completion: .file())
    var file: String?

    @Option(help: "The orders' shop.")
    var shop: String?

    @OptionGroup var rebuild: RebuildOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        let namesOrders = !orders.isEmpty || file != nil
        guard namesOrders == (since == nil) else {
            throw ValidationError("whose jobs? Say --since TIME, or --shop with --order ID or --orders FILE")
        }
        guard namesOrders == (shop != nil) else {
            throw ValidationError("--shop goes with --order and --orders, and they need it")
        }
        if until != nil, since == nil { throw ValidationError("--until goes with --since") }
        for (name, text) in [("--since", since), ("--until", until)] {
            guard let text, RebuildLogCommand.moment(text) == nil else { continue }
            throw ValidationError(
                "\(name): expected a moment like 2026-11-29T08:00:00Z, or a duration like 2h, got \(FieldError.quote(text))"
            )
        }
    }

    private func choice() throws -> DeliveryRebuild.Choice {
        if let since = since.flatMap(RebuildLogCommand.moment) {
            return .appended(since: since, before: until.flatMap(RebuildLogCommand.moment))
        }
        var ids = orders
        if let file {
            guard let data = FileManager.default.contents(atPath: file) else {
                throw Failure(.noInput, "\(file) can't be read")
            }
            ids += String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline)
                .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        }
        return .orders(shop: shop ?? "", ids: ids)
    }

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-rebuild")
        let choice = try choice()
        try settings.sayWhere()
        let acts = rebuild.acts
        let rows = try await StopRequest.endingLane(saying: "stopping; run it again to go on") { interrupt in
            var patience = Patience(interrupt: interrupt)
            let delivery = try patience.attempt { try DeliveryRebuild(servers, choice, interrupt: interrupt) }
            var rows = try await delivery.plan()
            guard acts else { return rows }
            for index in rows.indices {
                let row = rows[index]
                rows[index] = try await delivery.run(row) { made in
                    if interrupt.isSignalled { throw CancellationError() }
                    ProgressLine.say("partition \(row.partition): \(made) of \(row.jobs) jobs")
                }
            }
            return rows
        }
        let report = RebuildReport(delivery: rows)
        try rebuild.show(report, report.lines)
        if rows.contains(where: { $0.refusal != nil }) { throw Failure(.tryAgain, "") }
        if rows.allSatisfy({ $0.jobs + $0.waiting == 0 }) { throw Failure(.no, "there are no such jobs") }
    }
}
