import PostgresClient
import RedisClient

/// Connections to a shop's servers for one thread, made when first needed, and again when the server ended them.
final class ShopConnections {
    private let shop: Shop
    private var openRedis: RedisConnection?
    private var openPostgres: PostgresConnection?

    init(_ shop: Shop) {
        self.shop = shop
    }

    /// Has the next use connect anew: a cluster's connection tells only the next one who asks that a node went away.
    func renew() { (openRedis, openPostgres) = (nil, nil) }

    func redis() throws -> RedisConnection {
        if let openRedis, openRedis.isUsable { return openRedis }
        let made = try shop.redis()
        openRedis = made
        return made
    }

    func postgres() throws -> PostgresConnection {
        if let openPostgres, openPostgres.isUsable { return openPostgres }
        let made = try shop.postgres()
        openPostgres = made
        return made
    }
}
