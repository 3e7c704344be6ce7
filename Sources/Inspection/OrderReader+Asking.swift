package import Connections
import OrderLog
import PostgresClient
import RedisLog
import Reports

extension OrderReader {
    /// Connects; without Postgres when that is away, since Redis alone can still tell much.
    ///
    /// - Parameters:
    ///   - servers: Where.
    ///   - isSchemaNeeded: Whether a schema that is missing, or of another log, is refused.
    ///   - progress: Takes what it is at.
    /// - Throws: ``LogError`` or the servers' errors.
    package init(
        _ servers: Servers, isSchemaNeeded: Bool = false, progress: @escaping (String) -> Void = { _ in }
    ) throws {
        let redis = try servers.redis()
        let identity = try servers.identity(redis)
        var ledger: OrderLedger?
        var trouble: String?
        do {
            if let postgres = try servers.postgres() {
                if isSchemaNeeded { try Servers.requireSchema(of: identity, on: postgres) }
                ledger = OrderLedger(postgres: postgres)
            } else {
                trouble = "none is configured"
            }
        } catch let error as PostgresError where error.isAboutTheServer {
            trouble = "\(error)"
        }
        self.init(
            redis: redis, keys: servers.keys, partitioning: identity.partitioning, ledger: ledger,
            ledgerTrouble: trouble, groups: try redis.groups(servers.keys), progress: progress)
    }

    /// Follows an order that has to be there.
    ///
    /// - Parameters:
    ///   - id: The order's.
    ///   - shop: Whose it is; nil where there is just one shop that has it.
    /// - Returns: Its way.
    /// - Throws: ``LogError`` when there is none; ``WrongQuestion`` when several shops have one; the servers' errors.
    package func trail(of id: String, inShop shop: String?) throws -> OrderTrail {
        let shop = try shop ?? onlyShop(of: id)
        if let trail = try trail(of: id, ofShop: shop) { return trail }
        throw LogError(.no, "\(id) of shop \(shop) is no order that Postgres has, nor one that Redis remembers")
    }

    /// The shop of the order, when there is just one.
    private func onlyShop(of id: String) throws -> String {
        let shops =
            try ledger?.shops(ofOrder: id)
            ?? LogSearch(redis: redis, keys: keys, progress: progress)
            .entries(of: id, .orderPlaced, in: partitioning.all).map(\.shop)
        guard let first = shops.first else {
            if let trouble = ledgerTrouble {
                throw LogError(.unreachable, "\(id) is not in the log, and Postgres can't tell: \(trouble)")
            }
            throw LogError(.no, "Postgres has no order \(id). One that is not applied yet is found with --shop")
        }
        guard shops.count == 1 else {
            let names = shops.prefix(OrderLedger.shopsMax).map(sanitized).joined(separator: " ")
            let more = shops.count > OrderLedger.shopsMax ? " …" : ""
            throw WrongQuestion("several shops have an order \(id): \(names)\(more). Say which with --shop")
        }
        return first
    }
}
