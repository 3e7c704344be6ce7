public import FoundationEssentials

/// What the stores looked like at one moment: what `status`, `dashboard` and the web page all show.
///
/// `nil` is *unknown*, never zero: it is drawn as `?`, and is null in JSON.
public struct Snapshot: Sendable, Equatable {
    /// When the snapshot was taken.
    public var at: Date
    /// Which stores these are.
    public var environment: Environment
    /// How many partitions the log has; `nil` when Redis couldn't tell.
    public var partitions: Int?
    /// The log's server.
    public var redis: Server
    /// The ledger's server.
    public var postgres: Server
    /// What Redis's memory goes into; `nil` when Redis couldn't tell.
    public var memory: Memory?
    /// The consumer groups, in the order in which they are shown.
    public var groups: [Group]
    /// What needs a person, gravest first.
    public var warnings: [Warning]
    /// The pending entries that a look asked for; not part of `onewrite/status/v1`.
    package var pendingPage: PendingPage?
    /// The dead letters that a look asked for; not part of `onewrite/status/v1`.
    package var deadPage: DeadPage?

    /// Makes a snapshot.
    package init(
        at: Date, environment: Environment, partitions: Int?, redis: Server, postgres: Server, memory: Memory? = nil,
        groups: [Group],
        warnings: [Warning],
        pendingPage: PendingPage? = nil,
        deadPage: DeadPage? = nil
    ) {
        self.at = at
        self.environment = environment
        self.partitions = partitions
        self.redis = redis
        self.postgres = postgres
        self.memory = memory
        self.groups = groups
        self.warnings = warnings
        self.pendingPage = pendingPage
        self.deadPage = deadPage
    }
}

extension Snapshot {
    /// A server that the snapshot was taken from.
    public enum Server: Sendable, Equatable {
        /// No connection to it is configured.
        case notConfigured
        /// It answered; the name is what it calls itself, where that may be one or another: `redis`, `valkey`.
        case reachable(version: String, name: String? = nil)
        /// It didn't answer; the error is for people and holds no secret.
        case unreachable(error: String)

        /// The server's version, when it answered.
        public var version: String? {
            guard case .reachable(let version, _) = self else { return nil }
            return version
        }

        /// What the server calls itself, when it answered with that.
        public var name: String? {
            guard case .reachable(_, let name) = self else { return nil }
            return name
        }

        /// Why it can't be reached, when it can't.
        public var error: String? {
            guard case .unreachable(let error) = self else { return nil }
            return error
        }
    }

    /// Why there is no snapshot, and what the servers do all the same.
    package struct Unavailable: Error, Sendable, Equatable, CustomStringConvertible {
        /// For people; holds no secret.
        package var error: String
        /// What Redis does; `nil` when nobody knows.
        package var redis: Server?
        /// What Postgres does; `nil` when nobody knows.
        package var postgres: Server?

        /// Makes a reason.
        package init(error: String, redis: Server? = nil, postgres: Server? = nil) {
            self.error = error
            self.redis = redis
            self.postgres = postgres
        }

        package var description: String { error }
    }

    /// A consumer group over all partitions.
    public struct Group: Sendable, Equatable {
        /// The group's name.
        public var name: String
        /// How many entries of the log it hasn't applied.
        public var lag: Int?
        /// How many entries are delivered and not acknowledged.
        public var pending: Int?
        /// How long the oldest pending entry has waited, in milliseconds; `nil` too when none is pending.
        public var oldestPendingMilliseconds: Int?
        /// How long ago the oldest entry that it hasn't applied was appended, in milliseconds; `nil` too when it has
        /// applied all.
        public var oldestUnappliedMilliseconds: Int?
        /// How many dead letters it has.
        public var dead: Int?
        /// How many batches its sink refused because another worker had taken over.
        public var refused: Int?
        /// Entries appended to the log per second lately.
        public var appendPerSecond: Double?
        /// Entries applied per second lately.
        public var appliedPerSecond: Double?
        /// The names of its live workers.
        public var workers: [String]?
        /// Its partitions, in ascending order.
        public var partitions: [Partition]

        /// Makes a group.
        package init(
            name: String, lag: Int?, pending: Int?, oldestPendingMilliseconds: Int?,
            oldestUnappliedMilliseconds: Int? = nil, dead: Int?, refused: Int? = nil, appendPerSecond: Double? = nil,
            appliedPerSecond: Double?, workers: [String]?, partitions: [Partition]
        ) {
            self.name = name
            self.lag = lag
            self.pending = pending
            self.oldestPendingMilliseconds = oldestPendingMilliseconds
            self.oldestUnappliedMilliseconds = oldestUnappliedMilliseconds
            self.dead = dead
            self.refused = refused
            self.appendPerSecond = appendPerSecond
            self.appliedPerSecond = appliedPerSecond
            self.workers = workers
            self.partitions = partitions
        }
    }

