import Connections
import Harness
import PrivateServers

/// The yardstick: a loop in C that does the same work without any guarantee, `Tests/BareLoop/bareloop.c`.
struct BareLoop: Sendable {
    let executable: String
    let servers: BenchServers
    let orders: Int

    /// How long a stage may take.
    private static let limit: Duration = .seconds(3600)

    /// Fills its stream.
    ///
    /// - Returns: Orders a second, by its own count, which begins when it is connected.
    func append() async throws -> Double { try await run(["append", "\(orders)"]) }

    /// Drains its stream by one process a group, all at once.
    ///
    /// - Returns: Orders a second of the slowest, by its own count, which begins when it is connected.
    func drain(_ groups: [String]) async throws -> Double {
        try await withThrowingTaskGroup(of: Double.self) { tasks in
            for group in groups { tasks.addTask { try await run([group]) } }
            return try await tasks.reduce(.infinity, min)
        }
    }

    private func run(_ arguments: [String]) async throws -> Double {
        var environment = servers.shop.environment
        environment["BARELOOP_REDIS_PORT"] = "\(servers.redis.processes[0].port ?? 0)"
        environment["BARELOOP_PG"] =
            "host=127.0.0.1 port=\(servers.postgres.port) user=\(PrivatePostgres.user) dbname=postgres"
        let done = try await ChildProcess.run(
            [executable] + arguments, environment: environment, in: servers.shop.directory, within: Self.limit)
        let program = "the bare loop (\(arguments[0]))"
        guard done.status == .exited(0) else {
            throw HarnessError.ended(program, with: done.status, saying: done.errors)
        }
        // stock	100000	89000 entries/s
        let words = done.output.split(whereSeparator: \.isWhitespace)
        guard words.count > 2, Int(words[1]) == orders, let rate = Double(words[2]), rate > 0 else {
            throw LogError(.no, "\(program) did not do \(orders) orders, but said: \(done.output.prefix(80))")
        }
        return rate
    }
}
