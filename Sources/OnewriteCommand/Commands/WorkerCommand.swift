import ArgumentParser
import Connections
import Foundation
import Logging
import Onewrite
import OrderLog
import Serving
import Synchronization
import UnixSignals

/// `onewrite worker`.
struct WorkerCommand: AsyncParsableCommand, ShowsItsOwnProgress {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Serve all consumer groups, or some: apply the log to the stores.",
        discussion: """
            Examples: one process for everything, and one for a group that has much to do.
              onewrite worker
              onewrite worker --group stock --name stock-a
              onewrite worker --metrics 127.0.0.1:9464

            All: Postgres, the stock count, the delivery list, and the groups that were added with a kind, also those that are \
            added meanwhile (onewrite group add). Not those of a sink of one's own: the application that brings it serves it.

            Start as many as you like, on as many machines: the workers of a group share its partitions, and take over from \
            one that is gone. SIGTERM or Ctrl-C finishes the batch in hand; a second one stops at once. Nothing is lost either \
            way: entries stay pending until they are applied. Servers, or a log, that aren't there yet are waited for.
            """)

    @Option(
        name: .customLong("group"),
        help: ArgumentHelp("A group to serve; repeat it for several (default: all).", valueName: "group"))
    var groups: [Group] = []

    @Option(help: ArgumentHelp("The worker's name, unique in its groups (default: made up).", valueName: "name"))
    var name: String?

    @Option(
        help: ArgumentHelp(
            "Threads for each group, each with its own connections, that share the partitions.", valueName: "N"))
    var lanes = 1

    @Option(
        help: ArgumentHelp(
            "Tell metrics there, for Prometheus, to whoever asks: /metrics and /healthz.", valueName: "host:port"))
    var metrics: String?

    @OptionGroup var log: LogOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let metrics { _ = try ServeCommand.address(metrics, of: "--metrics") }
        guard (1...64).contains(lanes) else { throw ValidationError("--lanes: expected 1 to 64, got \(lanes)") }
        if let name, WorkerName(name) == nil {
            throw ValidationError("--name: expected 1 to 64 of A-Z a-z 0-9 . _ -, got \(FieldError.quote(name))")
        }
    }

    func run() async throws {
        let settings = try common.settings()
        let wanted = Set(groups)
        let sinks =
            SinkDefinition.builtIn.filter { wanted.isEmpty || wanted.contains($0.group) }
            + wanted.subtracting(Group.builtIn).sorted().map { SinkDefinition(recorded: $0) }
        let name = name.flatMap { WorkerName($0) } ?? WorkerName.madeUp(for: sinks.map(\.group))
        let logger = log.logger(name.text)
        // Before the worker makes its metrics.
        let meter = try metrics.map { try Self.meter($0, logger) }
        let worker = try Worker(
            settings.configuration(), sinks: sinks, servesRecorded: wanted.isEmpty, name: name, lanes: lanes,
            logger: logger)
        try await worker.runHandlingSignals(logger, beside: meter)
        if worker.isServing { logger.info("stopped · \(worker.applied) applied") }
    }
}

extension WorkerCommand {
    private static func meter(_ address: String, _ logger: Logger) throws -> @Sendable () async throws -> Void {
        guard let http = ServeCommand.http.withLock({ $0 }) else { throw ServeCommand.startSibling() }
        let (host, port) = try ServeCommand.address(address, of: "--metrics")
        return http.meter(MetricsPlan(host: host, port: port, version: ProgramVersion.number), logger)
    }
}

extension Worker {
    /// Serves; Ctrl-C and SIGTERM stop it, and a second one ends the process at once.
    fileprivate func runHandlingSignals(
        _ logger: Logger, beside meter: (@Sendable () async throws -> Void)?
    ) async throws {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            // Metrics that can't be told are no reason to stop.
            if let meter {
                tasks.addTask {
                    do { try await meter() } catch { if !Task.isCancelled { logger.error("\(error)") } }
                }
            }
            tasks.addTask {
                var isStopping = false
                for await signal in signals {
                    // The shell's own code for an end by this signal.
                    if isStopping { Foundation.exit(128 + signal.rawValue) }
                    isStopping = true
                    let again = signal == .sigint ? "Ctrl-C" : "another signal"
                    logger.info(
                        self.isServing
                            ? "finishing the batch in hand (\(again) stops at once; nothing is lost, entries stay pending)"
                            : "stopping before it served anything")
                    self.stop()
                }
            }
            defer { tasks.cancelAll() }
            try await run()
        }
    }
}
