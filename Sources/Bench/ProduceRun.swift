import Connections
import Harness
import Logging
import Onewrite
import OrderLog
import ThreadedIO

/// The library's producer, in this process: a sequence, many callers at once, and one caller on a schedule.
struct ProduceRun: Sendable {
    /// How it is used.
    enum Use: String, CaseIterable, Sendable, Encodable {
        /// One task submits a sequence of all orders.
        case sequence
        /// A thousand tasks submit orders one by one.
        case concurrent
        /// One task submits an order when it is due.
        case single
    }

    /// What one round showed.
    struct Round: Sendable {
        /// Orders by the time from the producer's start to the last receipt; nil for a schedule.
        let ordersPerSecond: Double?
        /// By that of `onewrite submit` with a file of the same orders, in the same round.
        var ratio: Double?
        /// From the hand-over, or from when an order was due, to its receipt; nil for a sequence.
        let latencies: Latencies.Percentiles?
    }

    private static let callers = 1000
    /// Orders a second of one caller.
    private static let rate = 200

    let servers: BenchServers
    let plan: BenchPlan

    func measured(_ use: Use) async throws -> Round {
        let shop = servers.shop
        let configuration = try LogConfiguration(
            redis: shop.redisURL, postgres: shop.postgresURL, namespace: shop.namespace, schema: shop.namespace)
        let producer = Producer(configuration, logger: Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() })
        let start = ContinuousClock.now
        async let run: Void = producer.run()
        let latencies: [Duration]
        do {
            latencies =
                switch use {
                case .sequence: try await sequence(producer)
                case .concurrent: try await concurrent(producer)
                case .single: try await single(producer)
                }
        } catch {
            producer.shutDown()
            try await run
            throw error
        }
        let elapsed = start.duration(to: .now)
        producer.shutDown()
        try await run
        return Round(
            ordersPerSecond: use == .single ? nil : Double(plan.orders) / (elapsed / .seconds(1)), ratio: nil,
            latencies: use == .sequence ? nil : Latencies.Percentiles(latencies))
    }

    private func sequence(_ producer: Producer) async throws -> [Duration] {
        for try await receipt in producer.submit(Orders(plan: plan)) { try check(receipt) }
        return []
    }

    private func concurrent(_ producer: Producer) async throws -> [Duration] {
        try await withThrowingTaskGroup(of: [Duration].self) { callers in
            for caller in 0..<Self.callers {
                callers.addTask {
                    var latencies: [Duration] = []
                    for number in stride(from: caller, to: plan.orders, by: Self.callers) {
                        let change = try plan.work.change(number)
                        let handedOver = ContinuousClock.now
                        try check(try await producer.submit(change))
                        latencies.append(handedOver.duration(to: .now))
                    }
                    return latencies
                }
            }
            return try await callers.reduce(into: []) { $0 += $1 }
        }
    }

    private func single(_ producer: Producer) async throws -> [Duration] {
        // The first connects.
        let schedule = OrderSchedule(start: .now + .seconds(1), rate: Self.rate, count: Self.rate * plan.seconds)
        try check(try await producer.submit(try plan.work.change(schedule.count)))
        var latencies: [Duration] = []
        for number in 0..<schedule.count {
            let due = schedule.moment(of: number)
            // A thread's own sleep ends on time; the task's would be late by a millisecond.
            try await Self.clock.run { _ in FineSleep.sleep(until: due) }
            try check(try await producer.submit(try plan.work.change(number)))
            latencies.append(due.duration(to: .now))
        }
        return latencies
    }

    private static let clock = CommandLane("clock")

    private func check(_ receipt: Receipt) throws {
        guard receipt.outcome == .accepted else {
            throw LogError(.tryAgain, "not every order was accepted: \(receipt.id) \(receipt.outcome)")
        }
    }

    /// All orders of the plan.
    private struct Orders: AsyncSequence, Sendable {
        let plan: BenchPlan

        struct AsyncIterator: AsyncIteratorProtocol {
            let plan: BenchPlan
            var number = 0

            mutating func next() async throws -> Change? {
                guard number < plan.orders else { return nil }
                defer { number += 1 }
                return try plan.work.change(number)
            }
        }

        func makeAsyncIterator() -> AsyncIterator { AsyncIterator(plan: plan) }
    }
}
