import Coordination
package import OrderLog
import RedisLog
import Sinks

/// Opens every partition of a log after Redis was restarted, replaced, or lost its tail, as workers of group `postgres` do.
package struct LogOpening {
    /// What became of one partition.
    package struct Opened: Sendable {
        package enum State: String, Sendable, Encodable {
            /// It was open before.
            case open
            case opened
            /// A person has to decide.
            case halted
        }

        package let partition: Partition
        package let state: State
        /// Entries that were put back; nil where nothing was opened.
        package var healed: Int?
        /// Why it is not open.
        package var reason: String?
    }

    /// How often somebody else may be in the way before it is told.
    private static let attempts = 10

    private let log: StreamLog
    private let ledger: PostgresSink
    private let opener: LogOpener
    private let identity: LogIdentity
    private let takesSuperseded: Bool

    /// Connects.
    ///
    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - takesSuperseded: Whether a server is opened although another one was opened since.
    /// - Throws: ``LogError`` for a schema that is not this log's; the servers' errors.
    package init(_ servers: Servers, takesSuperseded: Bool) throws {
        let redis = try servers.master()
        let postgres = try servers.primary()
        identity = try servers.identity(redis)
        guard try PostgresSchema.identity(on: postgres) == identity else {
            throw LogError(
                .badConfiguration,
                "the schema in Postgres is missing, or of another log than Redis's. Check --namespace and --schema")
        }
        log = StreamLog(redis, keys: servers.keys, group: .postgres, consumer: .opener)
        ledger = PostgresSink(postgres)
        opener = LogOpener(log: log, ledger: ledger, identity: identity, owner: .opener)
        self.takesSuperseded = takesSuperseded
    }

    /// Opens what is not open.
    ///
    /// - Parameter progress: Takes each partition before its turn, and how many there are.
    /// - Returns: What became of each partition.
    /// - Throws: `StoreError`; `CancellationError`.
    package func run(_ progress: (Partition, Int) -> Void) async throws -> [Opened] {
        var results: [Opened] = []
        for partition in identity.partitioning.all {
            progress(partition, identity.partitioning.count)
            results.append(try await open(partition, createsMissing: false))
        }
        return results
    }

    /// Opens one partition, if it is not open.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - createsMissing: Whether one of which nothing was applied is created where it isn't there.
    /// - Returns: What became of it.
    /// - Throws: `StoreError`; `CancellationError`.
    package func open(_ partition: Partition, createsMissing: Bool) async throws -> Opened {
        let row = try await ledger.row(of: partition)
        if LogState(try await log.look(at: partition), row: row, identity: identity).isOpen, row.isConfirmed {
            return Opened(partition: partition, state: .open)
        }
        var backoff = Backoff(most: .seconds(1))
        var generator = SystemRandomNumberGenerator()
        var reason = ""
        for _ in 0..<Self.attempts {
            switch try await opener.open(
                partition, createsMissing: createsMissing, takesSuperseded: takesSuperseded)
            {
            case .opened(let healed): return Opened(partition: partition, state: .opened, healed: healed)
            case .halted(let reason): return Opened(partition: partition, state: .halted, reason: reason)
            case .again: reason = "partition \(partition) is being opened by somebody else, again and again. Try again"
            case .waiting(let why): reason = why
            }
            try await Task.sleep(for: backoff.next(using: &generator))
        }
        return Opened(partition: partition, state: .halted, reason: reason)
    }
}
