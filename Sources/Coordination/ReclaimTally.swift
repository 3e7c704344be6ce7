import OrderLog

/// What takeovers found pending, counted.
struct ReclaimTally: Sendable {
    private(set) var partitions: Set<Partition> = []
    private var counts = (pending: 0, applied: 0, duplicates: 0)

    init() {}

    init(_ partition: Partition, _ progress: PartitionSession.Progress) {
        add(partition, progress)
    }

    mutating func add(_ partition: Partition, _ progress: PartitionSession.Progress) {
        partitions.insert(partition)
        counts.pending += progress.reclaimed
        counts.applied += progress.applied
        counts.duplicates += progress.duplicates
    }

    var text: String {
        "reclaimed \(counts.pending) pending, \(counts.applied) applied, \(counts.duplicates) duplicates"
    }
}
