import OrderLog
import Synchronization

/// Where a worker's coordinator and its lanes leave each other word.
///
/// Neither waits for the other.
final class AssignmentBoard: Sendable {
    struct Assignment: Sendable {
        let lease: Lease
        /// The worker that was gone, if the lease was taken from one.
        let formerHolder: WorkerName?
    }

    private struct State {
        var wanted: [Partition: Assignment] = [:]
        var isStopping = false
        /// Rises with every change of what is wanted.
        var version = 0
        var seenVersions: [Int: Int] = [:]
        var clients: [Int: Int64] = [:]
        var reports: [Partition: WorkerReport.PartitionReport] = [:]
        /// Partitions with which a lane is still busy.
        var busy: Set<Partition> = []
        var applied = 0
        var refused = 0
        /// What was not told yet.
        var reclaimed = ReclaimTally()
        var runningLanes: Int
    }

    private let laneCount: Int
    private let bells: [any LaneBell]
    private let state: Mutex<State>

    init(bells: [any LaneBell]) {
        laneCount = bells.count
        self.bells = bells
        state = Mutex(State(runningLanes: bells.count))
    }

    // MARK: - The coordinator's side

    func assign(_ partition: Partition, _ assignment: Assignment) {
        change { $0.wanted[partition] = assignment }
    }

    func withdraw(_ partition: Partition) {
        change { $0.wanted[partition] = nil }
    }

    func stop() {
        change {
            $0.wanted = [:]
            $0.isStopping = true
        }
    }

    var isStopping: Bool { state.withLock { $0.isStopping } }
    var lanesHaveEnded: Bool { state.withLock { $0.runningLanes == 0 } }

    func isBusy(with partition: Partition) -> Bool {
        state.withLock { $0.busy.contains(partition) }
    }

    /// The clients of lanes that have not yet seen the latest change.
    var clientsToUnblock: [Int64] {
        state.withLock { state in
            (0..<laneCount).compactMap { state.seenVersions[$0] == state.version ? nil : state.clients[$0] }
        }
    }

    var counts: (applied: Int, refused: Int, reports: [WorkerReport.PartitionReport]) {
        state.withLock { state in
            (state.applied, state.refused, state.reports.values.sorted { $0.partition < $1.partition })
        }
    }

    /// What all lanes reclaimed since it was asked last; nil for nothing.
    func takeReclaimed() -> ReclaimTally? {
        state.withLock { state in
            defer { state.reclaimed = ReclaimTally() }
            return state.reclaimed.partitions.isEmpty ? nil : state.reclaimed
        }
    }

    private func change(_ body: (inout sending State) -> Void) {
        state.withLock { state in
            body(&state)
            state.version += 1
        }
        for bell in bells { bell.ring() }
    }

    // MARK: - The lanes' side

    /// What a lane should serve, if that may be another than when it last asked: partitions are spread over a worker's
    /// lanes by number.
    func changedAssignments(ofLane lane: Int) -> (wanted: [Partition: Assignment], isStopping: Bool)? {
        state.withLock { state in
            guard state.seenVersions[lane] != state.version else { return nil }
            state.seenVersions[lane] = state.version
            let wanted = state.wanted.filter { $0.key.number % laneCount == lane }
            // Busy from the moment the lane has seen it, so that its lease isn't given back too early.
            state.busy.formUnion(wanted.keys)
            return (wanted, state.isStopping)
        }
    }

    func connected(lane: Int, client: Int64?) {
        state.withLock { $0.clients[lane] = client }
    }

    func report(_ partition: Partition, _ condition: WorkerReport.State, error: String? = nil) {
        state.withLock {
            $0.reports[partition] = WorkerReport.PartitionReport(
                partition: partition.number, state: condition, error: error)
        }
    }

    func released(_ partition: Partition) {
        state.withLock {
            $0.busy.remove(partition)
            $0.reports[partition] = nil
        }
    }

    func count(applied: Int = 0, refused: Int = 0) {
        state.withLock {
            $0.applied += applied
            $0.refused += refused
        }
    }

    func reclaimed(_ partition: Partition, _ progress: PartitionSession.Progress) {
        state.withLock { $0.reclaimed.add(partition, progress) }
    }

    func laneEnded() {
        state.withLock { $0.runningLanes -= 1 }
    }
}
