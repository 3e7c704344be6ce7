import ArgumentParser
import Harness
import PrivateServers

/// `torture dual-write`.
struct DualWriteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dual-write",
        abstract: "The naive dual write under the same kills: what it loses.",
        discussion: """
            An application that writes each order to Postgres, then to Redis, then to the delivery list, and is killed again and \
            again; on each start it goes on behind the last order that Postgres has.

            Example:
              scripts/torture dual-write --orders 50000 --kills 500
            """)

    @Option(help: ArgumentHelp("How many orders.", valueName: "n"))
    var orders = 20_000

    @Option(help: ArgumentHelp("How often it is killed.", valueName: "n"))
    var kills = 200

    @OptionGroup var options: TortureOptions

    func run() async throws {
        let seed = options.seed ?? UInt64.random(in: 0..<1_000_000)
        let directory = try await PrivateDirectory()
        let redis = try await PrivateRedis.start(in: directory)
        let postgres = try await PrivatePostgres.start(in: directory, settings: ["fsync=off"])
        let shop = Shop(
            redisURL: redis.url, postgresURL: postgres.url, executable: try options.executable(),
            directory: directory.path)
        try await BlockingLane(name: "naive").run { try DualWrite.create(on: shop.postgres()) }
        var generator = SeededGenerator(seed: seed)
        let result = try await DualWriteKills(
            servers: shop, probe: StoreProbe(shop, partitions: 0), orders: orders, seed: seed
        ).run(kills: kills, using: &generator)
        say("  seed \(seed)")
        say("  naive dual write: \(result.orders) orders, \(kills) times kill -9")
        say("  orders that differ between the stores, for ever: \(result.ordersThatDiffer)")
        say("  stock counters that differ: \(result.countersThatDiffer)")
        await redis.stop()
        await postgres.stop(.immediate)
        await directory.remove()
    }
}
