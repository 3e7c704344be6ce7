import RedisClient
import ThreadedIO

/// The subscriptions that show that a worker is there: one, or one on each master of a cluster, since a server counts
/// its own subscribers only.
final class Presence {
    private let channel: String
    private let configuration: RedisConfiguration
    private let connection: RedisConnection
    private var subscriptions: [RedisConfiguration.Endpoint: RedisSubscription] = [:]

    /// Subscribes.
    ///
    /// - Parameters:
    ///   - channel: The worker's.
    ///   - configuration: The server, or the cluster.
    ///   - connection: Knows the cluster's masters.
    /// - Throws: ``RedisError``; a node of a cluster that is away is none.
    init(
        on channel: String, at configuration: RedisConfiguration, beside connection: RedisConnection
    ) throws(RedisError) {
        (self.channel, self.configuration, self.connection) = (channel, configuration, connection)
        try subscribe()
    }

    /// How long one node of a cluster may take: the others' leases wait behind it.
    private static let nodeTimeout: Duration = .seconds(1)

    /// Looks that all stand; in a cluster, those on new masters are added, and those on others let go.
    ///
    /// - Throws: ``RedisError`` when the one on the only server is gone.
    func check() throws(RedisError) {
        let timeout = connection.isCluster ? Self.nodeTimeout : StreamLog.timeout
        for (endpoint, subscription) in subscriptions {
            do throws(RedisError) {
                try subscription.checkAlive(until: .after(timeout))
            } catch {
                guard connection.isCluster else { throw error }
                subscription.close()
                subscriptions[endpoint] = nil
            }
        }
        if connection.isCluster { try subscribe() }
    }

    private func subscribe() throws(RedisError) {
        let masters = connection.isCluster ? connection.masters : [configuration]
        for (endpoint, subscription) in subscriptions where !masters.contains(where: { $0.endpoint == endpoint }) {
            subscription.close()
            subscriptions[endpoint] = nil
        }
        for master in masters where subscriptions[master.endpoint] == nil {
            do throws(RedisError) {
                subscriptions[master.endpoint] = try RedisSubscription(
                    to: channel, at: master,
                    until: .after(connection.isCluster ? Self.nodeTimeout : master.connectTimeout),
                    interrupt: nil)
            } catch {
                guard connection.isCluster, error.isRetriable else { throw error }
            }
        }
    }

    func close() {
        for subscription in subscriptions.values { subscription.close() }
    }
}
