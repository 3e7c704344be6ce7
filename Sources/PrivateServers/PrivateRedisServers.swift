/// Where a private log is: one Redis, or a Redis Cluster.
package enum PrivateRedisServers: Sendable {
    case one(PrivateRedis)
    case cluster(PrivateCluster)

    /// Where clients find it.
    package var url: String {
        switch self {
        case .one(let redis): redis.url
        case .cluster(let cluster): cluster.url
        }
    }

    /// All processes, replicas too.
    package var processes: [PrivateRedis] {
        switch self {
        case .one(let redis): [redis]
        case .cluster(let cluster): cluster.nodes
        }
    }

    /// Ends all of them; a cluster's at once, which nobody reads any more.
    package func stop() async {
        switch self {
        case .one(let redis): await redis.stop()
        case .cluster(let cluster): await cluster.stop()
        }
    }
}
