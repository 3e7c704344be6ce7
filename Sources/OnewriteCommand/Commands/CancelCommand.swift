import ArgumentParser
import Connections
import Dashboard
import Inspection
import OrderLog
import PostgresClient
import RedisLog
import Reports
import Sinks
import Submission
import ThreadedIO

/// `onewrite cancel`.
struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Append a cancellation of an order.",
        discussion: """
            Example:
              onewrite cancel ord-1001 --shop main

            A cancellation carries the order's own lines, which every sink gives back. They are taken from Postgres, or from \
            the log where Postgres has not applied the order yet. Lines given with --line have to be those.

            Exit codes: 1 there is no such order; 65 the lines are not the order's; 75 nobody who knows can be asked now.
            """)

    @Argument(help: "The order's ID.")
    var order: String

    @Option(help: "The order's shop.")
    var shop: String

    @Option(
        name: .customLong("line"),
        help: ArgumentHelp("A line of the order; repeat it (default: the order's own).", valueName: "SKU:quantity"),
        transform: ItemArgument.init)
    var lines: [ItemArgument] = []

    @Flag(help: "Cancel with these lines, whatever the order is, and whether or not there is one.")
    var force = false

    @OptionGroup var options: SubmitOptions

    func validate() throws {
        if force, lines.isEmpty { throw ValidationError("--force: say by --line what is to be given back") }
    }

    func run() async throws {
        let servers = try await options.servers(name: "onewrite-cancel")
        // Looks at the ID, the shop and the lines before they are looked for.
        let given = try change(lines.isEmpty ? [("-", "1")] : lines.map(\.item))
        let wanted = lines.isEmpty ? nil : OrderReader.sorted(given.lines.items)
        if force, let wanted { return try await options.submit(try change(of: wanted), to: servers) }
        let standing = try await CommandLane().run { _ in
            var patience = Patience(servers.configuration.timeout, for: .allServers)
            return try patience.attempt { try look(servers) }
        }
        switch standing {
        case .placed(_, let returned) where !returned.isEmpty: throw refusal(of: standing)
        case .placed(let lines, _):
            try compare(wanted, with: lines)
            try await options.submit(try change(of: lines), to: servers)
        case .cancelled(let lines, let partition, let place):
            try compare(wanted, with: lines)
            try show(place, in: partition, of: given, servers)
        case .noOrder: throw refusal(of: standing)
        case .absent:
            throw refusal(of: standing, wanted == nil ? "" : ". --force appends the cancellation all the same")
        case .unknown: throw refusal(of: standing, wanted == nil ? "" : ", or append it unseen with --force")
        }
    }

    private func refusal(of standing: OrderReader.Standing, _ hint: String = "") -> Failure {
        standing.refusal(order: order, shop: shop).flatMap { Failure($0.adding(hint)) } ?? Failure(.bug, "\(standing)")
    }

    /// Refuses lines that somebody typed and that are not the order's.
    private func compare(_ wanted: [Line]?, with lines: [Line]) throws {
        guard let wanted, wanted != lines else { return }
        throw Failure(
            .badRows,
            "order \(order) of shop \(shop) has the lines \(Self.text(lines)), not \(Self.text(wanted)). Leave --line out "
                + "to cancel it as it is; --force gives back what you say, and the stock is then off by the difference")
    }

    private static func text(_ lines: [Line]) -> String {
        lines.map { "\(sanitized($0.sku)):\($0.quantity)" }.joined(separator: " ")
    }

    private func change(of lines: [Line]) throws -> Change {
        try change(lines.map { ($0.sku, String($0.quantity)) })
    }

    private func change(_ items: [ChangeDraft.Item]) throws -> Change {
        try Change(
            flags: ChangeDraft(
                type: Change.Kind.orderCancelled.rawValue, shop: shop, order: order, lines: .items(items)))
    }

    private func look(_ servers: Servers) throws -> OrderReader.Standing {
        try OrderReader(servers, isSchemaNeeded: true, progress: { ProgressLine.say($0) })
            .standing(of: order.inNormalForm, ofShop: shop.inNormalForm)
    }

    /// Says that the order is cancelled already: beyond the idempotency window the log would take it twice.
    private func show(
        _ place: OrderTrail.LogPlace?, in partition: Partition, of change: Change, _ servers: Servers
    ) throws {
        guard let place, let entry = EntryID(place.entry), let epoch = place.epoch else {
            throw Failure(.no, "order \(order) of shop \(shop) is cancelled, but the ledger has no entry that did it")
        }
        let result = Appender.Result(outcome: .duplicate, seq: Seq(Int64(place.seq)), entry: entry)
        // Postgres has it, which is what the level `applied` means, whichever was asked for.
        let durability: Durability? = servers.configuration.durability == .server ? nil : .applied
        try options.show(
            RowReceipt(
                line: nil, id: change.id, shop: shop, input: nil,
                outcome: .answered(result, in: partition, epoch: Epoch(Int64(epoch))), durability: durability))
    }
}
