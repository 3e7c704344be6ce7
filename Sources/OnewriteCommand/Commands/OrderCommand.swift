import Reports
import Connections
import ArgumentParser
import Dashboard
import Foundation
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import ThreadedIO

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
            guard Limits.identifierBytes.contains(text.utf8.count), text.utf8.allSatisfy(Alphabet.identifier.contains)
            else {
                throw ValidationError(
                    "\(name): expected 1 to \(Limits.identifierBytes.upperBound) of A-Z a-z 0-9 . _ : / -, got "
                        + FieldError.quote(text))
            }
        }
    }

    func run() async throws {
        let servers = try Servers(try common.settings(), name: "onewrite-order")
        let trail = try await CommandLane().run { [id, shop] _ in
            var patience = Patience()
            return try patience.attempt { try Self.trail(id, shop, servers) }
        }
        if json {
            try Console.printJSON(trail)
        } else {
            Console.write(trail.text, to: STDOUT_FILENO)
        }
    }

    private static func trail(_ id: String, _ shop: String?, _ servers: Servers) throws -> OrderTrail {
        let redis = try servers.redis()
        let identity = try servers.identity(redis)
        var ledger: OrderLedger?
        var trouble: String?
        do {
            ledger = try servers.postgres().map(OrderLedger.init)
            if ledger == nil { trouble = "none is configured" }
        } catch let error as PostgresError where error.isAboutTheServer {
            // Redis alone can still tell much.
            trouble = "\(error)"
        }
        let shop = try shop ?? onlyShop(of: id, ledger, trouble, redis, servers.keys, identity.partitioning)
        let reader = OrderReader(
            redis: redis, keys: servers.keys, partitioning: identity.partitioning, ledger: ledger,
            ledgerTrouble: trouble)
        if let trail = try reader.trail(of: id, ofShop: shop) { return trail }
        throw Failure(.no, "\(id) of shop \(shop) is no order that Postgres has, nor one that Redis remembers")
    }

    /// The shop of the order, when there is just one.
    private static func onlyShop(
        of id: String, _ ledger: OrderLedger?, _ trouble: String?, _ redis: RedisConnection, _ keys: Keys,
        _ partitioning: Partitioning
    ) throws -> String {
        let shops =
            try ledger?.shops(ofOrder: id)
            ?? LogSearch(redis: redis, keys: keys).entries(of: id, .orderPlaced, in: partitioning.all).map(\.shop)
        guard let first = shops.first else {
            if let trouble {
                throw Failure(.unreachable, "\(id) is not in the log, and Postgres can't tell: \(trouble)")
            }
            throw Failure(.no, "Postgres has no order \(id). One that is not applied yet is found with --shop")
        }
        guard shops.count == 1 else {
            let names = shops.prefix(OrderLedger.shopsMax).map(sanitized).joined(separator: " ")
            let more = shops.count > OrderLedger.shopsMax ? " …" : ""
            throw Failure(.usage, "several shops have an order \(id): \(names)\(more). Say which with --shop")
        }
        return first
    }
}
