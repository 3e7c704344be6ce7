package import OrderLog

/// The sessions of a lane that serve, by partition.
package struct Sessions {
    private var byPartition: [Partition: PartitionSession] = [:]
    /// Ascending.
    package private(set) var partitions: [Partition] = []

    package init() {}

    package var isEmpty: Bool { partitions.isEmpty }

    package subscript(_ partition: Partition) -> PartitionSession? {
        get { byPartition[partition] }
        set {
            let wasServed = byPartition[partition] != nil
            byPartition[partition] = newValue
            guard wasServed != (newValue != nil) else { return }
            let place = partitions.firstIndex { $0 >= partition } ?? partitions.endIndex
            if newValue == nil { partitions.remove(at: place) } else { partitions.insert(partition, at: place) }
        }
    }

    package mutating func removeAll() { self = Sessions() }
}
