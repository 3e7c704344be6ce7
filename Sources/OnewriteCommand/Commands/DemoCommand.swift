import ArgumentParser
import Connections
import Demo
import Foundation
import Harness

/// `onewrite demo`.
struct DemoCommand: AsyncParsableCommand, ShowsItsOwnProgress {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Kill workers while orders flow, and prove that the stores agree.",
        discussion: """
            Starts a private Redis and Postgres in a temporary directory and touches nothing else on this machine. Workers are \
            killed with kill -9 while thousands of orders flow; then everything is compared with plain SQL and plain Redis \
            commands. The same happens to a naive dual write. Takes about 20 seconds and removes everything.

            With --cluster Redis is a cluster of three masters and three replicas: while orders flow, partitions move to \
            another master, and a master is killed.

            Examples:
              onewrite demo --orders 3000 --seed 42
              onewrite demo --cluster
            """,
        subcommands: [DualWriteCommand.self])

    @Option(help: ArgumentHelp("How many orders, 100 to 50000.", valueName: "N"))
    var orders = 3000

    @Option(help: ArgumentHelp("Repeats the workload and the order of the kills (default: made up).", valueName: "N"))
    var seed: UInt64?

    @Flag(help: "Redis is a Redis Cluster, and loses a master too.")
    var cluster = false

    @Flag(help: "Leave servers and workers running at the end, until Ctrl-C.")
    var keep = false

    func validate() throws {
        guard (100...50_000).contains(orders) else {
            throw ValidationError("--orders: expected 100 to 50000, got \(orders)")
        }
    }

    func run() async throws {
        let demo = DemoRun(
            orders: orders, seed: seed ?? UInt64.random(in: 0..<1_000_000), isKept: keep, isCluster: cluster,
            output: DemoRun.Output(say: Console.print, warn: Console.error))
        guard try await PrivateRun.run("the demo", { try await demo.run() }) else { throw Failure(.no, "") }
    }
}

/// `onewrite demo dual-write`: the naive application that the demo kills beside Onewrite.
struct DualWriteCommand: AsyncParsableCommand, ShowsItsOwnProgress {
    static let configuration = CommandConfiguration(
        commandName: "dual-write", abstract: "The demo's naive dual write.", shouldDisplay: false)

    // Arguments: the options of `demo` itself have these names.
    @Argument var orders: Int
    @Argument var seed: UInt64

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        guard let redisURL = environment["REDIS_URL"], let postgresURL = environment["DATABASE_URL"] else {
            throw Failure(.badConfiguration, "REDIS_URL and DATABASE_URL aren't set: this is a part of onewrite demo")
        }
        let servers = Shop(redisURL: redisURL, postgresURL: postgresURL)
        try await CommandLane("dual-write").run { [orders, seed] _ in
            try DualWrite(redis: servers.redis(), postgres: servers.postgres(schema: DualWrite.schema))
                .run(orders: orders, seed: seed)
        }
    }
}
