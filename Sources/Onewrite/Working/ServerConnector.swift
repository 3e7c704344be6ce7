package import Connections
package import Coordination
package import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import SinkKinds
import Sinks
import ThreadedIO

extension SinkDefinition {
    /// What one session works with; for a built-in sink.
    ///
    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - identity: The log.
    ///   - owner: Who takes the partition over.
    /// - Returns: New connections, to be used on the caller's lane.
    /// - Throws: ``StoreError``.
    package func ports(
        on servers: Servers, of identity: LogIdentity, as owner: WorkerName
    ) async throws -> SessionPorts {
        let definition = GroupDefinition(kind: group.name, from: .start)
        let connector = ServerConnector(
            servers: servers, sink: self, worker: owner, identity: identity, definition: definition, store: nil,
            isStopping: { false }, term: LeaseTerm())
        return try await connector.connectLane(0, pacing: ThreadPacing()).ports
    }
}

/// Makes a worker's connections to the real servers, for one group.
struct ServerConnector: WorkerConnector {
    let servers: Servers
    let sink: SinkDefinition
    let worker: WorkerName
    let identity: LogIdentity
    let definition: GroupDefinition
    /// Where the log says what the sink is.
    let store: (any SinkKind)?
    let isStopping: @Sendable () -> Bool
    let term: LeaseTerm
    var observer: (any WorkerObserver)?

    func connectLane(_ lane: Int, pacing: any Pacing) async throws -> LaneConnection {
        do {
            let redis = StreamLog(
                try servers.master(), keys: servers.keys, group: sink.group, consumer: worker,
                bell: (pacing as? ThreadPacing)?.interrupt)
            let connections = SinkConnections(
                servers: servers, group: sink.group, redis: redis.connection, isStopping: isStopping)
            let made =
                if let store { try store.connect(connections, of: identity) } else { try await sink.make(connections) }
            let ports = SessionPorts(
                identity: identity, owner: worker, log: redis, sink: made.sink, ledger: made.ledger, past: made.past,
                definition: definition, pacing: pacing, observer: observer)
            return LaneConnection(ports: ports, clientID: redis.connection.clientID)
        } catch {
            throw StoreError(anyOf: error) ?? error
        }
    }

    func connectCoordinator() async throws -> any CoordinationPort {
        try GroupMembership(
            servers.configuration.redis, keys: servers.keys, group: sink.group, worker: worker, term: term)
    }
}
