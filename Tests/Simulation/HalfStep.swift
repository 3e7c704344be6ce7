import OrderLog

/// What a power cut leaves of the step that it went through: MULTI and some commands, and no EXEC.
///
/// What is written behind it belongs to that transaction when the file is loaded again: an EXEC of a later step has its
/// commands executed, ahead of all that came since; without any, all of it is undone.
struct HalfStep {
    /// The keys as they were loaded.
    let start: [PartitionKeys]
    var isClosed = false
    private let entries: [[LogItem]]
    private let marks: [[String]]

    /// - Parameters:
    ///   - start: The keys before the step.
    ///   - whole: The keys behind it.
    ///   - effects: How many of its entries, or of what it applied, stand in the file.
    init(from start: [PartitionKeys], to whole: [PartitionKeys], effects: Int) {
        self.start = start
        entries = zip(start, whole).map { Array($1.log.dropFirst($0.log.count).prefix(effects)) }
        marks = zip(start, whole).map { Array($1.applied.dropFirst($0.applied.count).prefix(effects)) }
    }

    func execute(on partitions: inout [PartitionKeys]) {
        for index in partitions.indices {
            for item in entries[index] {
                let at = partitions[index].index(from: item.entry.id)
                let isTaken = at < partitions[index].log.count && partitions[index].log[at].entry.id == item.entry.id
                if !isTaken { partitions[index].log.insert(item, at: at) }
            }
            partitions[index].applied += marks[index]
        }
    }
}