    /// When a group that goes on as it does will have applied all there is.
    public enum CatchUp: Sendable, Equatable {
        /// Seconds from now; 0 when it has applied all.
        case after(seconds: Double)
        /// More is appended than it applies.
        case never
        /// The lag, or one of the rates, isn't known.
        case unknown
    }

    /// One partition, as one group sees it.
    public struct Partition: Sendable, Equatable {
        /// What a group does with a partition.
        public enum State: String, Sendable, Equatable, CaseIterable, Encodable {
            /// A live worker holds it and gets on.
            case serving
            /// A worker waits for a server or a person, and tries again.
            case stalled
            /// Stopped for good until a person decides.
            case halted
            /// The log is closed: nobody appends, nobody applies, until it is opened.
            case closed
            /// No live worker holds it.
            case unowned
        }

        /// The partition's number.
        public var partition: Int
        /// The epoch of the log's history.
        public var epoch: Int?
        /// The seq of the log's last entry.
        public var head: Int?
        /// The seq of the last entry that the sink applied.
        public var position: Int?
        /// Head minus position.
        public var lag: Int?
        /// How many entries are delivered and not acknowledged.
        public var pending: Int?
        /// The worker that holds the partition; `nil` when nobody does.
        public var owner: String?
        /// The fencing token.
        public var token: Int?
        /// How many batches were refused here because they came with an old token.
        public var refused: Int?
        /// What the group does with it.
        public var state: State?
        /// Why it is stalled, halted or closed; for people, without payloads.
        public var error: String?

        /// Makes a partition.
        package init(
            partition: Int, epoch: Int?, head: Int?, position: Int?, lag: Int?, pending: Int?, owner: String?,
            token: Int?, refused: Int? = nil, state: State? = nil, error: String? = nil
        ) {
            self.partition = partition
            self.epoch = epoch
            self.head = head
            self.position = position
            self.lag = lag
            self.pending = pending
            self.owner = owner
            self.token = token
            self.refused = refused
            self.state = state
            self.error = error
        }
    }

    /// Something that a person should look at, and what to do about it.
    public struct Warning: Sendable, Equatable {
        /// A stable code for programs, `no-worker` say.
        public var code: String
        /// The group it is about, when it is about one.
        public var group: String?
        /// The partition it is about, when it is about one.
        public var partition: Int?
        /// What is wrong and what to do, in one line.
        public var hint: String

        /// Makes a warning.
        package init(code: String, group: String? = nil, partition: Int? = nil, hint: String) {
            self.code = code
            self.group = group
            self.partition = partition
            self.hint = hint
        }
    }

    /// The oldest pending entries of one group.
    package struct PendingPage: Sendable, Equatable {
        /// The group whose entries these are.
        package var group: String
        /// The partition they were limited to; `nil` for all.
        package var partition: Int?
        /// The entries, oldest first, at most as many as were asked for.
        package var entries: [PendingEntry]
        /// How many there are in all; `nil` when unknown.
        package var total: Int?

        /// Makes a page.
        package init(group: String, partition: Int? = nil, entries: [PendingEntry], total: Int?) {
            self.group = group
            self.partition = partition
            self.entries = entries
            self.total = total
        }
    }
}

extension Snapshot {
    /// The unresolved dead letters of all groups.
    package struct DeadPage: Sendable, Equatable {
        /// The letters, in the log's order, at most as many as were asked for.
        package var letters: [DeadLetterLine]
        /// How many there are in all.
        package var total: Int
        /// Whether Postgres could be asked for its own.
        package var knowsPostgres: Bool

        /// Makes a page.
        package init(letters: [DeadLetterLine], total: Int, knowsPostgres: Bool) {
            self.letters = letters
            self.total = total
            self.knowsPostgres = knowsPostgres
        }
    }
}

extension Snapshot.Group {
    /// When it will have applied all there is, at the present rates.
    public var catchUp: Snapshot.CatchUp {
        if lag == 0 { return .after(seconds: 0) }
        guard let lag, let applied = appliedPerSecond, let appended = appendPerSecond,
            applied.isFinite, appended.isFinite
        else { return .unknown }
        return applied > appended ? .after(seconds: Double(lag) / (applied - appended)) : .never
    }
}
