package import Connections
package import OrderLog
package import PostgresClient
package import RedisClient
package import RedisLog
import Sinks

/// A kind of store that a group leads to without code: `onewrite group add NAME --kind KIND` with settings.
package protocol SinkKind: Sendable {
    /// What `--kind` says.
    static var name: String { get }
    /// How often an effect counts there, in one sentence for people.
    static var guarantee: String { get }
    /// All that can be said of it.
    static var settings: [KindSetting] { get }
    /// Whether it has settings of a library's, too: `--property NAME=VALUE`, here by the names `property.NAME`.
    static var takesProperties: Bool { get }

    /// Takes a group's settings.
    ///
    /// - Parameters:
    ///   - group: The group.
    ///   - settings: What was said of it.
    /// - Throws: ``LogError`` for the first setting that can't be taken.
    init(_ group: Group, _ settings: KindSettings) throws

    /// Tries whether the store can be used so, before the group is recorded; nothing is changed there.
    ///
    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - identity: The log.
    /// - Throws: ``LogError`` that says what stands in the way.
    func check(_ servers: Servers, of identity: LogIdentity) throws

    /// Makes the sink for one lane of a worker.
    ///
    /// - Parameters:
    ///   - connections: The lane's.
    ///   - identity: The log.
    /// - Returns: The sink, and what a session needs beside it.
    /// - Throws: ``LogError`` or ``StoreError``: it is tried again.
    func connect(_ connections: SinkConnections, of identity: LogIdentity) throws -> MadeSink
}

extension SinkKind {
    package static var takesProperties: Bool { false }
}

/// The kinds there are.
package enum SinkKinds {
    /// A line each.
    package static let all: [any SinkKind.Type] = kafka + [PostgresKind.self, RedisScriptKind.self, WebhookKind.self]

    private static var kafka: [any SinkKind.Type] {
        #if Kafka
        [KafkaKind.self]
        #else
        []
        #endif
    }

    /// The kind of a name; nil where there is none.
    package static func named(_ name: String) -> (any SinkKind.Type)? { all.first { $0.name == name } }

    /// How often an effect counts in a group, in one sentence for people.
    package static func guarantee(of definition: GroupDefinition, in group: Group) -> String {
        if definition.kind == GroupDefinition.own {
            return "exactly once, if its store keeps the position in the same transaction"
        }
        if Group.builtIn.contains(group), definition.kind == group.name { return "exactly once" }
        return named(definition.kind)?.guarantee ?? "unknown to this version"
    }
}

extension GroupDefinition {
    /// The store that a group leads to, as its settings say.
    ///
    /// - Parameter group: Whose definition it is.
    /// - Returns: The store; nil for a built-in group, and for one that an application brings.
    /// - Throws: ``LogError`` when this version doesn't know the kind, or a setting.
    package func store(of group: Group) throws -> (any SinkKind)? {
        if kind == Self.own || Group.builtIn.contains(group) && kind == group.name { return nil }
        guard let kind = SinkKinds.named(kind) else {
            throw LogError(
                .badConfiguration,
                "group \(group) is of kind \(kind), which this \(kind == "kafka" ? "build" : "version") of Onewrite doesn't know"
            )
        }
        return try kind.init(group, KindSettings(settings, of: kind))
    }
}

/// A sink, with what else it is to a session.
package struct MadeSink {
    package let sink: any Sink
    package let ledger: (any Ledger)?
    package let past: (any LedgerPast)?

    /// - Parameters:
    ///   - sink: The sink.
    ///   - ledger: The same, where it is the ledger.
    ///   - past: What the log's permanent copy holds, for a sink that follows it.
    package init(sink: any Sink, ledger: (any Ledger)? = nil, past: (any LedgerPast)? = nil) {
        self.sink = sink
        self.ledger = ledger
        self.past = past
    }
}

/// What a sink is made of: a lane's connections.
package struct SinkConnections {
    package let servers: Servers
    package let group: Group
    package let redis: RedisConnection
    /// Whether the worker is to end: for a sink whose batches take long.
    package let isStopping: @Sendable () -> Bool

    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - group: The sink's.
    ///   - redis: The lane's connection.
    ///   - isStopping: Whether the worker is to end.
    package init(
        servers: Servers, group: Group, redis: RedisConnection, isStopping: @escaping @Sendable () -> Bool
    ) {
        self.servers = servers
        self.group = group
        self.redis = redis
        self.isStopping = isStopping
    }

    package var scripts: SinkScripts { SinkScripts(redis, keys: servers.keys, group: group) }

    /// A connection to the log's own Postgres, for writing.
    ///
    /// Statistics made while a table was small would have it scanned when it has grown to millions.
    ///
    /// - Returns: The connection.
    /// - Throws: `PostgresError`, ``StoreError`` or ``LogError``.
    package func primary() throws -> PostgresConnection { try servers.primary { $0.avoidsScans = true } }

    /// A sink of a store that keeps its position itself, behind the ledger.
    ///
    /// - Parameter sink: Made for this lane.
    /// - Returns: What a session needs.
    /// - Throws: As ``primary()``.
    package func following(_ sink: any Sink) throws -> MadeSink {
        let ledger = PostgresSink(try primary())
        return MadeSink(sink: LedgerFollower(sink, group, behind: ledger, scripts: scripts), past: ledger)
    }
}
