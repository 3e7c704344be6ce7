/// What was measured, round by round.
struct BenchResults: Sendable {
    let versions: (redis: String, postgres: String)
    var stages: [BenchPlan.Place: [StageRound]] = [:]
    var latencies: [LatencyPlace: [Latencies]] = [:]

    struct LatencyPlace: Hashable, Sendable {
        let rate: Int
        let partitions: Int
    }
    var memory: StoreGauge.Memory?

    init(versions: (redis: String, postgres: String)) {
        self.versions = versions
    }
}
