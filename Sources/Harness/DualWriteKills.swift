import PrivateServers

/// Runs the naive dual write, killed as often as Onewrite's workers were, and counts what it left different.
package struct DualWriteKills: Sendable {
    package let servers: Shop
    package let probe: StoreProbe
    package let orders: Int
    package let seed: UInt64

    package init(servers: Shop, probe: StoreProbe, orders: Int, seed: UInt64) {
        self.servers = servers
        self.probe = probe
        self.orders = orders
        self.seed = seed
    }

    /// - Parameters:
    ///   - kills: How often it is killed, at moments spread over the orders by chance.
    ///   - generator: Where chance comes from.
    /// - Returns: How far the stores are apart at the end.
    /// - Throws: ``HarnessError`` when it ends by itself with an error; what the servers throw; `CancellationError`.
    package func run(kills: Int, using generator: inout SeededGenerator) async throws -> DualWriteResult {
        let moments = (0..<kills).map { _ in Int64.random(in: 1..<Int64(orders), using: &generator) }.sorted()
        var process = try await start()
        for moment in moments {
            while process.isRunning, try await probe.length(ofList: DualWrite.deliveriesKey) < moment {
                try await Task.sleep(for: .milliseconds(1))
            }
            try await Task.sleep(for: .microseconds(Int.random(in: 0...2000, using: &generator)))
            await process.kill()
            process = try await start()
        }
        let status = try await process.exit(within: .seconds(60))
        guard status == .exited(0) else { throw HarnessError.ended("the naive dual write", with: status, saying: "") }
        return try await BlockingLane(name: "compare").run {
            try DualWriteResult(redis: servers.redis(), postgres: servers.postgres(schema: DualWrite.schema))
        }
    }

    private func start() async throws -> ChildProcess {
        try await servers.spawn(
            ["demo", "dual-write", "\(orders)", "\(seed)"], errors: .inherited)
    }
}
