import ArgumentParser
import Connections
import Dashboard
import Foundation
import Inspection
import OrderLog
import Reports

/// `onewrite order`.
struct OrderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "order",
        abstract: "One order's way through the log and every sink.",
        discussion: """
            Example:
              onewrite order ord-1001 --shop main

            Without --shop, Postgres is searched for the order; one that is not applied there yet needs its shop. Where Postgres \
            doesn't answer, the log itself is looked through, and what only Postgres could tell is ?.
            """)

    @Argument(help: "The order's ID.")
    var id: String

    @Option(help: "The shop that it belongs to.")
    var shop: String?

    @Flag(help: "One JSON object (onewrite/order/v1).")
    var json = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        for (name, text) in [("ID", id)] + (shop.map { [("--shop", $0)] } ?? []) {
            guard text.isName else {
                throw ValidationError("\(name): expected \(NameRule.text), got \(FieldError.quote(text))")
            }
        }
    }

    func run() async throws {
        let servers = try Servers(try common.settings(), name: "onewrite-order")
        let trail = try await CommandLane().run { [id, shop] _ in
            var patience = Patience()
            return try patience.attempt {
                try OrderReader(servers, progress: { ProgressLine.say($0) }).trail(of: id, inShop: shop)
            }
        }
        if json {
            try Console.printJSON(trail)
        } else {
            Console.write(trail.text, to: STDOUT_FILENO)
        }
    }
}
