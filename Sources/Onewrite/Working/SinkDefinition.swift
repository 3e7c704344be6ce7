import Connections
public import OrderLog
import SinkKinds

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
    /// Whether the log says what the sink is, and `make` is never called.
    let isRecorded: Bool

    init(
        builtIn group: Group, needsPostgres: Bool = false,
        make: @escaping @Sendable (SinkConnections) throws -> MadeSink
    ) {
        self.group = group
        self.needsPostgres = needsPostgres
        self.make = { try make($0) }
        start = .start
        isBuiltIn = true
        isRecorded = false
    }

    /// A group that was added with a kind and its settings, by `onewrite group add NAME --kind …`.
    ///
    /// - Parameter group: Its group; none of the built-in ones.
    public init(recorded group: Group) {
        precondition(!Group.builtIn.contains(group), "a built-in group has its own definition")
        self.group = group
        needsPostgres = true
        start = .start
        isBuiltIn = false
        isRecorded = true
        make = { _ in throw LogError(.bug, "the sink of \(group) is recorded with the log") }
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
        isRecorded = false
        needsPostgres = true
        self.make = { connections in try connections.following(try await make()) }
    }
}
