import Harness
import OrderLog
import PostgresClient
import RedisClient
import ThreadedIO

/// Watches how positions move, from outside and on a thread of its own.
///
/// A position counts from the moment at which a look has returned it: what is measured is never less than what was. It
/// looks only while orders that are due have not been seen, so that it takes little of a machine that waits.
actor PositionTrace {
    /// A position that had moved.
    struct Step: Sendable {
        let group: Group
        let partition: Int
        let seq: Int64
        let at: ContinuousClock.Instant
    }

    /// How long it waits between two looks: at high rates longer, where it would look all the time and take the machine
    /// from those who are measured.
    private static let pause: Duration = .microseconds(100)
    private static let pauseAtHighRates: Duration = .milliseconds(1)
    private static let highRate = 500
    private static let patience: Duration = .seconds(60)

    private let executor = ThreadExecutor(name: "trace")
    private let servers: Shop
    private let groups: [Group]

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - servers: Where they are.
    ///   - groups: Postgres alone, or others.
    init(_ servers: Shop, _ groups: [Group]) {
        self.servers = servers
        self.groups = groups
    }

    /// Watches until all orders of the schedule have been applied.
    ///
    /// - Throws: `HarnessError` when that takes too long; `CancellationError`.
    func record(_ schedule: OrderSchedule, partitions: Int) throws -> [Step] {
        FineSleep.prepareThread()
        let look = groups == [.postgres] ? try postgresLook() : try redisLook(partitions)
        let pause = schedule.rate > Self.highRate ? Self.pauseAtHighRates : Self.pause
        let deadline = schedule.moment(of: schedule.count) + Self.patience
        var steps: [Step] = []
        var seqs = Array(repeating: Array(repeating: Int64(0), count: partitions), count: groups.count)
        var applied = 0
        while applied < schedule.count {
            let due = schedule.due(at: .now)
            guard applied < due else {
                FineSleep.sleep(until: schedule.moment(of: due))
                continue
            }
            try Task.checkCancellation()
            let found = try look()
            let now = ContinuousClock.now
            for (index, group) in groups.enumerated() {
                for (partition, seq) in found[index].enumerated() where seq > seqs[index][partition] {
                    seqs[index][partition] = seq
                    steps.append(Step(group: group, partition: partition, seq: seq, at: now))
                }
            }
            applied = Int(seqs.map { $0.reduce(0, +) }.min() ?? 0)
            guard now < deadline else {
                throw HarnessError.notInTime("\(applied) of \(schedule.count) orders applied", within: Self.patience)
            }
            if applied < schedule.due(at: now) { FineSleep.sleep(until: .now + pause) }
        }
        return steps
    }

    private var limit: Deadline { .after(.seconds(30)) }

    /// A look at the positions in Redis: for each group, the seq of each partition.
    private func redisLook(_ partitions: Int) throws -> () throws -> [[Int64]] {
        let redis = try servers.redis()
        let commands = groups.flatMap { group in
            (0..<partitions).map {
                RedisCommand("HGET", "{\(servers.namespace):\($0)}:position:\(group.name)", "seq")
            }
        }
        return { [self] in
            let seqs = try redis.pipeline(commands, until: limit).map { $0.string.flatMap { Int64($0) } ?? 0 }
            return groups.indices.map { Array(seqs[($0 * partitions)..<(($0 + 1) * partitions)]) }
        }
    }

    private func postgresLook() throws -> () throws -> [[Int64]] {
        let postgres = try servers.postgres()
        let positions = "SELECT seq FROM partitions ORDER BY partition"
        return { [self] in
            [try postgres.query(positions, until: limit).map { try $0.requireInt64(0) }]
        }
    }
}
