package import Logging
package import OrderLog
import Synchronization

/// What a worker is told.
package struct WorkerSettings: Sendable {
    package var group: Group
    package var name: WorkerName
    package var identity: LogIdentity
    package var lanes: Int
    package var term: LeaseTerm
    /// How long a clean stop may take; then the leases run out by themselves.
    package var stopLimit: Duration

    package init(
        group: Group, name: WorkerName, identity: LogIdentity, lanes: Int = 1, term: LeaseTerm = LeaseTerm(),
        stopLimit: Duration = .seconds(10)
    ) {
        self.group = group
        self.name = name
        self.identity = identity
        self.lanes = lanes
        self.term = term
        self.stopLimit = stopLimit
    }
}

/// A thread for a lane, with its clock and the bell that wakes it.
package struct LaneThread: Sendable {
    package let executor: any SerialExecutor
    package let pacing: any Pacing & Sendable
    package let bell: any LaneBell

    package init(executor: any SerialExecutor, pacing: any Pacing & Sendable, bell: any LaneBell) {
        self.executor = executor
        self.pacing = pacing
        self.bell = bell
    }
}

/// A process's worker of one group: a coordinator, and the lanes that apply.
///
/// ``run()`` serves until ``stop()``; errors of the servers never end it.
package final class GroupWorker: Sendable {
    private let settings: WorkerSettings
    private let board: AssignmentBoard
    private let coordinator: Coordinator
    private let coordinatorBell: any LaneBell
    private let lanes: [Lane]

    /// - Parameters:
    ///   - settings: What to serve.
    ///   - connector: Makes the connections.
    ///   - logger: For people: what was taken over, and what went wrong.
    ///   - outages: For people: what is waited for.
    ///   - makeThread: Makes a thread of this name.
    package init(
        _ settings: WorkerSettings, connector: any WorkerConnector, logger: Logger, outages: Outages,
        makeThread: (String) -> LaneThread
    ) {
        let control = makeThread("coordinator")
        let threads = (0..<settings.lanes).map { makeThread("lane-\($0)") }
        let board = AssignmentBoard(bells: threads.map(\.bell))
        self.settings = settings
        self.board = board
        coordinatorBell = control.bell
        coordinator = Coordinator(
            settings, on: control.executor, pacing: control.pacing, connector: connector, board: board, logger: logger,
            outages: outages)
        lanes = threads.enumerated().map { number, thread in
            Lane(
                number, on: thread.executor, pacing: thread.pacing, connector: connector,
                board: board,
                term: settings.term, logger: logger, outages: outages)
        }
    }

    /// Serves until it is told to stop; then finishes the batches in hand, releases the leases and signs off.
    package func run() async {
        await withTaskGroup { group in
            group.addTask { await self.coordinator.run() }
            for lane in lanes { group.addTask { await lane.run() } }
        }
    }

    /// Tells ``run()`` to end, from any thread.
    package func stop() {
        board.stop()
        coordinatorBell.ring()
    }

    /// The partitions that it serves at this moment, ascending.
    package var serving: [Partition] {
        board.counts.reports.filter { $0.state == .serving }.map { Partition($0.partition) }
    }

    /// Entries applied or set aside so far.
    package var applied: Int { board.counts.applied }
    /// Batches that a store refused since another worker had taken over.
    package var refused: Int { board.counts.refused }
}
