import OrderLog

/// How long orders took from the time at which they were due until they had been applied.
struct Latencies: Sendable {
    /// Exact percentiles, in milliseconds: of a hundred orders, 99 took p99 or less.
    struct Percentiles: Sendable, Encodable {
        let p50: Double
        let p90: Double
        let p99: Double
        let max: Double

        init(_ durations: [Duration]) {
            let sorted = durations.sorted()
            func at(_ percent: Int) -> Double {
                let rank = (sorted.count * percent + 99) / 100
                return sorted.isEmpty ? 0 : (sorted[Swift.max(0, rank - 1)] / .microseconds(1)).rounded() / 1000
            }
            (p50, p90, p99, max) = (at(50), at(90), at(99), at(100))
        }

        /// Each percentile's median over rounds.
        init(medianOf rounds: [Percentiles]) {
            func median(_ path: KeyPath<Percentiles, Double>) -> Double {
                Spread(rounds.map { $0[keyPath: path] })?.median ?? 0
            }
            (p50, p90, p99, max) = (median(\.p50), median(\.p90), median(\.p99), median(\.max))
        }
    }

    /// Until the submitter had the receipt.
    let accepted: Percentiles
    let sinks: [Group: Percentiles]
    /// Until the last of the three.
    let all: Percentiles

    /// - Parameters:
    ///   - schedule: When each order was due.
    ///   - places: Where the log has each.
    ///   - steps: How the positions moved, by time.
    ///   - warmUp: How many orders at the beginning don't count.
    init(_ schedule: OrderSchedule, places: [OrderPlace], steps: [PositionTrace.Step], warmUp: Int) {
        let groups = Set(steps.map(\.group))
        var latencies: [Group: [Duration]] = [:]
        for group in groups {
            var moved: [Int: [PositionTrace.Step]] = [:]
            for step in steps where step.group == group { moved[step.partition, default: []].append(step) }
            // Orders of a partition have rising places, and so have the steps: one walk over both.
            var next: [Int: Int] = [:]
            latencies[group] = places.enumerated().map { order, place in
                let partition = moved[place.partition] ?? []
                var index = next[place.partition] ?? 0
                while index < partition.count, partition[index].seq < place.seq { index += 1 }
                next[place.partition] = index
                precondition(index < partition.count, "watched until every order had been applied")
                return schedule.moment(of: order).duration(to: partition[index].at)
            }
        }
        let last = places.indices.map { order in latencies.values.map { $0[order] }.max() ?? .zero }
        let accepted = places.enumerated().map { schedule.moment(of: $0).duration(to: $1.acceptedAt) }
        self.accepted = Percentiles(Array(accepted.dropFirst(warmUp)))
        sinks = latencies.mapValues { Percentiles(Array($0.dropFirst(warmUp))) }
        all = Percentiles(Array(last.dropFirst(warmUp)))
    }

    /// For people.
    var line: String { "in all sinks: p50 \(all.p50) ms, p99 \(all.p99) ms, max \(all.max) ms" }
}
