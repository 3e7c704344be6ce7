import PrivateServers

/// What one side did in one stage of one round: how fast, and what it cost.
struct Measurement: Sendable {
    /// What a command has cost Redis, by order.
    struct CommandCost: Sendable {
        let calls: Double
        let microseconds: Double
    }

    let ordersPerSecond: Double
    /// How long Onewrite's process took to begin; the yardstick doesn't count it.
    let startUp: Duration?
    /// CPU time, in µs an order, of the processes that did it, from their start to their end.
    let client: Double
    /// CPU time of the servers, in µs an order; Redis's by process.
    let redisByProcess: [Double]
    let postgres: Double
    let commands: [String: CommandCost]

    var redis: Double { redisByProcess.reduce(0, +) }

    /// Measures a body that starts processes and waits for their end.
    static func of(
        orders: Int, on servers: BenchServers, _ body: () async throws -> Drain.Pace
    ) async throws -> Measurement {
        let commandsBefore = try await servers.gauge.commandTimes()
        let (serversBefore, clientBefore) = (servers.time, ProcessTable.timeOfEndedChildren)
        let pace = try await body()
        let (serversAfter, clientAfter) = (servers.time, ProcessTable.timeOfEndedChildren)
        func each(_ duration: Duration) -> Double { duration / .microseconds(1) / Double(orders) }
        var commands: [String: CommandCost] = [:]
        for (name, after) in try await servers.gauge.commandTimes() {
            let before = commandsBefore[name] ?? StoreGauge.CommandTime()
            guard after.calls > before.calls else { continue }
            commands[name] = CommandCost(
                calls: Double(after.calls - before.calls) / Double(orders),
                microseconds: Double(after.microseconds - before.microseconds) / Double(orders))
        }
        return Measurement(
            ordersPerSecond: pace.ordersPerSecond, startUp: pace.startUp, client: each(clientAfter - clientBefore),
            redisByProcess: zip(serversAfter.redis, serversBefore.redis).map { each($0 - $1) },
            postgres: each(serversAfter.postgres - serversBefore.postgres), commands: commands)
    }
}

/// A stage of one round: Onewrite, and the yardstick beside it.
struct StageRound: Sendable {
    let ours: Measurement
    let bare: Measurement?
}
