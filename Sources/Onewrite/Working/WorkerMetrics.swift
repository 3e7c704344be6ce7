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

/// What a worker's sessions tell the process's metrics backend of one group, if there is one.
///
/// `onewrite_apply_seconds` is a store's one step, `onewrite_batch_entries` how many entries it took; `onewrite_takeovers_total`
/// and `onewrite_takeover_seconds` are partitions taken over, `onewrite_reclaimed_total` what was found pending in them, and
/// `onewrite_openings_total` partitions whose log was opened anew; all by `group`. A store's step is a span, too.
struct WorkerMeter: WorkerObserver {
    private let group: Group
    private let step: Timer
    private let size: Recorder
    private let takeovers: Counter
    private let takeover: Timer
    private let reclaimed: Counter
    private let openings: Counter

    init(_ group: Group) {
        self.group = group
        let dimensions = [("group", group.name)]
        step = Timer(label: "onewrite_apply_seconds", dimensions: dimensions, preferredDisplayUnit: .seconds)
        size = Recorder(label: "onewrite_batch_entries", dimensions: dimensions)
        takeovers = Counter(label: "onewrite_takeovers_total", dimensions: dimensions)
        takeover = Timer(label: "onewrite_takeover_seconds", dimensions: dimensions, preferredDisplayUnit: .seconds)
        reclaimed = Counter(label: "onewrite_reclaimed_total", dimensions: dimensions)
        openings = Counter(label: "onewrite_openings_total", dimensions: dimensions)
    }

    func applied(_ batch: Batch, in duration: Duration) {
        step.record(duration: duration)
        size.record(batch.applied.count + batch.deadLetters.count)
        ApplySpan.record(batch, by: group, in: duration)
    }

    func tookOver(reclaimed count: Int, in duration: Duration) {
        takeovers.increment()
        takeover.record(duration: duration)
        reclaimed.increment(by: count)
    }

    func opened() { openings.increment() }
}
