package import OrderLog

/// Makes a worker's connections.
///
/// Called on the lane that will use them.
package protocol WorkerConnector: Sendable {
    /// Connects a lane: Redis, and for the sink `postgres` Postgres.
    func connectLane(_ lane: Int, pacing: any Pacing) async throws -> LaneConnection

    /// Connects the coordinator: Redis, and the subscription that shows that this worker is there.
    func connectCoordinator() async throws -> any CoordinationPort
}

/// What a lane got from ``WorkerConnector/connectLane(_:pacing:)``.
package struct LaneConnection {
    package let ports: SessionPorts
    /// The Redis connection's ID, by which its blocked read is ended from outside; nil where the lane's bell ends it.
    package let clientID: Int64?

    package init(ports: SessionPorts, clientID: Int64?) {
        self.ports = ports
        self.clientID = clientID
    }
}

/// Rings a lane that sleeps without a connection.
package protocol LaneBell: Sendable {
    func ring()
}

/// The group's leases and members, as one worker's coordinator uses them.
package protocol CoordinationPort: AnyObject {
    /// The server's name and version, for people: `redis 7.0.15`.
    var server: String { get }

    /// Why Redis did not begin a new append-only file when the connection was made; nil when it did, or will.
    var fileRefusal: String? { get }

    /// How long the server has been up, when the connection was made.
    var serverUptime: Duration { get }

    /// Everybody in the group.
    ///
    /// - Parameter isBeating: Whether this worker's own heart beats with it.
    /// - Returns: The members, this worker among them once it has beaten.
    /// - Throws: ``StoreError``.
    func members(isBeating: Bool) async throws -> [Member]

    /// Takes a lease that is free, ours, or whose holder is gone.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - gone: A holder thought gone, and what its lease had left when it was last seen.
    /// - Returns: What came of it.
    /// - Throws: ``StoreError``.
    func acquire(_ partition: Partition, gone: (holder: WorkerName, remaining: Duration)?) async throws -> LeaseOutcome

    /// Extends a lease.
    ///
    /// - Parameter partition: One that is held.
    /// - Returns: Whether it still was.
    /// - Throws: ``StoreError``.
    func renew(_ partition: Partition) async throws -> Bool

    /// Gives a lease back.
    func release(_ partition: Partition) async throws

    /// Makes clients' blocked reads return at once, empty.
    func unblock(_ clients: [Int64]) async throws

    /// Shows what this worker is doing to whoever asks for the group's status.
    func publish(_ report: WorkerReport) async throws

    /// Fails when the subscription that shows this worker's presence is gone.
    func checkPresence() async throws

    /// Signs this worker off.
    func leave() async throws
}

package enum LeaseOutcome: Hashable, Sendable {
    /// It is ours, taken from a holder that was gone, if there was one.
    case acquired(from: WorkerName?)
    case held(by: WorkerName, remaining: Duration)
}

/// What a worker is doing, as it says itself.
package struct WorkerReport: Codable, Sendable, Equatable {
    /// How a partition does.
    package enum State: String, Codable, Sendable {
        /// It is being taken over.
        case starting
        case serving
        /// Waiting for a server or for the log to open; trying again.
        case stalled
        /// Stopped until a person decides.
        case halted
    }

    package struct PartitionReport: Codable, Sendable, Equatable {
        package var partition: Int
        package var state: State
        package var error: String?

        package init(partition: Int, state: State, error: String?) {
            self.partition = partition
            self.state = state
            self.error = error
        }
    }

    package var worker: String
    package var group: Group
    /// Entries applied or set aside since the worker started.
    package var applied: Int
    /// Over the last seconds.
    package var appliedPerSecond: Double
    /// Applies that a sink refused because another worker had taken over.
    package var refused: Int
    package var partitions: [PartitionReport]
    /// The formats of a log that it knows; nil for a build that knew the first one only, and said nothing of it.
    package var formats: [Int]?

    package init(
        worker: String, group: Group, applied: Int, appliedPerSecond: Double, refused: Int,
        partitions: [PartitionReport], formats: [Int]? = nil
    ) {
        self.worker = worker
        self.group = group
        self.applied = applied
        self.appliedPerSecond = appliedPerSecond
        self.refused = refused
        self.partitions = partitions
        self.formats = formats
    }
}
