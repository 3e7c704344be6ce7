import Harness

/// What is done to a running system.
enum Fault: String, CaseIterable, Sendable {
    case workerKill = "worker kill -9"
    case zombie = "zombie: stopped past its lease, another took over, resumed"
    case submitterKill = "submitter kill -9"
    case redisKill = "Redis kill -9, restart from AOF"
    case tailLost = "lost tail: AOF cut, restart"
    case redisStop = "Redis SIGSTOP, 0.3 to 2 s"
    case clientPause = "CLIENT PAUSE, 0.3 to 2 s"
    case clientKill = "CLIENT KILL of all"
    case scriptFlush = "SCRIPT FLUSH"
    case groupDestroy = "XGROUP DESTROY"
    case postgresStop = "Postgres stopped at once, started"
    case postgresPause = "Postgres SIGSTOP, 0.3 to 2 s"
    case backendsTerminated = "pg_terminate_backend of all"
    case rowLocked = "a position's row locked by another"
    case linksCut = "link cut (RST)"
    case linksRefused = "link refuses connections"
    case linksDelayed = "link slow by 5 to 50 ms"
    case linksHeld = "link half open or dead"
    case linksSplit = "link in pieces of 1 to 7 bytes"
    case answerDropped = "answer dropped behind the request"
    case frameCut = "link cut in the middle of a frame"
    case shardFailed = "master of a shard kill -9, its replica takes over"
    case shardIsolated = "master cut off from the other nodes, not from clients"
    case shardStopped = "master SIGSTOP until its replica has taken over, resumed"
    case shardHandedOver = "CLUSTER FAILOVER, in an orderly way"
    case slotMoved = "a partition's slot moved, key by key"
    case slotHeld = "a slot left half moved for 0.3 to 2 s"

    /// What is done to one server.
    static let ofServer = allCases.filter { !ofClusterOnly.contains($0) }
    /// What is done to a cluster.
    static let ofCluster = allCases
    private static let ofClusterOnly: Set<Fault> = [
        .shardFailed, .shardIsolated, .shardStopped, .shardHandedOver, .slotMoved, .slotHeld,
    ]

    /// Faults of one lane come one after another, those of different lanes at the same time.
    enum Lane: CaseIterable, Sendable {
        case workers, zombies, submitters, redis, postgres, links
    }

    var lane: Lane {
        switch self {
        case .workerKill: .workers
        case .zombie: .zombies
        case .submitterKill: .submitters
        case .redisKill, .tailLost, .redisStop, .clientPause, .clientKill, .scriptFlush, .groupDestroy: .redis
        case .shardFailed, .shardIsolated, .shardStopped, .shardHandedOver, .slotMoved, .slotHeld: .redis
        case .postgresStop, .postgresPause, .backendsTerminated, .rowLocked: .postgres
        case .linksCut, .linksRefused, .linksDelayed, .linksHeld, .linksSplit, .answerDropped, .frameCut: .links
        }
    }

    /// How often, on average.
    var interval: Duration {
        switch self {
        case .workerKill: .seconds(3)
        case .zombie: .seconds(10)
        case .submitterKill: .seconds(8)
        case .redisKill: .seconds(22)
        case .tailLost: .seconds(45)
        case .redisStop, .clientPause, .clientKill, .scriptFlush, .groupDestroy: .seconds(40)
        case .postgresStop: .seconds(22)
        case .postgresPause, .backendsTerminated, .rowLocked: .seconds(40)
        case .linksCut, .linksRefused, .linksDelayed, .linksHeld, .linksSplit, .answerDropped, .frameCut: .seconds(25)
        case .shardFailed, .slotMoved: .seconds(20)
        case .shardIsolated, .shardStopped, .shardHandedOver, .slotHeld: .seconds(40)
        }
    }
}

/// A fault, when it comes, and what decides the rest of it.
struct ScheduledFault: Sendable, Equatable {
    let fault: Fault
    let at: Duration
    let seed: UInt64
}

/// The faults of a stretch of time: the same for the same seed.
struct FaultSchedule: Sendable, Equatable {
    let length: Duration
    let faults: [ScheduledFault]
    /// What decides the zombies after them.
    let calmSeeds: [UInt64]

    /// - Parameters:
    ///   - length: How long it lasts; each fault comes once at least.
    ///   - kinds: What comes.
    ///   - generator: Where chance comes from.
    init(length: Duration, of kinds: [Fault], using generator: inout SeededGenerator) {
        self.length = length
        var faults: [ScheduledFault] = []
        for fault in kinds {
            for _ in 0..<max(1, Int((length / fault.interval).rounded())) {
                // Later than the first orders.
                let at = length * Double.random(in: 0.1..<1, using: &generator)
                faults.append(ScheduledFault(fault: fault, at: at, seed: generator.next()))
            }
        }
        self.faults = faults.sorted { $0.at < $1.at }
        calmSeeds = (0..<3).map { _ in generator.next() }
    }

    func faults(of lane: Fault.Lane) -> [ScheduledFault] { faults.filter { $0.fault.lane == lane } }
}
