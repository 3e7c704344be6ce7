import Connections
import Foundation
import Harness
import OrderLog
import PrivateServers

/// Worker processes of one or several groups, on a log that is there already.
struct Drain: Sendable {
    let servers: BenchServers
    let plan: BenchPlan

    /// How fast something went.
    struct Pace: Sendable {
        let ordersPerSecond: Double
        /// How long it took a process to begin; the yardstick does not count that.
        let startUp: Duration?
    }

    /// How often progress is looked at: for at most a twentieth of the time.
    private static let pause: Duration = .milliseconds(10)
    /// How long nothing may happen.
    private static let patience: Duration = .seconds(60)

    /// Drains the log, and stops the workers.
    ///
    /// The time begins when the workers have shared the partitions, and what they had applied by then doesn't count; it
    /// ends when all is applied and acknowledged.
    ///
    /// - Parameter groups: All of which have to apply everything.
    /// - Returns: The pace of the slowest group; start-up until the first entry was applied.
    /// - Throws: `HarnessError`, `LogError` when a store doesn't hold all orders in the end.
    func run(_ groups: [Group]) async throws -> Pace {
        let spawned = ContinuousClock.now
        let workers = try await start(groups)
        let pace = try await watch(groups, workers, since: spawned)
        await Self.stop(workers)
        let shops = Set((0..<plan.shops).map(plan.work.shop))
        for group in groups {
            let orders = try await servers.gauge.orders(in: group, of: shops)
            guard orders == plan.orders else {
                throw LogError(.no, "\(group.name) holds \(orders) orders after \(plan.orders) were applied")
            }
        }
        return pace
    }

    /// Starts all workers of the groups.
    func start(_ groups: [Group]) async throws -> [ChildProcess] {
        var workers: [ChildProcess] = []
        for number in 0..<plan.workers {
            for group in groups {
                let name = "\(group.name)-\(number)"
                workers.append(
                    try await servers.shop.spawn(
                        ["worker", "--group", group.name, "--name", name, "--lanes", "\(plan.lanes)"],
                        errors: .appended(to: servers.shop.logPath(name))))
            }
        }
        return workers
    }

    static func stop(_ workers: [ChildProcess]) async {
        await withTaskGroup { tasks in
            for worker in workers { tasks.addTask { _ = await worker.stop() } }
        }
    }

    private func watch(
        _ groups: [Group], _ workers: [ChildProcess], since spawned: ContinuousClock.Instant
    ) async throws -> Pace {
        var first: StoreGauge.Look?
        var begin: StoreGauge.Look?
        var last = (applied: 0, at: spawned)
        while true {
            let look = try await servers.gauge.look(at: groups, of: plan.orders)
            if look.applied > 0 {
                first = first ?? look
                if begin == nil, try await servers.gauge.isShared(groups, among: plan.workers) { begin = look }
            }
            if look.applied > last.applied { last = (look.applied, look.at) }
            if look.isAcknowledged {
                // A log so short that the workers had done with it when they were looked at counts as a whole.
                let (from, since) =
                    [begin, first].compactMap { $0 }.first { $0.applied < plan.orders }
                    .map { ($0.applied, $0.at) } ?? (0, spawned)
                return Pace(
                    ordersPerSecond: Double(plan.orders - from) / (since.duration(to: look.at) / .seconds(1)),
                    startUp: spawned.duration(to: first?.at ?? look.at))
            }
            if last.at.duration(to: look.at) > Self.patience {
                throw HarnessError.notInTime(
                    "\(look.applied) of \(plan.orders) applied, no more", within: Self.patience)
            }
            if let ended = workers.first(where: { !$0.isRunning }), let status = ended.exitStatus {
                throw HarnessError.ended("a worker", with: status, saying: Self.logTail(groups, servers.shop))
            }
            try await Task.sleep(for: max(Self.pause, look.cost * 20))
        }
    }

    private static func logTail(_ groups: [Group], _ shop: Shop) -> String {
        groups.compactMap { FileManager.default.contents(atPath: shop.logPath("\($0)-0")) }
            .flatMap { String(decoding: $0, as: UTF8.self).split(separator: "\n").suffix(2) }
            .joined(separator: "; ")
    }
}
