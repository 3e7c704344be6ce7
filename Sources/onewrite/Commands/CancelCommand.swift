import ArgumentParser
import OrderLog
import PostgresClient
import RedisLog
import Sinks
import ThreadedIO

/// `onewrite cancel`.
struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Append a cancellation of an order.",
        discussion: """
            Example:
              onewrite cancel ord-1001 --shop main

            A cancellation carries the order's own lines. They are taken from Postgres, once it has applied the order; before \
            that, give them with --line.
            """)

    @Argument(help: "The order's ID.")
    var order: String

    @Option(help: "The order's shop.")
    var shop: String

    @Option(
        name: .customLong("line"),
        help: ArgumentHelp("A line of the order; repeat it (default: as in Postgres).", valueName: "SKU:quantity"),
        transform: ItemArgument.init)
    var lines: [ItemArgument] = []

    @OptionGroup var options: SubmitOptions

    func run() async throws {
        let servers = try await options.servers(name: "onewrite-cancel")
        // Looks at the ID and the shop before they are looked for.
        _ = try change([("-", "1")])
        var items = lines.map(\.item)
        if items.isEmpty {
            let found = try await CommandLane().run { _ in
                var patience = Patience(try servers.settings.timeout(), for: .allServers)
                return try patience.attempt { try look(servers) }
            }
            switch found {
            case .placed(let lines): items = lines.map { ($0.sku, $0.quantity) }
            case .cancelled(let result, let partition, let epoch):
                // Beyond the idempotency window the log would take the cancellation twice.
                let id = try change([("-", "1")]).id
                let outcome = Receipt.Outcome.answered(result, in: partition, epoch: epoch)
                // Postgres has it, which is what the level `applied` means, whichever was asked for.
                let durability: Durability? = try servers.settings.durability() == .server ? nil : .applied
                return try options.show(
                    Receipt(
                        line: nil, id: id, shop: shop, input: nil, outcome: outcome, durability: durability))
            }
        }
        try await options.submit(try change(items), to: servers)
    }

    private func change(_ items: [ChangeDraft.Item]) throws -> Change {
        try Change(
            flags: ChangeDraft(
                type: Change.Kind.orderCancelled.rawValue, shop: shop, order: order, lines: .items(items)))
    }

    /// An order, as Postgres has it.
    private enum Found: Sendable {
        case placed([(sku: String, quantity: String)])
        /// With the place of its cancellation.
        case cancelled(Appender.Result, Partition, Epoch)
    }

    private func look(_ servers: Servers) throws -> Found {
        let postgres = try servers.requiredPostgres()
        let identity = try servers.identity(try servers.redis())
        guard try PostgresSchema.identity(on: postgres) == identity else {
            throw Failure(
                .badConfiguration,
                "the schema in Postgres is missing, or of another log than Redis's. Run: onewrite init")
        }
        let rows = try postgres.query(
            """
            SELECT status, sku, quantity FROM orders JOIN order_lines
            ON order_lines.shop = orders.shop AND order_id = orders.id
            WHERE orders.shop = $1 AND orders.id = $2 ORDER BY sku COLLATE "C"
            """, [.text(shop), .text(order)], until: .after(StreamLog.timeout))
        guard let first = rows.first else {
            throw Failure(
                .no,
                "order \(order) of shop \(shop) is not in Postgres: it is not applied yet, or there is none. Try again "
                    + "later, or give its lines with --line")
        }
        if try first.requireString(0) == "placed" {
            return .placed(try rows.map { (try $0.requireString(1), try $0.requireString(2)) })
        }
        let entries = try postgres.query(
            """
            SELECT l.partition, l.seq, l.epoch, l.entry FROM orders AS o JOIN ledger AS l
            ON l.partition = o.partition AND l.shop = o.shop AND l.order_id = o.id
            WHERE o.shop = $1 AND o.id = $2 ORDER BY l.seq LIMIT 1
            """, [.text(shop), .text(order)], until: .after(PostgresSink.timeout))
        guard let row = entries.first, let entry = EntryID(try row.requireString(3)) else {
            throw Failure(.no, "order \(order) of shop \(shop) is cancelled, but the ledger has no entry that did it")
        }
        return .cancelled(
            Appender.Result(outcome: .duplicate, seq: Seq(try row.requireInt64(1)), entry: entry),
            Partition(Int(try row.requireInt64(0))), Epoch(try row.requireInt64(2)))
    }
}
