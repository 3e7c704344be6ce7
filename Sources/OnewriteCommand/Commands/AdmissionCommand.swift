import ArgumentParser
import Connections
import Dashboard
import Inspection
import OrderLog
import RedisLog
import Reports
import ThreadedIO
import Upkeep

/// `onewrite admission`.
struct AdmissionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admission",
        abstract: "Take a shop's orders only as far as its stock covers them.",
        discussion: """
            Examples:
              onewrite admission on main
              onewrite admission show main TEA-250

            With it on, an order of which any line isn't covered is refused when it is submitted: it does not come into the log, and \
            may be taken later, under the same ID. What may be sold is stock as it will be when all that is in the log is applied; \
            audit proves it, and repair mends it.
            """,
        subcommands: [On.self, Off.self, Show.self])

    /// `onewrite admission on`.
    struct On: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Refuse orders that stock doesn't cover.",
            discussion: """
                Example:
                  onewrite admission on main

                First what may be sold is counted, while orders come in; from then on they are refused. For that the group stock must \
                be near the log's end. If that takes longer than --timeout, its workers end it. Every program that submits has to be \
                of this version: one that knows no admission appends without looking.
                """)

        @OptionGroup var turn: TurnOptions

        func run() async throws { try await turn.run(true) }
    }

    /// `onewrite admission off`.
    struct Off: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take every order again, also those that stock doesn't cover.",
            discussion: """
                Example:
                  onewrite admission off main
                """)

        @OptionGroup var turn: TurnOptions

        func run() async throws { try await turn.run(false) }
    }

    /// `onewrite admission show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Which shops have it, and what one of them may sell.",
            discussion: """
                Examples:
                  onewrite admission show
                  onewrite admission show main TEA-250
                """)

        @Argument(help: ArgumentHelp("The shop (default: all, without their SKUs).", valueName: "SHOP"))
        var shop: String?

        @Argument(help: ArgumentHelp("The SKUs to show (default: all).", valueName: "SKU"))
        var skus: [String] = []

        @Flag(help: "Print one JSON object (onewrite/admission/v1).")
        var json = false

        @OptionGroup var common: CommonOptions

        func run() async throws {
            let shop = try shop.map(AdmissionCommand.name)
            let servers = try Servers(try common.settings(), name: "onewrite-admission")
            let report = try await CommandLane().run { [skus] _ in
                var patience = Patience()
                return try patience.attempt { try AdmissionReport(shop: shop, skus: skus, servers) }
            }
            if json { try Console.printJSON(report) } else { Console.print(report.text) }
        }
    }

    /// What turning it on and off share.
    struct TurnOptions: ParsableArguments {
        @Argument(help: ArgumentHelp("The shop.", valueName: "SHOP"))
        var shop: String

        @OptionGroup var common: CommonOptions

        func run(_ isOn: Bool) async throws {
            let shop = try AdmissionCommand.name(shop)
            let settings = try common.settings()
            let servers = try Servers(settings, name: "onewrite-admission")
            let timeout = servers.configuration.timeout
            try settings.sayWhere()
            try await StopRequest.endingLane(saying: "stopping; a worker of group stock goes on") { interrupt in
                var patience = Patience(interrupt: interrupt)
                let admission = try patience.attempt { try AdmissionSwitch(servers, interrupt: interrupt) }
                try admission.turn(isOn, shop, until: .after(timeout)) { ProgressLine.say($0) }
            }
            Console.print("admission of shop \(sanitized(shop)) is \(isOn ? "on" : "off")")
        }
    }

    /// A shop's name, in normal form.
    private static func name(_ text: String) throws -> String {
        try Change(
            flags: ChangeDraft(
                type: Change.Kind.stockCounted.rawValue, id: "-", shop: text, lines: .items([("-", "0")]))
        ).shop
    }
}

extension AdmissionReport {
    /// Shops a line each, and a line for each SKU of the one that was asked for.
    var text: String {
        guard let skus else {
            if shops.isEmpty { return "no shop has admission on" }
            return shops.map { "\(sanitized($0.shop))  \($0.state.rawValue)" }.joined(separator: "\n")
        }
        let shop = shops.first
        let state = "admission of shop \(sanitized(shop?.shop ?? "")) is \(shop?.state.rawValue ?? "off")"
        guard shop?.state != .off else { return state }
        guard !skus.isEmpty else { return state + "; nothing may be sold: it has no stock" }
        let header = ["SKU", "AVAILABLE", "ON HAND"]
        let cells = skus.map { row in
            [
                sanitized(row.sku), row.available.map(FieldError.spaced) ?? "?",
                row.onHand.map(FieldError.spaced) ?? "?",
            ]
        }
        let widths = header.indices.map { column in ([header] + cells).map { $0[column].count }.max() ?? 0 }
        let lines = ([header] + cells).map { cells in
            cells.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - cells[column].count)
                return column == 0 ? cells[column] + padding : padding + cells[column]
            }.joined(separator: "  ")
        }
        return ([state] + lines).joined(separator: "\n")
    }
}
