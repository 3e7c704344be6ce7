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
            Example: onewrite cancel ord-1001 --shop main

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
            items = try await CommandLane().run { _ in try placed(servers) }
        }
        try await options.submit(try change(items), to: servers)
    }

    private func change(_ items: [ChangeDraft.Item]) throws -> Change {
        try Change(
            flags: ChangeDraft(
                type: Change.Kind.orderCancelled.rawValue, shop: shop, order: order, lines: .items(items)))
    }

    /// The order's lines as Postgres has them.
    private func placed(_ servers: Servers) throws -> [ChangeDraft.Item] {
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
        // Beyond the idempotency window the log would take the cancellation twice.
        guard try first.requireString(0) == "placed" else {
            throw Failure(.no, "order \(order) of shop \(shop) is cancelled already")
        }
        return try rows.map { (try $0.requireString(1), try $0.requireString(2)) }
    }
}
