import Faults
import Logging
import OrderLog

/// A thread of a worker, with its own connections, that serves some of the worker's partitions.
///
/// Reads new entries of all its partitions in one call and hands them to their sessions. An error ends a session, or
/// all of them with the connection; they are taken over again with a jittered backoff, for ever.
actor Lane {
    /// How long the server parks a read, and so how often an idle lane looks at the heads.
    static let readWait: Duration = .milliseconds(500)

    private struct Served {
        let assignment: AssignmentBoard.Assignment
        /// When its head was last looked at.
        var lastLook: ContinuousClock.Instant?
        var backoff = Backoff()
    }

    private let number: Int
    private let executor: any SerialExecutor
    private let connector: any WorkerConnector
    private let board: AssignmentBoard
    private let term: LeaseTerm
    private let logger: Logger
    private let outages: Outages
    private let pacing: any Pacing & Sendable

    private var connection: LaneConnection?
    private var nextConnect: ContinuousClock.Instant
    private var connectBackoff = Backoff(most: .milliseconds(500))
    private var served: [Partition: Served] = [:]
    /// Those of them that are to be taken over, and when.
    private var waiting: [Partition: ContinuousClock.Instant] = [:]
    /// The others.
    private var sessions = Sessions()
    private var generator = SystemRandomNumberGenerator()
    private var budget = ReadBudget()
    /// Partitions that showed more than was read: looked at again once they have been asked.
    private var behind: Set<Partition> = []
    private var ahead: ReadAhead?

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(
        _ number: Int, on executor: any SerialExecutor, pacing: any Pacing & Sendable,
        connector: any WorkerConnector, board: AssignmentBoard, term: LeaseTerm, logger: Logger, outages: Outages
    ) {
        self.outages = outages
        self.number = number
        self.executor = executor
        self.pacing = pacing
        self.connector = connector
        self.board = board
        self.term = term
        self.logger = logger
        nextConnect = pacing.now
    }

    /// Serves until the board says stop; then lets go of everything and returns.
    func run() async {
        while true {
            if let (wanted, isStopping) = board.changedAssignments(ofLane: number) {
                if isStopping || isChange(wanted) { await processAhead() }
                follow(wanted)
                if isStopping { break }
            }
            if served.isEmpty {
                // It tries nothing, and so learns nothing.
                outages.forget(.lane(number))
                await pacing.pause(until: pacing.now.advanced(by: .seconds(60)))
                continue
            }
            guard let connection = await connected() else { continue }
            do {
                try await serve(connection)
            } catch {
                disconnect(because: error)
            }
        }
        disconnect()
        board.laneEnded()
    }

    /// Whether a partition is to be given back.
    private func isChange(_ wanted: [Partition: AssignmentBoard.Assignment]) -> Bool {
        served.contains { partition, old in wanted[partition]?.lease !== old.assignment.lease }
    }

    private func follow(_ wanted: [Partition: AssignmentBoard.Assignment]) {
        for (partition, old) in served where wanted[partition]?.lease !== old.assignment.lease {
            served[partition] = nil
            waiting[partition] = nil
            endSession(of: partition)
            outages.forget(.partition(partition))
            if wanted[partition] == nil { board.released(partition) }
        }
        for (partition, assignment) in wanted where served[partition] == nil {
            served[partition] = Served(assignment: assignment)
            waiting[partition] = pacing.now
            board.report(partition, .starting)
        }
    }

    // MARK: - The connection

    private func connected() async -> LaneConnection? {
        if let connection { return connection }
        guard pacing.now >= nextConnect else {
            await pacing.pause(until: nextConnect)
            return nil
        }
        do {
            let made = try await connector.connectLane(number, pacing: pacing)
            connection = made
            ahead = ReadAhead(made.ports.log)
            board.connected(lane: number, client: made.clientID)
            return made
        } catch {
            nextConnect = pacing.now.advanced(by: connectBackoff.next(using: &generator))
            // Redis is connected first.
            if (error as? StoreError)?.store == .postgres {
                outages.over(for: .lane(number), with: .redis, at: pacing.now)
            }
            note(error)
            return nil
        }
    }

    private func disconnect(because error: (any Error)? = nil) {
        if let error, connection != nil {
            note(error)
            // A connection that opens proves little: only one that serves starts the pauses anew.
            nextConnect = pacing.now.advanced(by: connectBackoff.next(using: &generator))
        }
        connection = nil
        ahead = nil
        board.connected(lane: number, client: nil)
        sessions.removeAll()
        for partition in served.keys { waiting[partition] = pacing.now }
    }

    private func note(_ error: any Error) {
        outages.note(error, doing: "connecting", by: .lane(number), at: pacing.now)
        for partition in served.keys { board.report(partition, .stalled, error: "\(error)") }
    }

    // MARK: - Serving

    /// One round: takes over what is due, reads, and applies.
    ///
    /// Throws when the connection is of no use any more.
    private func serve(_ connection: LaneConnection) async throws {
        for partition in waiting.keys.sorted() { try await takeOverIfDue(partition, connection) }
        guard !sessions.isEmpty else {
            await pacing.pause(until: earliestAttempt ?? pacing.now.advanced(by: .seconds(1)))
            return
        }
        guard let ahead else { return }
        let wait = min(Self.readWait, untilEarliestAttempt ?? Self.readWait)
        do {
            try await ahead.fill(request, wait: wait)
        } catch let error as StoreError where Self.isOfPartition(error) {
            // It isn't said whose: each takes over again, makes its group if that is missing, and finds its own trouble.
            for partition in sessions.partitions { restart(partition, because: error) }
            return
        }
        connectBackoff.reset()
        outages.over(for: .lane(number), at: pacing.now)
        if ahead.count > 0 { try Faults.pass(.afterRead) }
        let read = try await process(ahead)
        // Only who was asked can be known to have nothing.
        for partition in ahead.takeAsked() {
            let isOverdue = isLookOverdue(partition, idle: read.isEmpty)
            guard isOverdue || behind.contains(partition) else { continue }
            behind.remove(partition)
            let foundNothing = !read.contains(partition) && !ahead.holds(partition)
            try await step(partition, isLook: true) { try await $0.look(foundNothing: foundNothing) }
        }
    }

    /// What reads are planned from.
    private var request: ReadAhead.Request {
        ReadAhead.Request(sessions: sessions, budget: budget, now: pacing.now)
    }

    /// Processes the parts in hand; while the sink works on one of them, what comes behind is prepared.
    ///
    /// Returns the partitions that had any.
    private func process(_ ahead: ReadAhead) async throws -> Set<Partition> {
        var read: Set<Partition> = []
        for _ in 0..<ahead.count {
            guard let part = ahead.take() else { break }
            let partition = part.session.partition
            read.insert(partition)
            guard sessions[partition] === part.session else { continue }
            try await step(partition) { session in
                let entries = try part.entries()
                budget.note(entries)
                return try await session.process(entries) { await ahead.prepare(request) }
            }
        }
        return read
    }

    /// Processes what was read already, before a partition is given back: whoever gets it then has nothing to reclaim.
    private func processAhead() async {
        guard let ahead, !ahead.isEmpty else { return }
        do {
            repeat {
                try await ahead.receiveLast()
                _ = try await process(ahead)
            } while !ahead.isEmpty
        } catch {
            disconnect(because: error)
        }
    }

    /// Whether a partition's head should be looked at: often while nothing comes, and in time under load.
    ///
    /// With very many partitions the looks are spread, so that an idle worker stays cheap.
    private func isLookOverdue(_ partition: Partition, idle: Bool) -> Bool {
        guard sessions[partition] != nil, let lastLook = served[partition]?.lastLook else { return false }
        let often = max(Self.readWait * 0.8, .milliseconds(5) * sessions.partitions.count)
        return lastLook.duration(to: pacing.now) >= (idle ? often : term.renewal)
    }

    private var earliestAttempt: ContinuousClock.Instant? { waiting.values.min() }

    private var untilEarliestAttempt: Duration? {
        earliestAttempt.map { max(.milliseconds(1), pacing.now.duration(to: $0)) }
    }

    private func step(
        _ partition: Partition, isLook: Bool = false,
        _ body: (PartitionSession) async throws -> PartitionSession.Progress
    ) async throws {
        guard let session = sessions[partition] else { return }
        do {
            let progress = try await body(session)
            if isLook {
                served[partition]?.lastLook = pacing.now
                served[partition]?.backoff.reset()
            }
            if progress.isBehind {
                behind.insert(partition)
                ahead?.expect(partition)
            }
            if progress.applied + progress.quarantined > 0 {
                board.count(applied: progress.applied + progress.quarantined)
                served[partition]?.backoff.reset()
            }
            if progress.quarantined > 0 {
                logger.warning("partition \(partition): \(progress.quarantined) set aside as dead letters")
            }
        } catch {
            try end(partition, because: error)
        }
    }

    private func takeOverIfDue(_ partition: Partition, _ connection: LaneConnection) async throws {
        guard let entry = served[partition], let due = waiting[partition], pacing.now >= due else { return }
        // A worker that was stopped for long must not fence the one that took over meanwhile.
        guard entry.assignment.lease.isUsable(at: pacing.now) else {
            restart(partition, because: SessionStop.leaseUncertain)
            return
        }
        let session = PartitionSession(partition, connection.ports, lease: entry.assignment.lease)
        let began = pacing.now
        do {
            let takeover = try await session.takeOver()
            outages.over(for: .lane(number), at: pacing.now)
            switch takeover {
            case .waiting(let reason): stall(partition, reason)
            case .serving(let progress):
                sessions[partition] = session
                waiting[partition] = nil
                served[partition]?.lastLook = pacing.now
                outages.over(for: .partition(partition), at: pacing.now)
                board.report(partition, .serving)
                board.count(applied: progress.applied + progress.quarantined)
                connection.ports.observer?.tookOver(
                    reclaimed: progress.reclaimed, in: began.duration(to: pacing.now))
                logTakeover(partition, entry, progress)
            }
        } catch {
            try end(partition, because: error)
            // What it takes long to find halted, a large shop's sum, must not keep the lane from its other partitions.
            if case SessionStop.halt = error {
                waiting[partition] = pacing.now.advanced(by: max(Backoff.most, began.duration(to: pacing.now) * 10))
            }
        }
    }

    private func logTakeover(_ partition: Partition, _ entry: Served, _ progress: PartitionSession.Progress) {
        if progress.healed > 0 {
            logger.warning(
                "partition \(partition): Redis had lost its tail; \(progress.healed) applied entries put back into the log"
            )
        }
        if let former = entry.assignment.formerHolder {
            logger.info(
                "partition \(partition): took over from \(former) (gone) · \(ReclaimTally(partition, progress).text)")
        } else if progress.reclaimed > 0 {
            board.reclaimed(partition, progress)
        }
    }

    // MARK: - Trouble

    /// Ends a session.
    ///
    /// Throws the error on when the whole connection is concerned.
    private func end(_ partition: Partition, because error: any Error) throws {
        switch error {
        case SessionStop.halt(let reason):
            // The state of the servers may be mended by a person, so it is looked at again, seldom.
            endSession(of: partition)
            waiting[partition] = pacing.now.advanced(by: Backoff.most)
            board.report(partition, .halted, error: reason)
            outages.note(
                .partitions(reason: reason, isHalted: true), reason, by: .partition(partition), at: pacing.now)
        case SessionStop.stopping:
            endSession(of: partition)
            waiting[partition] = pacing.now.advanced(by: Backoff.most)
        case let stop as SessionStop:
            if case .fenced = stop { board.count(refused: 1) }
            restart(partition, because: stop)
        case let error as StoreError where Self.isOfPartition(error):
            restart(partition, because: error)
        default:
            throw error
        }
        // The servers answered.
        outages.over(for: .lane(number), at: pacing.now)
    }

    /// Whether the server answered, and so goes on with other partitions; a connection that broke says so at the next call.
    private static func isOfPartition(_ error: StoreError) -> Bool {
        switch error.kind {
        case .refused, .groupMissing, .notPermitted, .malformed, .partUnavailable: true
        case .unavailable, .busy, .replica, .misconfigured, .interrupted: false
        }
    }

    private func endSession(of partition: Partition) {
        sessions[partition] = nil
        behind.remove(partition)
        ahead?.forget(partition)
    }

    private func restart(_ partition: Partition, because error: any Error) {
        stall(partition, "\(error)")
    }

    private func stall(_ partition: Partition, _ reason: String) {
        guard var entry = served[partition] else { return }
        endSession(of: partition)
        waiting[partition] = pacing.now.advanced(by: entry.backoff.next(using: &generator))
        board.report(partition, .stalled, error: reason)
        outages.note(.partitions(reason: reason, isHalted: false), reason, by: .partition(partition), at: pacing.now)
        served[partition] = entry
    }
}
