import ArgumentParser
import Foundation
import OrderLog

/// `onewrite stock`.
struct StockCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stock",
        abstract: "Set, add, or read a shop's stock.",
        discussion: """
            Examples:
              onewrite stock count --shop main TEA-250:40 MUG-1:12
              onewrite stock receive --shop main TEA-250:100
              onewrite stock show --shop main
            """,
        subcommands: [Count.self, Receive.self, Show.self])

    /// `onewrite stock count`.
    struct Count: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Append a count: the stock of these SKUs is this.",
            discussion: """
                Example:
                  onewrite stock count --shop main TEA-250:40 MUG-1:12
                """)

        @OptionGroup var change: StockChange

        func run() async throws { try await change.submit(.stockCounted) }
    }

    /// `onewrite stock receive`.
    struct Receive: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Append goods that came in: the stock of these SKUs grows.",
            discussion: """
                Example:
                  onewrite stock receive --shop main TEA-250:100 --id delivery-note-4711
                """)

        @OptionGroup var change: StockChange

        func run() async throws { try await change.submit(.stockReceived) }
    }
}

/// What `stock count` and `stock receive` take.
struct StockChange: ParsableArguments {
    @Argument(
        help: ArgumentHelp("What was counted, or came in.", valueName: "SKU:quantity"), transform: ItemArgument.init)
    var items: [ItemArgument]

    @Option(help: "The shop.")
    var shop: String

    @Option(help: "The change's ID, which makes submitting it again harmless (default: made up, and printed).")
    var id: String?

    @OptionGroup var options: SubmitOptions

    func submit(_ kind: Change.Kind) async throws {
        let draft = ChangeDraft(
            type: kind.rawValue, id: id ?? "\(kind.rawValue)-\(UUID().uuidString.lowercased())", shop: shop,
            lines: .items(items.map(\.item)))
        try await options.submit(try Change(flags: draft), to: try await options.servers(name: "onewrite-stock"))
    }
}
