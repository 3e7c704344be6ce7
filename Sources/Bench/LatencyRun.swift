import Connections
import Foundation
import Harness
import OrderLog
import RedisLog
import Submission
import ThreadedIO

/// Orders on a schedule, and how long each takes from its time to every sink: an open loop, so that a stall of the
/// submitter or the servers counts for all orders that were due meanwhile.
struct LatencyRun: Sendable {
    let rate: Int
    let servers: BenchServers
    let plan: BenchPlan

    /// How long the schedule runs before it counts.
    private static let warmUpSeconds = 1
    private static let patience: Duration = .seconds(60)

    /// Runs the workers, submits the orders and watches the sinks.
    func measured() async throws -> Latencies {
        let groups = BenchPlan.Stage.latency.groups
        let workers = try await Drain(servers: servers, plan: plan).start(groups)
        try await waiting(upTo: Self.patience, "the workers had not shared the partitions") {
            try await servers.gauge.isShared(groups, among: plan.workers)
        }
        let schedule = OrderSchedule(
            start: .now + .milliseconds(200), rate: rate, count: rate * (Self.warmUpSeconds + plan.seconds))
        let configuration = try configuration()
        let traces = [PositionTrace(servers.shop, [.stock, .delivery]), PositionTrace(servers.shop, [.postgres])]
        async let submitted = submit(schedule, configuration)
        async let redis = traces[0].record(schedule, partitions: servers.partitions)
        async let postgres = traces[1].record(schedule, partitions: servers.partitions)
        let (places, steps) = (try await submitted, try await redis + postgres)
        await Drain.stop(workers)
        return Latencies(schedule, places: places, steps: steps, warmUp: rate * Self.warmUpSeconds)
    }

    /// The product's own path, in this process: a thread that submits what is due, and waits for the answer.
    private func submit(_ schedule: OrderSchedule, _ configuration: LogConfiguration) async throws -> [OrderPlace] {
        try await CommandLane("submit").run { [plan] _ in
            FineSleep.prepareThread()
            var places: [OrderPlace] = []
            var refusal: String?
            let submitter = try Submitter(
                Servers(configuration, name: "onewrite-bench"), interrupt: Interrupt(), isStopping: { false },
                notice: { refusal = $0 },
                take: { receipt in
                    guard case .answered(let result, let partition, _) = receipt.outcome else { return }
                    places.append(
                        OrderPlace(partition: partition.number, seq: result.seq.number, acceptedAt: .now))
                })
            var next = 0
            while next < schedule.count {
                try Task.checkCancellation()
                FineSleep.sleep(until: schedule.moment(of: next))
                let due = schedule.due(at: .now)
                while next < due {
                    submitter.add(try plan.work.change(next))
                    next += 1
                }
                submitter.settle()
                guard submitter.canGoOn else { break }
            }
            submitter.finish()
            guard places.count == schedule.count else {
                throw LogError(.tryAgain, "not every order was accepted: \(refusal ?? "no reason was given")")
            }
            return places
        }
    }

    /// The workers' log; nothing that the user has set.
    private func configuration() throws -> LogConfiguration {
        let shop = servers.shop
        return try LogConfiguration(
            redis: shop.redisURL, postgres: shop.postgresURL, namespace: shop.namespace, schema: shop.namespace)
    }
}

/// Where the log has an order.
struct OrderPlace: Sendable {
    let partition: Int
    let seq: Int64
    /// When its receipt came.
    let acceptedAt: ContinuousClock.Instant
}

/// When each order is due.
struct OrderSchedule: Sendable {
    let start: ContinuousClock.Instant
    /// Orders a second.
    let rate: Int
    let count: Int

    func moment(of order: Int) -> ContinuousClock.Instant { start + .nanoseconds(order * 1_000_000_000 / rate) }

    /// How many are due by then.
    func due(at moment: ContinuousClock.Instant) -> Int {
        let elapsed = start.duration(to: moment)
        guard elapsed >= .zero else { return 0 }
        return min(count, Int(elapsed / .nanoseconds(1)) * rate / 1_000_000_000 + 1)
    }
}
