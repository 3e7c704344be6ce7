package import OrderLog

/// Who serves which partition: the same answer for every worker that sees the same members, so nobody leads.
///
/// Rendezvous hashing with bounded loads: each (worker, partition) pair has a score, the highest pair goes first, and
/// nobody gets more than its even share. When a worker comes or goes, few partitions change hands.
package struct FairShare: Sendable, Equatable {
    private let owners: [Partition: WorkerName]

    /// Shares the partitions out.
    ///
    /// - Complexity: O(P·M·log(P·M)) for P partitions and M workers; a worker computes it when the members change.
    package init(of partitions: [Partition], among workers: some Collection<WorkerName>) {
        guard !workers.isEmpty else {
            owners = [:]
            return
        }
        let share = partitions.count / workers.count
        var extras = partitions.count % workers.count
        let pairs = workers.flatMap { worker in
            partitions.map { (score: Self.score(worker, $0), worker: worker, partition: $0) }
        }
        // The names decide between equal scores, so that the order never depends on the workers' own.
        let ranked = pairs.sorted { ($0.score, $0.worker, $0.partition) > ($1.score, $1.worker, $1.partition) }
        var loads: [WorkerName: Int] = [:]
        var owners: [Partition: WorkerName] = [:]
        for pair in ranked where owners[pair.partition] == nil {
            let load = loads[pair.worker, default: 0]
            guard load < share || load == share && extras > 0 else { continue }
            if load == share { extras -= 1 }
            loads[pair.worker] = load + 1
            owners[pair.partition] = pair.worker
        }
        self.owners = owners
    }

    /// The partitions of one worker.
    package func partitions(of worker: WorkerName) -> Set<Partition> {
        Set(owners.lazy.filter { $0.value == worker }.map(\.key))
    }

    /// FNV-1a, then a mixer.
    private static func score(_ worker: WorkerName, _ partition: Partition) -> UInt64 {
        var hash = FNV1a.mix("\(worker)#\(partition)", into: FNV1a.start)
        hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
        return hash ^ hash >> 33
    }
}
