/// What was measured, round by round.
struct BenchResults: Sendable {
    let versions: (redis: String, postgres: String)
    var stages: [BenchPlan.Stage: [StageRound]] = [:]
    /// By rate.
    var latencies: [Int: [Latencies]] = [:]
    var memory: StoreGauge.Memory?

    init(versions: (redis: String, postgres: String)) {
        self.versions = versions
    }
}
