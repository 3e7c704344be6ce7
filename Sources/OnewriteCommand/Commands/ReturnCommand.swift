import ArgumentParser
import Connections
import Inspection
import OrderLog
import Reports
import Submission
import ThreadedIO

/// `onewrite return`.
struct ReturnCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "return",
        abstract: "Append that a part of an order, or all of it, came back.",
        discussion: """
            Examples:
              onewrite return ord-1001 --shop main --line TEA-250:1
              onewrite return ord-1001 --shop main --line MUG-1:1 --number 2

            The lines go back to the stock, and the delivery service gets a job "return". An order may come back in parts: its \
            returns are numbered, and the same number again is the same return, so one that may have failed is submitted again as \
            it is. No more can come back than was ordered, and nothing of an order that is cancelled.

            Exit codes: 1 there is no such order, or it is cancelled; 65 the order has not so much left; 75 nobody who knows can \
            be asked now.
            """)

    @Argument(help: "The order's ID.")
    var order: String

    @Option(help: "The order's shop.")
    var shop: String

    @Option(
        name: .customLong("line"),
        help: ArgumentHelp("What came back; repeat it.", valueName: "SKU:quantity"), transform: ItemArgument.init)
    var lines: [ItemArgument] = []

    @Option(help: ArgumentHelp("The how manieth return of this order it is.", valueName: "N"))
    var number = 1

    @Flag(help: "Append it whatever the order is, and whether or not there is one.")
    var force = false

    @OptionGroup var options: SubmitOptions

    func validate() throws {
        if lines.isEmpty { throw ValidationError("--line: say what came back, as SKU:quantity") }
        guard Limits.returnNumber.contains(number) else {
            throw ValidationError("--number: expected 1 to \(Limits.returnNumber.upperBound), got \(number)")
        }
    }

    func run() async throws {
        let servers = try await options.servers(name: "onewrite-return")
        let change = try Change(
            flags: ChangeDraft(
                type: Change.Kind.orderReturned.rawValue, id: Change.returnID(number, of: order), shop: shop,
                order: order, lines: .items(lines.map(\.item))))
        if !force {
            let (standing, isKnown) = try await CommandLane().run { _ in
                var patience = Patience(servers.configuration.timeout, for: .allServers)
                return try patience.attempt { try look(change, servers) }
            }
            // What is there already is a duplicate, or a conflict: the log says which.
            if !isKnown { try check(change, standing) }
        }
        try await options.submit(change, to: servers)
    }

    private func look(_ change: Change, _ servers: Servers) throws -> (OrderReader.Standing, isKnown: Bool) {
        let reader = try OrderReader(servers, isSchemaNeeded: true, progress: { ProgressLine.say($0) })
        let name = NameEncoding.windowName(shop: change.shop, id: change.id)
        let known = try reader.seen(name, reader.partitioning.partition(ofShop: change.shop))
        return (try reader.standing(of: change.order ?? "", ofShop: change.shop), known != nil)
    }

    private func check(_ change: Change, _ standing: OrderReader.Standing) throws {
        switch standing {
        case .placed(let ordered, let returned):
            for line in change.lines.items {
                let had = ordered.first { $0.sku.hasSameBytes(as: line.sku) }?.quantity ?? 0
                let back = returned.first { $0.sku.hasSameBytes(as: line.sku) }?.quantity ?? 0
                if line.quantity > had - back {
                    throw Failure(
                        .badRows,
                        "\(sanitized(line.sku)): \(line.quantity) can't come back: order \(order) of shop \(shop) has \(had) of it"
                            + (back > 0 ? ", and \(back) came back already" : "") + ". --force appends it all the same")
                }
            }
        case .cancelled:
            throw Failure(.no, "order \(order) of shop \(shop) is cancelled: all of it was given back already")
        case .noOrder, .absent, .unknown:
            throw standing.refusal(order: order, shop: shop).flatMap { Failure($0.adding("")) }
                ?? Failure(.bug, "\(standing)")
        }
    }
}
