import Coordination
import Harness
package import OrderLog

/// The sharing of partitions among the workers of a group, on a clock of its own: what `Coordinator` does at each tick,
/// with the product's ``FairShare`` and ``PresenceWatch``, for as many workers as one likes.
///
/// Not in it: what a round trip takes, and what a partition's session does before its first batch.
package struct AssignmentSimulation {
    /// What came of one event.
    package struct Outcome: Sendable {
        /// From the event until every partition was with whom it belongs to; nil when that never came.
        package let settled: Duration?
        /// Partitions that changed hands.
        package let moved: Int
        /// Partitions that had to: by the shares before and after.
        package let needed: Int
        /// How long each of those that changed hands was with nobody, shortest first.
        package let pauses: [Duration]

        /// The pause that so many of a hundred don't exceed; zero for none.
        package func pause(percentile: Int) -> Duration {
            pauses.isEmpty ? .zero : pauses[min(pauses.count - 1, pauses.count * percentile / 100)]
        }
    }

    private final class Worker {
        let name: WorkerName
        /// When in each tick's length its tick comes.
        let phase: Int
        /// Its process runs; otherwise it was killed.
        var isAlive = true
        var isStopping = false
        var watch = PresenceWatch()
        var nextLook = 0
        var gone: Set<WorkerName> = []
        var members: [WorkerName] = []
        var share: Set<Partition> = []
        var leases: Set<Partition> = []
        /// Leases that go back once the batch in hand is done, at that time.
        var returning: [Partition: Int] = [:]
        var holders: [Partition: WorkerName] = [:]

        init(_ name: WorkerName, phase: Int) {
            self.name = name
            self.phase = phase
        }
    }

    /// The finest difference between two things, in milliseconds.
    private static let step = 5
    private static let tick = Int(PresenceWatch.interval / .milliseconds(1))
    private static let term = LeaseTerm()
    /// A heartbeat has a look of its own.
    private static let heartbeat: Duration = .seconds(1)

    private let partitions: [Partition]
    /// The longest that a batch in hand takes, in milliseconds.
    private let batchMax: Int
    private let start = ContinuousClock.now
    private var generator: SeededGenerator
    private var now = 0
    private var workers: [Worker] = []
    private var holders: [Partition: Worker] = [:]
    private var unserved: [Partition: Int] = [:]
    private var pauses: [Int] = []
    private var shares: [[WorkerName]: FairShare] = [:]
    private var named = 0

    /// - Parameters:
    ///   - seed: What is drawn.
    ///   - partitioning: The log's.
    ///   - batchMax: The longest that a batch in hand takes; how long each does is drawn.
    package init(seed: UInt64, _ partitioning: Partitioning, batchMax: Duration) {
        generator = SeededGenerator(seed: seed)
        partitions = partitioning.all
        self.batchMax = max(1, Int(batchMax / .milliseconds(1)))
    }

    /// Starts workers, at moments within a second.
    package mutating func start(_ count: Int) -> Outcome {
        observing { world in
            for number in 0..<count {
                if number > 0 { world.run(forMilliseconds: 1000 / count / Self.step * Self.step) }
                world.startOne()
            }
        }
    }

    /// Kills workers, all at once.
    package mutating func kill(_ count: Int) -> Outcome {
        observing { world in
            for worker in world.workers.filter(\.isAlive).shuffled(using: &world.generator).prefix(count) {
                worker.isAlive = false
                for (partition, holder) in world.holders where holder === worker {
                    world.unserved[partition] = world.now
                }
            }
        }
    }

    /// Replaces all workers, one after the other: one is told to stop, and a second after it has, another is started.
    ///
    /// - Parameter keepsNames: Whether each is called as the one before it.
    /// - Returns: What came of it, from the first stop on.
    package mutating func replaceAll(keepsNames: Bool) -> Outcome {
        observing { world in
            for worker in world.workers where worker.isAlive {
                worker.isStopping = true
                world.run { !$0.workers.contains { $0 === worker } }
                world.run(forMilliseconds: 1000)
                world.startOne(keepsNames ? worker.name : nil)
            }
        }
    }

    // MARK: - Time

    private mutating func observing(_ event: (inout Self) -> Void) -> Outcome {
        let before = rightful()
        let began = now
        (unserved, pauses) = ([:], [])
        event(&self)
        let after = rightful()
        let isSettled = run { $0.holders.mapValues(\.name) == after }
        return Outcome(
            settled: isSettled ? .milliseconds(now - began) : nil, moved: pauses.count,
            needed: partitions.count { before[$0] != nil && before[$0] != after[$0] },
            pauses: pauses.sorted().map { .milliseconds($0) })
    }

    /// Lets time go by until something holds, for a quarter of an hour at most; returns whether it does.
    @discardableResult
    private mutating func run(until holds: (Self) -> Bool) -> Bool {
        let limit = now + 900_000
        while !holds(self) {
            guard now < limit else { return false }
            advance()
        }
        return true
    }

    private mutating func run(forMilliseconds count: Int) {
        let end = now + count
        while now < end { advance() }
    }

    private mutating func advance() {
        now += Self.step
        for worker in workers where worker.isAlive && now % Self.tick == worker.phase { tick(worker) }
        workers.removeAll { $0.isStopping && $0.leases.isEmpty }
    }

    private mutating func startOne(_ name: WorkerName? = nil) {
        named += 1
        guard let name = name ?? WorkerName("w-\(named)") else { preconditionFailure("no name of a worker") }
        workers.append(
            Worker(name, phase: generator.below(Self.tick / Self.step) * Self.step))
    }

    /// Who should have what: the living's shares.
    private mutating func rightful() -> [Partition: WorkerName] {
        let names = workers.filter { $0.isAlive && !$0.isStopping }.map(\.name).sorted()
        var owners: [Partition: WorkerName] = [:]
        for name in names { for partition in share(among: names).partitions(of: name) { owners[partition] = name } }
        return owners
    }

    private mutating func share(among names: [WorkerName]) -> FairShare {
        if let known = shares[names] { return known }
        let share = FairShare(of: partitions, among: names)
        shares[names] = share
        return share
    }

    // MARK: - A worker's tick

    private mutating func look(_ worker: Worker) {
        let members = workers.map { Member(name: $0.name, silence: .zero, subscribers: $0.isAlive ? 1 : 0) }
        let moment = start.advanced(by: .milliseconds(now))
        let present: [WorkerName]
        (present, worker.gone) = worker.watch.observe(members, now: moment, patience: Self.term.duration)
        worker.nextLook =
            now + Int(min(Self.heartbeat, PresenceWatch.interval(of: members.count)) / .milliseconds(1))
        guard present != worker.members else { return }
        worker.members = present
        worker.share = share(among: present).partitions(of: worker.name)
    }

    private mutating func tick(_ worker: Worker) {
        if now >= worker.nextLook { look(worker) }
        if worker.isStopping { worker.share = [] }
        for partition in worker.leases.subtracting(worker.share) where worker.returning[partition] == nil {
            worker.returning[partition] = now + generator.below(batchMax)
            unserved[partition] = worker.returning[partition]
        }
        for (partition, end) in worker.returning where end <= now {
            worker.returning[partition] = nil
            worker.leases.remove(partition)
            holders[partition] = nil
        }
        for partition in worker.share.subtracting(worker.leases).sorted() {
            if let holder = holders[partition] {
                guard worker.holders[partition] == holder.name, worker.gone.contains(holder.name) else {
                    worker.holders[partition] = holder.name
                    continue
                }
            }
            worker.holders[partition] = nil
            worker.leases.insert(partition)
            holders[partition] = worker
            if let since = unserved.removeValue(forKey: partition) { pauses.append(now - since) }
        }
    }
}
