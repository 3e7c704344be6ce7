import Coordination
import OrderLog

/// A worker of one group: sessions of the product's own, over simulated connections.
///
/// What it does around them is what `Lane` and `Coordinator` do: lease, take over, read, process, look; on an error the
/// session, or the connection, starts anew.
final class SimulatedWorker {
    private struct Served {
        var lease: Lease?
        var nextRenewal: Int64 = 0
        var session: PartitionSession?
        var due: Int64 = 0
        var backoff = Backoff(first: .milliseconds(50), most: .milliseconds(800))
    }

    private struct Connection {
        let redis: SimulatedRedis
        let wire: Wire
        let ports: SessionPorts
        let ahead: ReadAhead
    }

    static let term = LeaseTerm(duration: .milliseconds(1500))

    private let world: SimulatedWorld
    private let group: Group
    private let process: SimulatedProcess
    private let name: WorkerName
    private var served: [Served]
    private var connection: Connection?
    private var schedule: Schedule { world.schedule }

    init(_ world: SimulatedWorld, _ group: Group, _ name: WorkerName, _ process: SimulatedProcess) {
        self.world = world
        self.group = group
        self.name = name
        self.process = process
        served = Array(repeating: Served(), count: world.partitioning.count)
    }

    /// Serves until the process is killed.
    func run() async throws {
        while true {
            if process.isKilled || schedule.isOver { throw Killed() }
            do {
                try await round(try await connected())
            } catch let error as StoreError {
                schedule.note("\(name): \(error)")
                connection = nil
                for index in served.indices { served[index].session = nil }
                await schedule.wait(process, milliseconds: 20 + schedule.generator.below(300))
            }
        }
    }

    private func connected() async throws -> Connection {
        if let connection { return connection }
        await schedule.travel(process)
        let redis = world.address
        let line = (schedule: schedule, process: process)
        let wire = Wire(redis, .redis, line)
        let note: (String) -> Void = { [schedule] text in schedule.note(text) }
        let log = SimulatedLog(redis, wire, group, name, line)
        var ledger: SimulatedLedger?
        if group == .postgres {
            ledger = SimulatedLedger(
                world.postgres, Wire(world.postgres, .postgres, line), note: note)
        }
        let sink: any BuiltInSink = ledger ?? SimulatedSink(redis, wire, group, note: note)
        let made = Connection(
            redis: redis, wire: wire,
            ports: SessionPorts(
                identity: world.identity, owner: name, log: log, sink: sink, ledger: ledger,
                pacing: SimulatedPacing(schedule, process)),
            ahead: ReadAhead(log))
        connection = made
        return made
    }

    private func round(_ connection: Connection) async throws {
        for partition in world.partitioning.all {
            try await keepLease(of: partition, connection)
            try await takeOverIfDue(partition, connection)
        }
        let ready = world.partitioning.all.filter { served[$0.number].session != nil }
        guard !ready.isEmpty else {
            await schedule.wait(process, milliseconds: 30 + schedule.generator.below(150))
            return
        }
        let wait = Duration.milliseconds(schedule.generator.below(4) == 0 ? 0 : 150)
        var sessions = Sessions()
        for partition in ready { sessions[partition] = served[partition.number].session }
        let request = ReadAhead.Request(
            sessions: sessions, budget: ReadBudget(entries: ready.count + schedule.generator.below(6 * ready.count)),
            now: world.instant(schedule.now))
        do {
            try await connection.ahead.fill(request, wait: wait)
        } catch let error as StoreError where error.kind != .unavailable {
            for partition in ready { restart(partition, "\(error)") }
            return
        }
        var read: Set<Partition> = []
        for _ in 0..<connection.ahead.count {
            guard let part = connection.ahead.take() else { break }
            let partition = part.session.partition
            read.insert(partition)
            guard served[partition.number].session === part.session else { continue }
            try await step(partition) { session in
                try await session.process(try part.entries()) { await connection.ahead.prepare(request) }
            }
        }
        let asked = connection.ahead.takeAsked()
        for partition in ready where asked.contains(partition) && (read.isEmpty || schedule.generator.chance(100)) {
            let foundNothing = !read.contains(partition) && !connection.ahead.holds(partition)
            try await step(partition) {
                let progress = try await $0.look(foundNothing: foundNothing)
                if progress.isBehind { connection.ahead.expect(partition) }
                return progress
            }
        }
    }

