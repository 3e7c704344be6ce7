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
        let (workers, partitions) = (workers.sorted(), partitions.sorted())
        let share = partitions.count / workers.count
        var extras = partitions.count % workers.count
        let numbers = partitions.map(\.description)
        var pairs: [(score: UInt64, worker: Int, partition: Int)] = []
        pairs.reserveCapacity(workers.count * numbers.count)
        for (worker, name) in workers.enumerated() {
            let hash = FNV1a.mix("\(name)#", into: FNV1a.start)
            for (partition, number) in numbers.enumerated() {
                pairs.append((Self.mixed(FNV1a.mix(number, into: hash)), worker, partition))
            }
        }
        // The names decide between equal scores, so that the order never depends on the workers' own.
        pairs.sort { ($0.score, $0.worker, $0.partition) > ($1.score, $1.worker, $1.partition) }
        var loads = [Int](repeating: 0, count: workers.count)
        var owners: [Partition: WorkerName] = [:]
        for pair in pairs where owners[partitions[pair.partition]] == nil {
            let load = loads[pair.worker]
            guard load < share || load == share && extras > 0 else { continue }
            if load == share { extras -= 1 }
            loads[pair.worker] = load + 1
            owners[partitions[pair.partition]] = workers[pair.worker]
        }
        self.owners = owners
    }

    /// The partitions of one worker.
    package func partitions(of worker: WorkerName) -> Set<Partition> {
        Set(owners.lazy.filter { $0.value == worker }.map(\.key))
    }

    /// What mixes an FNV-1a hash, of `worker#partition`, into a score.
    private static func mixed(_ hash: UInt64) -> UInt64 {
        let hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
        return hash ^ hash >> 33
    }
}
