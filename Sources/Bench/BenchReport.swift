import Foundation
import OrderLog

/// All figures of a benchmark, summed up over its rounds.
package struct BenchReport: Sendable, Encodable {
    struct Setup: Sendable, Encodable {
        /// `partitions`: of the first log.
        let orders, rounds, shops, partitions, workers, lanes, skus, seconds: Int
        let cores: Int
        let redis, postgres: String
        /// Whether Redis is spoken to with TLS.
        let tls: Bool
        let admission: Bool
        /// Of the Redis Cluster; nil for one Redis.
        let masters: Int?
        /// `debug` figures say nothing.
        let build: String
    }

    /// What one side did in a stage.
    struct Side: Sendable, Encodable {
        let ordersPerSecond: Spread
        let rounds: [Double]
        /// The median; nil for the yardstick.
        let startUpMs: Double?
        /// Medians of CPU time, in µs an order: of the processes that did it and of the servers.
        let clientUsPerOrder, redisUsPerOrder, postgresUsPerOrder: Double
        /// Of the same, each of Redis's processes; nil for one.
        let redisUsPerOrderByProcess: [Double]?
        /// What each command has cost Redis in the last round, the dearest first.
        let redisCommands: [Command]
    }

    struct Command: Sendable, Encodable {
        let name: String
        let callsPerOrder, usPerOrder: Double
    }

    struct StageFigures: Sendable, Encodable {
        let stage: BenchPlan.Stage
        let partitions: Int
        let onewrite: Side
        let bare: Side?
        /// Onewrite's rate by the yardstick's in the same round.
        let ratio: Spread?
        /// Onewrite's rate by that with the first number of partitions in the same round; nil for the first itself.
        let ratioToFirst: Spread?
    }

    struct LatencyFigures: Sendable, Encodable {
        let rate: Int
        let partitions: Int
        /// Until when: `accepted` is the receipt, `postgres`, `stock` and `delivery` the sinks, `all` the last of them.
        let until: String
        /// Medians of the rounds.
        let ms: Latencies.Percentiles
        let rounds: [Latencies.Percentiles]
    }

    struct ProduceFigures: Sendable, Encodable {
        let use: ProduceRun.Use
        let partitions: Int
        /// nil for a schedule.
        let ordersPerSecond: Spread?
        /// By the rate of `onewrite submit` in the same round.
        let ratioToSubmit: Spread?
        /// Medians of the rounds, until the receipt; nil for a sequence.
        let ms: Latencies.Percentiles?
    }

    struct MemoryFigures: Sendable, Encodable {
        let logBytesPerEntry, windowBytesPerOrder: Double
    }

    let schema = "onewrite/bench/v1"
    let setup: Setup
    let stages: [StageFigures]
    let produce: [ProduceFigures]
    let latency: [LatencyFigures]
    let memory: MemoryFigures?

    private enum CodingKeys: CodingKey {
        case schema, setup, stages, produce, latency, memory
    }

    init(_ plan: BenchPlan, _ results: BenchResults) {
        setup = Setup(
            orders: plan.orders, rounds: plan.rounds, shops: plan.shops, partitions: plan.partitions[0],
            workers: plan.workers, lanes: plan.lanes, skus: plan.skus, seconds: plan.seconds,
            cores: ProcessInfo.processInfo.activeProcessorCount, redis: results.versions.redis,
            postgres: results.versions.postgres, tls: plan.isEncrypted, admission: plan.hasAdmission,
            masters: plan.masters, build: Self.build)
        stages = BenchPlan.Stage.allCases.flatMap { stage in
            let places = plan.partitions.map { BenchPlan.Place(stage: stage, partitions: $0) }
            return places.compactMap { place in
                let first = place == places[0] ? nil : results.stages[places[0]]
                return results.stages[place].flatMap { Self.figures(place, $0, first: first) }
            }
        }
        produce = ProduceRun.Use.allCases.flatMap { use in
            plan.partitions.compactMap { partitions in
                let place = BenchResults.ProducePlace(use: use, partitions: partitions)
                return results.produced[place].map { rounds in
                    let latencies = rounds.compactMap(\.latencies)
                    return ProduceFigures(
                        use: use, partitions: partitions, ordersPerSecond: Spread(rounds.compactMap(\.ordersPerSecond)),
                        ratioToSubmit: Spread(rounds.compactMap(\.ratio)),
                        ms: latencies.isEmpty ? nil : Latencies.Percentiles(medianOf: latencies))
                }
            }
        }
        latency = plan.rates.flatMap { rate in
            plan.partitions.flatMap { partitions in
                let place = BenchResults.LatencyPlace(rate: rate, partitions: partitions)
                return Self.figures(place, results.latencies[place] ?? [])
            }
        }
        memory = results.memory.map {
            MemoryFigures(logBytesPerEntry: $0.logBytesPerEntry, windowBytesPerOrder: $0.windowBytesPerOrder)
        }
    }

    private static var build: String {
        #if DEBUG
        "debug"
        #else
        "release"
        #endif
    }

    private static func figures(
        _ place: BenchPlan.Place, _ rounds: [StageRound], first: [StageRound]?
    ) -> StageFigures? {
        guard let ours = side(rounds.map(\.ours)) else { return nil }
        let ratios = rounds.compactMap { round in
            round.bare.map { round.ours.ordersPerSecond / $0.ordersPerSecond }
        }
        let toFirst = zip(rounds, first ?? []).map { $0.ours.ordersPerSecond / $1.ours.ordersPerSecond }
        return StageFigures(
            stage: place.stage, partitions: place.partitions, onewrite: ours, bare: side(rounds.compactMap(\.bare)),
            ratio: Spread(ratios), ratioToFirst: Spread(toFirst))
    }

    private static func side(_ rounds: [Measurement]) -> Side? {
        let rates = rounds.map(\.ordersPerSecond)
        guard let spread = Spread(rates), let last = rounds.last else { return nil }
        func median(_ path: KeyPath<Measurement, Double>) -> Double {
            Spread(rounds.map { $0[keyPath: path] })?.median ?? 0
        }
        let commands = last.commands.map {
            Command(name: $0.key, callsPerOrder: $0.value.calls, usPerOrder: $0.value.microseconds)
        }
        return Side(
            ordersPerSecond: spread, rounds: rates,
            startUpMs: Spread(rounds.compactMap { $0.startUp.map { $0 / .milliseconds(1) } })?.median,
            clientUsPerOrder: median(\.client), redisUsPerOrder: median(\.redis),
            postgresUsPerOrder: median(\.postgres), redisUsPerOrderByProcess: byProcess(rounds),
            redisCommands: commands.sorted { $0.usPerOrder > $1.usPerOrder })
    }

    private static func byProcess(_ rounds: [Measurement]) -> [Double]? {
        guard let count = rounds.last?.redisByProcess.count, count > 1 else { return nil }
        return (0..<count).map { process in Spread(rounds.map { $0.redisByProcess[process] })?.median ?? 0 }
    }

    private static func figures(_ place: BenchResults.LatencyPlace, _ rounds: [Latencies]) -> [LatencyFigures] {
        guard !rounds.isEmpty else { return [] }
        func figures(_ event: String, _ percentiles: [Latencies.Percentiles]) -> LatencyFigures {
            LatencyFigures(
                rate: place.rate, partitions: place.partitions, until: event,
                ms: Latencies.Percentiles(medianOf: percentiles), rounds: percentiles)
        }
        let sinks = BenchPlan.Stage.latency.groups.map { group in
            figures(group.name, rounds.compactMap { $0.sinks[group] })
        }
        return [figures("accepted", rounds.map(\.accepted))] + sinks + [figures("all", rounds.map(\.all))]
    }
}
