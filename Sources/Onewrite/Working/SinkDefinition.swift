import Connections
public import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks

/// A consumer group together with the sink that follows the log through it: what a ``Worker`` serves.
///
/// ```swift
/// let search = SinkDefinition(group, from: .start) { try await SearchIndex(path: "search.sqlite") }
/// let worker = try Worker(configuration, sinks: [.stock, search], logger: logger)
/// ```
public struct SinkDefinition: Sendable {
    /// The group.
    public let group: Group
    /// Where it begins, when it is not recorded in the log yet.
    let start: GroupDefinition.Start
    let isBuiltIn: Bool
    let needsPostgres: Bool
    let make: @Sendable (SinkConnections) async throws -> MadeSink

    init(
        builtIn group: Group, needsPostgres: Bool = false,
        make: @escaping @Sendable (SinkConnections) throws -> MadeSink
    ) {
        self.group = group
        self.needsPostgres = needsPostgres
        self.make = { try make($0) }
        start = .start
        isBuiltIn = true
    }

    /// A sink of one's own.
    ///
    /// It is kept behind the ledger, so its worker needs Postgres too, and shows its position in Redis behind each batch.
    ///
    /// - Parameters:
    ///   - group: Its group; none of the built-in ones.
    ///   - start: Where it begins, when `onewrite group add`, or a worker before this one, has not recorded that yet.
    ///   - make: Makes the sink, once for each lane of a worker, and again after its connections broke.
    public init(
        _ group: Group, from start: GroupDefinition.Start = .start,
        make: @escaping @Sendable () async throws -> any Sink
    ) {
        precondition(!Group.builtIn.contains(group), "a sink of one's own has a name of its own")
        self.group = group
        self.start = start
        isBuiltIn = false
        needsPostgres = true
        self.make = { connections in
            let ledger = PostgresSink(try connections.primary())
            let follower = LedgerFollower(
                try await make(), group, behind: ledger, scripts: connections.scripts)
            return MadeSink(sink: follower, past: ledger)
        }
    }
}

/// A sink, with what else it is to a session.
struct MadeSink {
    let sink: any Sink
    var ledger: (any Ledger)?
    var past: (any LedgerPast)?
}

/// What a built-in sink is made of: a lane's connections.
struct SinkConnections {
    let servers: Servers
    let group: Group
    let redis: RedisConnection

    var scripts: SinkScripts { SinkScripts(redis, keys: servers.keys, group: group) }

    /// A connection for writing.
    ///
    /// Statistics made while a table was small would have it scanned when it has grown to millions.
    func primary() throws -> PostgresConnection { try servers.primary { $0.avoidsScans = true } }
}
