import Coordination
import Metrics
import OrderLog

/// What a worker tells the process's metrics backend of one group, if there is one.
///
/// `onewrite_applied_total` counts entries that were applied or set aside, `onewrite_refused_total` batches that the store
/// refused since another worker had taken over; both by `group`.
struct WorkerMetrics {
    private static let pause: Duration = .seconds(1)

    private let applied: Counter
    private let refused: Counter
    private var told = (applied: 0, refused: 0)

    init(_ group: Group) {
        applied = Counter(label: "onewrite_applied_total", dimensions: [("group", group.name)])
        refused = Counter(label: "onewrite_refused_total", dimensions: [("group", group.name)])
    }

    /// Tells once a second what came, until the task is cancelled.
    mutating func follow(_ worker: GroupWorker) async {
        while !Task.isCancelled {
            do { try await Task.sleep(for: Self.pause) } catch { return }
            tell(worker)
        }
    }

    /// Tells what came since the last time.
    mutating func tell(_ worker: GroupWorker) {
        let now = (applied: worker.applied, refused: worker.refused)
        applied.increment(by: now.applied - told.applied)
        refused.increment(by: now.refused - told.refused)
        told = now
    }
}
