import ArgumentParser
import Coordination
import Foundation
import Logging
import OrderLog
import RedisClient
import RedisLog
import Sinks
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
            way: entries stay pending until they are applied.
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
        let settings = try await common.settings()
        let worker = try Self.workerName(name, group)
        let servers = try Servers(settings, name: "onewrite-\(worker)")
        let term = LeaseTerm(duration: try settings.lease())
        let identity = try await CommandLane("start").run { [group] _ in
            try Self.check(servers, group, worker)
        }
        var logger = Logger(label: worker.text) { PersonLogHandler(name: $0) }
        logger.logLevel = .info
        let connector = ServerConnector(
            servers: servers, group: group, worker: worker, identity: identity, term: term)
        let served = Worker(
            WorkerSettings(group: group, name: worker, identity: identity, lanes: lanes, term: term),
            connector: connector, logger: logger
        ) { name in
            let pacing = ThreadPacing()
            return LaneThread(executor: ThreadExecutor(name: name), pacing: pacing, bell: pacing)
        }
        await Self.serve(served, logger)
        logger.info("stopped · \(served.applied) applied")
    }

    private static func serve(_ worker: Worker, _ logger: Logger) async {
        await withTaskGroup { tasks in
            tasks.addTask {
                var isStopping = false
                for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
                    // The shell's own code for an end by this signal.
                    if isStopping { Foundation.exit(128 + signal.rawValue) }
                    isStopping = true
                    let again = signal == .sigint ? "Ctrl-C" : "another signal"
                    logger.info(
                        "finishing the batch in hand (\(again) stops at once; nothing is lost, entries stay pending)")
                    worker.stop()
                }
            }
            await worker.run()
            tasks.cancelAll()
        }
    }

    /// What has to be right before a worker starts; later trouble is waited out.
    private static func check(
        _ servers: Servers, _ group: Group, _ worker: WorkerName
    ) throws -> LogIdentity {
        let redis = try servers.redis()
        let identity = try servers.identity(redis)
        if group == .postgres {
            guard try PostgresSchema.identity(on: try servers.requiredPostgres()) == identity else {
                throw Failure(
                    .badConfiguration,
                    "the schema in Postgres is missing, or of another log than Redis's. Run: onewrite init")
            }
        }
        let present = try redis.call(
            RedisCommand("PUBSUB", "NUMSUB", servers.keys.presencePrefix(group) + worker.text),
            until: .after(StreamLog.timeout))
        if present.count == 2, let count = present[1].integer, count > 0 {
            throw Failure(.tryAgain, "a worker named \(worker) serves \(group.rawValue) already. Choose another --name")
        }
        return identity
    }

    private static func workerName(_ given: String?, _ group: Group) throws -> WorkerName {
        let text = given ?? "\(group.rawValue)-\(String(UInt32.random(in: 0..<(1 << 24)), radix: 16))"
        guard let name = WorkerName(text) else { throw Failure(.usage, "--name: \(FieldError.quote(text)) is no name") }
        return name
    }
}

extension Group: ExpressibleByArgument {}
