/// What was measured, round by round.
struct BenchResults: Sendable {
    let versions: (redis: String, postgres: String)
    var stages: [BenchPlan.Place: [StageRound]] = [:]
    var latencies: [LatencyPlace: [Latencies]] = [:]

    var produced: [ProducePlace: [ProduceRun.Round]] = [:]

    struct ProducePlace: Hashable, Sendable {
        let use: ProduceRun.Use
        let partitions: Int
    }

    struct LatencyPlace: Hashable, Sendable {
        let rate: Int
        let partitions: Int
    }
    var memory: StoreGauge.Memory?

    init(versions: (redis: String, postgres: String)) {
        self.versions = versions
    }
}
