package import Connections
import Coordination
package import OrderLog
package import RedisClient
import RedisLog
import ThreadedIO

/// Leads the built-in group `delivery` to another store than its list in Redis, from where it is.
///
/// While that goes on nobody serves it: its workers see the kind ``GroupDefinition/changing`` and let go. Then its token is
/// raised, so that one which is stopped just now pushes nothing any more, and where each partition is becomes the other
/// store's beginning: each job is in one of the two.
package struct DeliveryMove {
    /// How long its workers may take to let go.
    private static let patience: Duration = .seconds(30)

    private let servers: Servers
    private let redis: RedisConnection
    private let identity: LogIdentity

    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - redis: A connection to its master.
    ///   - identity: The log.
    package init(_ servers: Servers, _ redis: RedisConnection, of identity: LogIdentity) {
        self.servers = servers
        self.redis = redis
        self.identity = identity
    }

    /// Does it; safe to repeat, should it be interrupted.
    ///
    /// - Parameters:
    ///   - kind: Of the other store.
    ///   - settings: What that is told.
    /// - Throws: ``LogError`` when its workers don't let go, or the log isn't open: delivery is then served as before.
    package func run(to kind: String, _ settings: [String: String]) throws {
        let before = GroupDefinition(kind: Group.delivery.name, from: .start)
        try redis.change(.delivery, to: GroupDefinition(kind: GroupDefinition.changing, from: .start), servers.keys)
        do {
            try waitForWorkers()
            var began: [String: GroupDefinition.Beginning] = [:]
            for partition in identity.partitioning.all {
                began[partition.description] = try end(of: partition)
            }
            try redis.change(
                .delivery, to: GroupDefinition(kind: kind, from: .start, began: began, settings: settings), servers.keys
            )
        } catch {
            try redis.change(.delivery, to: before, servers.keys)
            throw error
        }
    }

    private func waitForWorkers() throws {
        let deadline = Deadline.after(Self.patience)
        for partition in identity.partitioning.all {
            while let holder = try redis.call(
                RedisCommand("GET", servers.keys.lease(partition, .delivery)), until: .after(StreamLog.timeout)
            ).string {
                guard !deadline.hasPassed else {
                    throw LogError(
                        .tryAgain,
                        "worker \(holder) does not let go of delivery: is it of an older version? Stop it first. Nothing was changed"
                    )
                }
                Interrupt().wait(until: .after(.milliseconds(100)))
            }
        }
    }

    /// Ends the list's life in a partition, and tells how far it is.
    private func end(of partition: Partition) throws -> GroupDefinition.Beginning {
        let look = try redis.look(at: partition, servers.keys)
        guard let history = look.history, look.isMaster, let owner = WorkerName("group-change") else {
            throw LogError(.tryAgain, "partition \(partition): the log is not open. Nothing was changed. Try again")
        }
        let scripts = SinkScripts(redis, keys: servers.keys, group: .delivery)
        guard case .fenced(_, let position) = try scripts.fence(partition, under: history, owner: owner) else {
            throw LogError(
                .tryAgain, "partition \(partition): the log was closed meanwhile. Nothing was changed. Try again")
        }
        return GroupDefinition.Beginning(seq: position.seq.number, entry: position.entry?.description ?? "")
    }
}
