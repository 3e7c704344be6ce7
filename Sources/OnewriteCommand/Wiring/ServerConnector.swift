import Connections
import Coordination
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
import ThreadedIO

/// Makes a worker's connections to the real servers.
struct ServerConnector: WorkerConnector {
    let servers: Servers
    let group: Group
    let worker: WorkerName
    let identity: LogIdentity
    let term: LeaseTerm

    func connectLane(_ lane: Int, pacing: any Pacing) async throws -> LaneConnection {
        do {
            return try connect(pacing)
        } catch {
            throw StoreError(anyOf: error) ?? error
        }
    }

    private func connect(_ pacing: any Pacing) throws -> LaneConnection {
        let redis = StreamLog(try servers.master(), keys: servers.keys, group: group, consumer: worker)
        let scripts = SinkScripts(redis.connection, keys: servers.keys, group: group)
        let sink: any Sink
        var ledger: PostgresSink?
        switch group {
        case .stock: sink = RedisSink.stock(scripts)
        case .delivery: sink = RedisSink.delivery(scripts)
        default:
            // Statistics made while a table was small would have it scanned when it has grown to millions.
            let connection = try servers.primary { $0.avoidsScans = true }
            let postgres = PostgresSink(connection)
            sink = postgres
            ledger = postgres
        }
        let ports = SessionPorts(
            identity: identity, owner: worker, log: redis, sink: sink, ledger: ledger, pacing: pacing)
        return LaneConnection(ports: ports, clientID: redis.connection.clientID)
    }

    func connectCoordinator() async throws -> any CoordinationPort {
        try GroupMembership(
            servers.configuration.redis, keys: servers.keys, group: group, worker: worker,
            term: term)
    }
}