    private func keepLease(of partition: Partition, _ connection: Connection) async throws {
        let (index, schedule, redis, group, name) = (partition.number, schedule, connection.redis, group, name)
        let now = schedule.now
        guard now >= served[index].nextRenewal else { return }
        let milliseconds = Int64(Self.term.duration / .milliseconds(1))
        let sent = world.instant(now)
        if let lease = served[index].lease {
            served[index].nextRenewal = now + Int64(Self.term.renewal / .microseconds(1))
            let isHeld = try await connection.wire.call {
                redis.renewLease(partition, group, name, milliseconds: milliseconds)
            }
            if isHeld { return lease.renew(sent: sent) }
            schedule.note("\(name): lost the lease of \(partition)")
            served[index].lease = nil
            served[index].session = nil
        } else {
            served[index].nextRenewal = now + Int64(schedule.generator.below(300_000))
            let isTaken = try await connection.wire.call { [world] in
                redis.acquireLease(
                    partition, group, name, milliseconds: milliseconds, isGone: { world.seemsGone($0) })
            }
            guard isTaken else { return }
            schedule.note("\(name): has the lease of \(partition)")
            served[index].lease = Lease(term: Self.term, sent: sent)
            served[index].nextRenewal = now + Int64(Self.term.renewal / .microseconds(1))
            served[index].due = now
        }
    }

    private func takeOverIfDue(_ partition: Partition, _ connection: Connection) async throws {
        let index = partition.number
        guard let lease = served[index].lease, served[index].session == nil, schedule.now >= served[index].due else {
            return
        }
        guard lease.isUsable(at: world.instant(schedule.now)) else {
            return restart(partition, "the lease may have run out")
        }
        let session = PartitionSession(partition, connection.ports, lease: lease)
        do {
            switch try await session.takeOver() {
            case .waiting(let reason): restart(partition, reason)
            case .serving(let progress):
                served[index].session = session
                served[index].backoff.reset()
                schedule.note("\(name): serves \(partition), applied \(progress.applied) reclaimed ones")
            }
        } catch {
            try end(partition, because: error, connection)
        }
    }

    private func step(
        _ partition: Partition, _ body: (PartitionSession) async throws -> PartitionSession.Progress
    ) async throws {
        guard let session = served[partition.number].session, let connection else { return }
        do { _ = try await body(session) } catch { try end(partition, because: error, connection) }
    }

    private func end(_ partition: Partition, because error: any Error, _ connection: Connection) throws {
        switch error {
        case SessionStop.halt(let reason):
            world.judge.halted(
                name.text, reason, on: connection.redis, isCurrent: connection.redis === world.address)
            restart(partition, reason)
            served[partition.number].due = schedule.now + 2_000_000
        case let stop as SessionStop: restart(partition, stop.description)
        case let error as StoreError where error.kind != .unavailable: restart(partition, error.description)
        default: throw error
        }
    }

    private func restart(_ partition: Partition, _ reason: String) {
        schedule.note("\(name): \(partition): \(reason)")
        let pause = served[partition.number].backoff.next(using: &schedule.generator)
        served[partition.number].session = nil
        connection?.ahead.forget(partition)
        served[partition.number].due = schedule.now + Int64(pause / .microseconds(1))
    }
}

/// Virtual time, as a lane sees it.
final class SimulatedPacing: Pacing {
    private let schedule: Schedule
    private let process: SimulatedProcess

    init(_ schedule: Schedule, _ process: SimulatedProcess) {
        self.schedule = schedule
        self.process = process
    }

    var now: ContinuousClock.Instant { SimulatedWorld.start.advanced(by: .microseconds(schedule.now)) }

    func pause(until moment: ContinuousClock.Instant) async {
        await schedule.wait(process, until: Int64(SimulatedWorld.start.duration(to: moment) / .microseconds(1)))
    }
}
