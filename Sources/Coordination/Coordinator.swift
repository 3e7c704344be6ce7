import Logging
import OrderLog

/// A worker's dealings with its group: its heartbeat, who else is there, its share of the partitions, and their leases.
///
/// On a lane of its own, so that a slow sink can't keep leases from being renewed.
actor Coordinator {
    /// How often leases are seen to, and few members looked at.
    static let tick: Duration = PresenceWatch.interval
    static let heartbeat: Duration = .seconds(1)
    /// The rate that is shown covers about this long.
    static let rateWindow = 5

    private let settings: WorkerSettings
    private let executor: any SerialExecutor
    private let pacing: any Pacing & Sendable
    private let connector: any WorkerConnector
    private let board: AssignmentBoard
    private let logger: Logger
    private let outages: Outages

    private var port: (any CoordinationPort)?
    private var hasConnected = false
    /// What was told of it last.
    private var fileRefusal: String?
    private var backoff = Backoff(most: .milliseconds(500))
    private var generator = SystemRandomNumberGenerator()

    private var watch = PresenceWatch()
    private var leases: [Partition: Lease] = [:]
    /// Leases to give back once the lane has let go.
    private var returning: Set<Partition> = []
    /// The holders of leases that should be ours, as last seen.
    private var holders: [Partition: (holder: WorkerName, remaining: Duration)] = [:]
    private var share: (members: [WorkerName], partitions: Set<Partition>) = ([], [])
    /// Who was gone at the last look.
    private var gone: Set<WorkerName> = []
    private var nextBeat: ContinuousClock.Instant
    private var nextLook: ContinuousClock.Instant
    private var nextRenewal: ContinuousClock.Instant
    private var samples: [(at: ContinuousClock.Instant, applied: Int)] = []
    private var servedText: String?
    private var hasBeaten = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(
        _ settings: WorkerSettings, on executor: any SerialExecutor, pacing: any Pacing & Sendable,
        connector: any WorkerConnector, board: AssignmentBoard, logger: Logger, outages: Outages
    ) {
        self.outages = outages
        self.settings = settings
        self.executor = executor
        self.pacing = pacing
        self.connector = connector
        self.board = board
        self.logger = logger
        nextBeat = pacing.now
        nextLook = pacing.now
        nextRenewal = pacing.now
    }

    /// Runs until the board says stop and the lanes have ended; then gives everything back, within its bound.
    func run() async {
        while !board.isStopping {
            await round { try await self.tick($0) }
            if !board.isStopping { await pacing.pause(until: pacing.now.advanced(by: Self.tick)) }
        }
        let limit = pacing.now.advanced(by: settings.stopLimit)
        while !board.lanesHaveEnded && pacing.now < limit {
            await round { try await $0.unblock(self.board.clientsToUnblock) }
            await pacing.pause(until: pacing.now.advanced(by: .milliseconds(10)))
        }
        sayWhatWasReclaimed()
        await round { port in
            for partition in self.leases.keys {
                try await self.unlessAway(partition) { try await port.release(partition) }
            }
            try await port.leave()
        }
    }

    private func round(_ body: (any CoordinationPort) async throws -> Void) async {
        do {
            let port = try await connected()
            try await body(port)
            outages.over(for: .coordinator, at: pacing.now)
        } catch {
            port = nil
            outages.note(error, doing: "membership", by: .coordinator, at: pacing.now)
            await pacing.pause(until: pacing.now.advanced(by: backoff.next(using: &generator)))
        }
    }

    private func connected() async throws -> any CoordinationPort {
        if let port { return port }
        let made = try await connector.connectCoordinator()
        if let why = made.fileRefusal, why != fileRefusal {
            logger.warning("Redis does not begin a new append-only file (status warns of it, aof-tail): \(why)")
        }
        fileRefusal = made.fileRefusal
        port = made
        backoff.reset()
        // Behind a restarted server, or a lost connection, others may not have come back yet.
        if hasConnected || made.serverUptime < settings.term.renewal {
            watch.grace(until: pacing.now.advanced(by: settings.term.renewal))
        }
        hasConnected = true
        nextBeat = pacing.now
        nextRenewal = pacing.now
        return made
    }

    private func tick(_ port: any CoordinationPort) async throws {
        let isBeating = pacing.now >= nextBeat
        if isBeating {
            nextBeat = pacing.now.advanced(by: Self.heartbeat)
            try await port.checkPresence()
        }
        if isBeating || pacing.now >= nextLook { try await look(port, isBeating: isBeating) }
        try await renewIfDue(port)
        try await giveBack(port)
        for partition in share.partitions.filter({ leases[$0] == nil }).sorted() {
            try await unlessAway(partition) { try await acquire(partition, port) }
        }
        let clients = board.clientsToUnblock
        if !clients.isEmpty { try await port.unblock(clients) }
        if isBeating {
            try await port.publish(report())
            sayWhatIsServed(port.server)
            sayWhatWasReclaimed()
        }
    }

    /// Sees who is there, and whose share is what.
    private func look(_ port: any CoordinationPort, isBeating: Bool) async throws {
        let members = try await port.members(isBeating: isBeating)
        let present: [WorkerName]
        (present, gone) = watch.observe(members, now: pacing.now, patience: settings.term.duration)
        nextLook = pacing.now.advanced(by: PresenceWatch.interval(of: members.count))
        guard present != share.members else { return }
        share = (
            present, FairShare(of: settings.identity.partitioning.all, among: present).partitions(of: settings.name)
        )
    }

    /// Does something about one partition's lease; when its server is away, that is told, and the others' are not concerned.
    ///
    /// A lease that can't be renewed ends by itself.
    private func unlessAway(_ partition: Partition, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let error as StoreError where error.kind == .partUnavailable {
            outages.note(
                .partitions(reason: "\(error)", isHalted: false), "\(error)", by: .partition(partition), at: pacing.now)
        }
    }

    private func acquire(_ partition: Partition, _ port: any CoordinationPort) async throws {
        let holder = holders[partition].flatMap { gone.contains($0.holder) ? $0 : nil }
        let sent = pacing.now
        switch try await port.acquire(partition, gone: holder) {
        case .held(let name, let remaining):
            // Whatever there was: it is somebody else's now.
            outages.forget(.partition(partition))
            holders[partition] = (name, remaining)
        case .acquired(let former):
            holders[partition] = nil
            let lease = Lease(term: settings.term, sent: sent)
            leases[partition] = lease
            board.assign(partition, AssignmentBoard.Assignment(lease: lease, formerHolder: former))
        }
    }

    private func renewIfDue(_ port: any CoordinationPort) async throws {
        guard pacing.now >= nextRenewal, !leases.isEmpty else { return }
        let sent = pacing.now
        nextRenewal = sent.advanced(by: settings.term.renewal)
        var lost: [Partition] = []
        for (partition, lease) in leases.sorted(by: { $0.key < $1.key }) {
            try await unlessAway(partition) {
                if try await port.renew(partition) { lease.renew(sent: sent) } else { lost.append(partition) }
            }
        }
        guard !lost.isEmpty else { return }
        logger.warning("\(lost.list): the lease was lost")
        for partition in lost {
            board.withdraw(partition)
            leases[partition] = nil
            returning.remove(partition)
        }
    }

    /// Leases over the share go back when the lane has finished the batch in hand.
    private func giveBack(_ port: any CoordinationPort) async throws {
        for partition in leases.keys where !share.partitions.contains(partition) && !returning.contains(partition) {
            returning.insert(partition)
            board.withdraw(partition)
        }
        for partition in returning where !board.isBusy(with: partition) {
            // One that can't be given back ends by itself.
            try await unlessAway(partition) { try await port.release(partition) }
            returning.remove(partition)
            leases[partition] = nil
        }
    }

    // MARK: - What people see

    private func report() -> WorkerReport {
        let counts = board.counts
        let now = pacing.now
        samples.append((now, counts.applied))
        if samples.count > Self.rateWindow + 1 { samples.removeFirst() }
        let first = samples.first ?? (now, counts.applied)
        let seconds = first.at.duration(to: now) / .seconds(1)
        return WorkerReport(
            worker: settings.name.text, group: settings.group, applied: counts.applied,
            appliedPerSecond: seconds > 0 ? Double(counts.applied - first.applied) / seconds : 0,
            refused: counts.refused, partitions: counts.reports, formats: LogFormat.told)
    }

    /// Once for all partitions: behind an outage each has something.
    private func sayWhatWasReclaimed() {
        guard let reclaimed = board.takeReclaimed() else { return }
        logger.info("\(reclaimed.partitions.sorted().list): \(reclaimed.text)")
    }

    private func sayWhatIsServed(_ server: String) {
        // The first heartbeat comes before anything can be served.
        defer { hasBeaten = true }
        guard hasBeaten || !leases.isEmpty else { return }
        let numbers = leases.keys.sorted().map(\.description).joined(separator: " ")
        let text = "partitions \(numbers.isEmpty ? "none" : numbers) of \(settings.identity.partitioning.count)"
        if text != servedText { logger.info("serving \(settings.group.name) · \(text) · \(server)") }
        servedText = text
    }
}
