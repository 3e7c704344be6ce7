package import Harness
import PostgresClient
import RedisClient
import ThreadedIO

/// Two clients set the same stock count at the same moment, each in Postgres and then in Redis: round after round.
package enum CountRace {
    /// In the demo.
    package static let rounds = 200
    /// The shop whose counts are set; nothing else is in it.
    package static let shop = "race"

    static func sku(_ round: Int) -> String { "SKU-\(round)" }

    /// The same through Onewrite: what each of the two clients submits.
    ///
    /// - Parameters:
    ///   - client: 0 or 1.
    ///   - rounds: How many counts.
    /// - Returns: A count a round, each of another SKU.
    package static func changes(ofClient client: Int, rounds: Int = rounds) -> [PlannedChange] {
        (0..<rounds).map { round in
            PlannedChange(
                kind: .counted, id: "count-\(client)-\(round)", shop: shop,
                lines: [PlannedChange.Line(sku: sku(round), quantity: Int64(2 * round + client))])
        }
    }

    /// Runs the naive clients.
    ///
    /// - Parameters:
    ///   - servers: Where ``DualWrite``'s tables are.
    ///   - seed: Of the pauses between their writes.
    ///   - rounds: How many counts each sets.
    /// - Returns: In how many rounds the stores ended with different counts.
    /// - Throws: `RedisError`, `PostgresError`.
    package static func runNaively(on servers: Shop, seed: UInt64, rounds: Int = rounds) async throws -> Int {
        let clients = [NaiveClient(servers, seed: seed), NaiveClient(servers, seed: seed &+ 1)]
        for round in 0..<rounds {
            try await withThrowingTaskGroup { tasks in
                for (number, client) in clients.enumerated() {
                    tasks.addTask { try await client.set(sku(round), to: Int64(2 * round + number)) }
                }
                try await tasks.waitForAll()
            }
        }
        return try await clients[0].countDifferences()
    }
}

/// A client that sets a stock count in two stores, one after another.
private actor NaiveClient {
    private static let key = "naive:counts"

    private let executor = ThreadExecutor(name: "naive")
    private let servers: Shop
    private var generator: SeededGenerator
    private var connections: (redis: RedisConnection, postgres: PostgresConnection)?

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ servers: Shop, seed: UInt64) {
        self.servers = servers
        generator = SeededGenerator(seed: seed)
    }

    func set(_ sku: String, to count: Int64) throws {
        let (redis, postgres) = try connected()
        try postgres.query(Self.upsert, [.text(sku), .integer(count)], until: limit)
        // What a network, a garbage collector or a busy machine takes.
        Interrupt().wait(until: .after(.microseconds(Int.random(in: 0...2000, using: &generator))))
        try redis.call(RedisCommand("HSET", Self.key, sku, count), until: limit)
    }

    func countDifferences() throws -> Int {
        let (redis, postgres) = try connected()
        let rows = try postgres.query("SELECT sku, on_hand FROM stock", until: limit)
        let counts = try redis.call(RedisCommand("HGETALL", Self.key), until: limit)
        return try rows.count { try counts.field($0.requireString(0))?.string != $0.string(1) }
    }

    private static let upsert = """
        INSERT INTO stock (sku, on_hand) VALUES ($1, $2) ON CONFLICT (sku) DO UPDATE SET on_hand = excluded.on_hand
        """

    private var limit: Deadline { .after(.seconds(10)) }

    private func connected() throws -> (redis: RedisConnection, postgres: PostgresConnection) {
        if let connections { return connections }
        let made = (redis: try servers.redis(), postgres: try servers.postgres(schema: DualWrite.schema))
        connections = made
        return made
    }
}
