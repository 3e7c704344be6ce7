public import Connections
import Coordination
public import Logging
public import OrderLog
public import ServiceLifecycle
import Synchronization
import ThreadedIO
import Upkeep

/// Serves consumer groups in this process: reads the log, applies it to the groups' sinks, and acknowledges.
///
/// Start as many as you like, on as many machines: the workers of a group share its partitions, and take over from one
/// that is gone. Servers, or a log, that aren't there yet are waited for; servers that go are waited for too. Errors of the
/// servers or of a sink never end a worker.
///
/// Each group has a thread for its leases and one for each lane, with connections of their own: no thread of Swift's pool
/// is ever blocked.
///
/// Counts what it does, group by group, in `onewrite_applied_total` and `onewrite_refused_total` of swift-metrics, with
/// whatever backend the process has chosen.
public final class Worker: Service {
    struct State {
        var isStopping = false
        var served: [GroupWorker] = []
        /// Groups that are served with what the log says of them.
        var recorded: Set<Group> = []
    }

    /// The worker's name: its consumer name in Redis, its owner's mark in the sinks.
    public let name: WorkerName
    let servers: Servers
    let sinks: [SinkDefinition]
    private let servesRecorded: Bool
    private let lanes: Int
    private let term: LeaseTerm
    let logger: Logger
    private let outages: Outages
    /// Ends the wait for servers.
    let interrupt = Interrupt()
    let state = Mutex(State())

    /// Makes a worker; nothing is connected before ``run()``.
    ///
    /// - Parameters:
    ///   - configuration: Where the log lives.
    ///   - sinks: What to serve; at least one, no group twice.
    ///   - servesRecorded: Whether to serve what else is recorded with the log, too: groups that were added with a kind, also those
    ///     that are added meanwhile.
    ///   - name: Unique in each of the groups; nil for a name that is made up.
    ///   - lanes: Threads for each group that share its partitions, 1 to 64.
    ///   - logger: Takes what people want to know: what was taken over, and what is waited for.
    /// - Throws: ``LogError`` for what can't be served.
    public init(
        _ configuration: LogConfiguration, sinks: [SinkDefinition] = SinkDefinition.builtIn,
        servesRecorded: Bool = false, name: WorkerName? = nil, lanes: Int = 1, logger: Logger
    ) throws(LogError) {
        guard !sinks.isEmpty, Set(sinks.map(\.group)).count == sinks.count else {
            throw LogError(.badConfiguration, "a worker serves at least one group, and none twice")
        }
        guard (1...64).contains(lanes) else {
            throw LogError(.badConfiguration, "lanes: expected 1 to 64, got \(lanes)")
        }
        if let sink = sinks.first(where: \.needsPostgres), configuration.postgres == nil {
            throw LogError(
                .badConfiguration,
                "group \(sink.group) needs Postgres, and none is configured. Set DATABASE_URL, or libpq's PGHOST and the like"
            )
        }
        let name = name ?? WorkerName.madeUp(for: sinks.map(\.group))
        self.name = name
        self.sinks = sinks
        self.servesRecorded = servesRecorded
        self.lanes = lanes
        self.logger = logger
        servers = Servers(configuration, name: "onewrite-\(name)")
        term = LeaseTerm(duration: configuration.lease)
        outages = Outages(logger: logger)
    }

    /// Serves until the task is cancelled, or shut down gracefully; then finishes the batches in hand, gives the leases back
    /// and returns.
    ///
    /// - Throws: ``LogError`` for what waiting can't mend before it served anything: a wrong password, another log's schema, a
    ///   name that is in use.
    public func run() async throws {
        try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                try await serve()
            } onGracefulShutdown: {
                self.stop()
            }
        } onCancel: {
            self.stop()
        }
    }

    /// Tells ``run()`` to finish what is in hand and return, from any thread.
    public func stop() {
        let served = state.withLock { state in
            state.isStopping = true
            return state.served
        }
        interrupt.signal()
        for worker in served { worker.stop() }
    }

    /// Whether a group's servers and log were found, and its work has begun.
    public var isServing: Bool { state.withLock { !$0.served.isEmpty } }

    /// Entries applied or set aside so far, of all groups together.
    public var applied: Int { state.withLock { $0.served }.reduce(0) { $0 + $1.applied } }

    private func serve() async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for sink in sinks { tasks.addTask { try await self.serve(sink) } }
            if servesRecorded { tasks.addTask { await self.serveRecorded() } }
            do {
                // The first that can't be served ends all: waitForAll() would wait for the others before it says so.
                while try await tasks.next() != nil {}
            } catch {
                // The others give back what they hold.
                self.stop()
                while await tasks.nextResult() != nil {}
                throw LogError(anyOf: error) ?? error
            }
        }
    }

    func serve(_ sink: SinkDefinition) async throws {
        while try await serveOnce(sink), !interrupt.isSignalled {}
    }

    /// Serves a group with what the log says of it.
    ///
    /// - Returns: Whether the log says something else of it by now.
    private func serveOnce(_ sink: SinkDefinition) async throws -> Bool {
        // Alone, what it says needs no name.
        let outages = sinks.count == 1 ? outages : outages.of(sink.group)
        let start = WorkerStart(servers: servers, sink: sink, worker: name, outages: outages, interrupt: interrupt)
        guard let found = try await CommandLane("start").run({ _ in try start.run() }) else { return false }
        let connector = ServerConnector(
            servers: servers, sink: sink, worker: name, identity: found.identity, definition: found.definition,
            store: found.store, isStopping: { self.interrupt.isSignalled }, term: term,
            observer: WorkerMeter(sink.group))
        let worker = GroupWorker(
            WorkerSettings(group: sink.group, name: name, identity: found.identity, lanes: lanes, term: term),
            connector: connector, logger: logger, outages: outages
        ) { thread in
            let pacing = ThreadPacing()
            let name = self.sinks.count == 1 ? thread : "\(sink.group)-\(thread)"
            return LaneThread(executor: ThreadExecutor(name: name), pacing: pacing, bell: pacing)
        }
        let isStopping = state.withLock { state in
            state.served.append(worker)
            return state.isStopping
        }
        if isStopping { worker.stop() }
        async let trimming: Void = trim(worker, sink.group, outages)
        async let counting: Void = count(worker, sink.group, outages)
        let isChanged = await withTaskGroup(of: WorkerMetrics.self) { tasks in
            tasks.addTask {
                var metrics = WorkerMetrics(sink.group)
                await metrics.follow(worker)
                return metrics
            }
            async let watching = watch(worker, sink, found.definition)
            await worker.run()
            tasks.cancelAll()
            // What came since: a worker that is cancelled still finishes what it has in hand.
            var metrics = await tasks.next()
            metrics?.tell(worker)
            return await watching
        }
        await trimming
        await counting
        return isChanged
    }

    /// Counts what shops may sell, where that has to be counted, until ``stop()``.
    private func count(_ worker: GroupWorker, _ group: Group, _ outages: Outages) async {
        guard group == .stock else { return }
        await AdmissionKeeper(servers, outages: outages, interrupt: interrupt, served: { worker.serving }).run()
    }

    /// Trims, if it is told so, until ``stop()``.
    private func trim(_ worker: GroupWorker, _ group: Group, _ outages: Outages) async {
        guard group == .postgres, let age = servers.configuration.trim else { return }
        await TrimKeeper(
            servers, keeping: age, outages: outages, interrupt: interrupt, served: { worker.serving }
        ).run()
    }
}
