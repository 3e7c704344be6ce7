import ArgumentParser
import Connections
import Coordination
import OrderLog
import RedisLog
import Sinks

/// `onewrite open`.
struct OpenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "open",
        abstract: "Open the log after Redis was restarted, replaced, or lost its tail.",
        discussion: """
            Example:
              onewrite open

            Workers of group postgres do this by themselves; here it is for when none runs, and to see what is in the way. \
            What the log lost and Postgres has is put back with its place, ID and bytes, before anything new is taken. A log \
            that forked, or that is gone altogether, is left as it is and named (exit 75).
            """)

    @Flag(
        help: """
            Open this server although another one was opened since: only when that one is gone for good. What only it had \
            and Postgres didn't is lost then.
            """)
    var force = false

    @Flag(help: "One JSON object (onewrite/open/v1).")
    var json = false

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-open")
        if force { try settings.sayWhere() }
        let results = try await CommandLane().run { [force] _ in
            var patience = Patience()
            return try await patience.attempt { try await Self.open(servers, force: force) }
        }
        try show(results)
        let inTheWay = results.filter { $0.state == .halted }.count
        guard inTheWay == 0 else {
            throw Failure(.tryAgain, "\(inTheWay) of \(results.count) partitions are not open: see above")
        }
    }

    private static func open(_ servers: Servers, force: Bool) async throws -> [OpenedPartition] {
        let redis = try servers.master()
        let postgres = try servers.primary()
        let identity = try servers.identity(redis)
        guard try PostgresSchema.identity(on: postgres) == identity else {
            throw Failure(
                .badConfiguration,
                "the schema in Postgres is missing, or of another log than Redis's. Check --namespace and --schema")
        }
        let log = StreamLog(redis, keys: servers.keys, group: .postgres, consumer: .opener)
        let ledger = PostgresSink(postgres)
        let opener = LogOpener(log: log, ledger: ledger, identity: identity, owner: .opener)
        var results: [OpenedPartition] = []
        for partition in identity.partitioning.all {
            ProgressLine.say("partition \(partition) of \(identity.partitioning.count)")
            results.append(try await open(partition, opener, log, ledger, identity, force: force))
        }
        return results
    }

    private static func open(
        _ partition: Partition, _ opener: LogOpener, _ log: StreamLog, _ ledger: PostgresSink, _ identity: LogIdentity,
        force: Bool
    ) async throws -> OpenedPartition {
        let row = try await ledger.row(of: partition)
        if LogState(try await log.look(at: partition), row: row, identity: identity).isOpen, row.isConfirmed {
            return OpenedPartition(partition: partition.number, state: .open)
        }
        var backoff = Backoff(most: .seconds(1))
        var generator = SystemRandomNumberGenerator()
        var reason = ""
        for _ in 0..<Self.attempts {
            switch try await opener.open(partition, takesSuperseded: force) {
            case .opened(let healed):
                return OpenedPartition(partition: partition.number, state: .opened, healed: healed)
            case .halted(let reason):
                return OpenedPartition(partition: partition.number, state: .halted, reason: reason)
            case .again: reason = "partition \(partition) is being opened by somebody else, again and again. Try again"
            case .waiting(let why): reason = why
            }
            try await Task.sleep(for: backoff.next(using: &generator))
        }
        return OpenedPartition(partition: partition.number, state: .halted, reason: reason)
    }

    private static let attempts = 10

    private func show(_ results: [OpenedPartition]) throws {
        if json {
            try Console.printJSON(OpenReport(partitions: results))
            return
        }
        for result in results {
            switch result.state {
            case .open: break
            case .opened:
                let healed = result.healed ?? 0
                Console.print(
                    "partition \(result.partition): opened"
                        + (healed > 0 ? ", \(healed) lost \(healed == 1 ? "entry" : "entries") put back" : ""))
            case .halted: Console.error("partition \(result.partition): not opened: \(result.reason ?? "?")")
            }
        }
        let counts = [
            (results.filter { $0.state == .opened }.count, "opened"),
            (results.filter { $0.state == .open }.count, "open already"),
        ]
        Console.print(
            "\(results.count) partitions: " + counts.map { "\($0.0) \($0.1)" }.joined(separator: ", "))
    }
}

/// What became of one partition.
struct OpenedPartition: Encodable, Sendable {
    enum State: String, Encodable {
        /// It was open before.
        case open
        case opened
        /// A person has to decide.
        case halted
    }

    let partition: Int
    let state: State
    /// Entries that were put back.
    var healed: Int?
    var reason: String?
}

private struct OpenReport: Encodable {
    let schema = "onewrite/open/v1"
    let partitions: [OpenedPartition]
}
