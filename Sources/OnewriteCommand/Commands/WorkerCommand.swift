import Connections
import ArgumentParser
import Coordination
import Foundation
import Logging
import OrderLog
import Synchronization
import ThreadedIO
import UnixSignals

/// `onewrite worker`.
struct WorkerCommand: AsyncParsableCommand, ShowsItsOwnProgress {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Serve a consumer group: postgres, stock or delivery.",
        discussion: """
            Example:
              onewrite worker --group stock --name stock-a

            Start as many as you like, on as many machines: the workers of a group share its partitions, and take over from \
            one that is gone. SIGTERM or Ctrl-C finishes the batch in hand; a second one stops at once. Nothing is lost either \
            way: entries stay pending until they are applied. Servers, or a log, that aren't there yet are waited for.
            """)

    @Option(help: "The group: postgres, stock or delivery.")
    var group: Group

    @Option(help: ArgumentHelp("The worker's name, unique in its group (default: made up).", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("Threads, each with its own connections, that share the partitions.", valueName: "N"))
    var lanes = 1

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...64).contains(lanes) else { throw ValidationError("--lanes: expected 1 to 64, got \(lanes)") }
        if let name, WorkerName(name) == nil {
            throw ValidationError("--name: expected 1 to 64 of A-Z a-z 0-9 . _ -, got \(FieldError.quote(name))")
        }
    }

    func run() async throws {
        let settings = try common.settings()
        let worker = try Self.workerName(name, group)
        let servers = try Servers(settings, name: "onewrite-\(worker)")
        let term = LeaseTerm(duration: try settings.lease())
        var logger = Logger(label: worker.text) { PersonLogHandler(name: $0) }
        logger.logLevel = .info
        let outages = Outages(logger: logger)
        try await WorkerStop.handlingSignals(logger) { [group, lanes, logger] stop in
            let start = WorkerStart(
                servers: servers, group: group, worker: worker, outages: outages, interrupt: stop.interrupt)
            guard let identity = try await CommandLane("start").run({ _ in try start.run() }) else { return }
            let connector = ServerConnector(
                servers: servers, group: group, worker: worker, identity: identity, term: term)
            let served = Worker(
                WorkerSettings(group: group, name: worker, identity: identity, lanes: lanes, term: term),
                connector: connector, logger: logger, outages: outages
            ) { name in
                let pacing = ThreadPacing()
                return LaneThread(executor: ThreadExecutor(name: name), pacing: pacing, bell: pacing)
            }
            stop.stops(served)
            await served.run()
            logger.info("stopped · \(served.applied) applied")
        }
    }

    private static func workerName(_ given: String?, _ group: Group) throws -> WorkerName {
        let text = given ?? "\(group.name)-\(String(UInt32.random(in: 0..<(1 << 24)), radix: 16))"
        guard let name = WorkerName(text) else { throw Failure(.usage, "--name: \(FieldError.quote(text)) is no name") }
        return name
    }
}

/// What a signal stops: a worker, or the wait for its servers.
private final class WorkerStop: Sendable {
    /// Ends the wait.
    let interrupt = Interrupt()
    private let state = Mutex<(isRequested: Bool, worker: Worker?)>((false, nil))

    /// The worker is stopped from now on.
    func stops(_ worker: Worker) {
        let isRequested = state.withLock { state in
            state.worker = worker
            return state.isRequested
        }
        if isRequested { worker.stop() }
    }

    /// Runs a body; Ctrl-C and SIGTERM stop what it does, and a second one ends the process at once.
    static func handlingSignals(
        _ logger: Logger, _ body: @escaping @Sendable (WorkerStop) async throws -> Void
    ) async throws {
        let stop = WorkerStop()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
                    // The shell's own code for an end by this signal.
                    if !stop.request(signal == .sigint ? "Ctrl-C" : "another signal", logger) {
                        Foundation.exit(128 + signal.rawValue)
                    }
                }
            }
            defer { tasks.cancelAll() }
            try await body(stop)
        }
    }

    /// Whether it is the first request.
    private func request(_ again: String, _ logger: Logger) -> Bool {
        let (isFirst, worker) = state.withLock { state in
            defer { state.isRequested = true }
            return (!state.isRequested, state.worker)
        }
        guard isFirst else { return false }
        logger.info(
            worker == nil
                ? "stopping before it served anything"
                : "finishing the batch in hand (\(again) stops at once; nothing is lost, entries stay pending)")
        interrupt.signal()
        worker?.stop()
        return true
    }
}
