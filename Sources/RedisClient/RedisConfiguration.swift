/// Where a Redis server is, and as whom to speak to it.
///
/// It prints and dumps as its ``address``, never with the password.
package struct RedisConfiguration: Sendable, Equatable {
    /// A server's place.
    package enum Endpoint: Sendable, Hashable {
        /// A host by name or number (an IPv6 one without brackets) and a TCP port.
        case tcp(host: String, port: Int)
        /// The path of a unix socket.
        case unix(path: String)
        /// The master of a name, wherever these Sentinels say that it is when a connection is opened.
        case master(named: String, sentinels: [Endpoint])
        /// A Redis Cluster, of which some nodes are known.
        case cluster(nodes: [Endpoint])
    }

    /// Where the server listens.
    package var endpoint: Endpoint
    /// The ACL user, nil for the default one.
    package var username: String?
    /// The password, nil when the server wants none.
    package var password: String?
    /// A file with the password, read at each connection; nil where it is ``password``.
    package var passwordFile: String?
    /// The number of the database.
    package var database: Int
    /// The ACL user at the Sentinels, nil for the default one.
    package var sentinelUsername: String?
    /// The password at the Sentinels, nil when they want none.
    package var sentinelPassword: String?
    /// How to speak TLS, with the server and with its Sentinels; nil for not at all.
    package var tls: RedisTLS?
    /// How long opening a connection may take, the setting up of the session included.
    package var connectTimeout: Duration = .seconds(5)
    /// What `CLIENT LIST` shows for the connections; without spaces.
    package var clientName: String?

    package init(_ endpoint: Endpoint, username: String? = nil, password: String? = nil, database: Int = 0) {
        self.endpoint = endpoint
        self.username = username
        self.password = password
        self.database = database
    }

    /// The host, nil for a unix socket.
    package var host: String? {
        if case .tcp(let host, _) = endpoint { host } else { nil }
    }

    /// The TCP port, nil for a unix socket.
    package var port: Int? {
        if case .tcp(_, let port) = endpoint { port } else { nil }
    }

    /// Whether Sentinels are asked where the server is.
    package var isBySentinel: Bool {
        if case .master = endpoint { true } else { false }
    }

    /// Whether it is a Redis Cluster.
    package var isCluster: Bool {
        if case .cluster = endpoint { true } else { false }
    }

    /// The path of the unix socket, nil for TCP.
    package var socketPath: String? {
        if case .unix(let path) = endpoint { path } else { nil }
    }

    /// Server and database, safe for people and logs: `127.0.0.1:6379/0`, `[::1]:6379/0`, `unix:/run/redis.sock/0`,
    /// `mymaster/0 (by Sentinel)` or `127.0.0.1:7000,127.0.0.1:7001 (cluster)`.
    package var address: String {
        switch endpoint {
        case .master(let name, _): "\(name)/\(database) (by Sentinel)"
        case .cluster: "\(endpoint) (cluster)"
        case .tcp, .unix: "\(endpoint)/\(database)"
        }
    }
}

extension RedisConfiguration.Endpoint: CustomStringConvertible {
    package var description: String {
        switch self {
        case .tcp(let host, let port) where host.contains(":"): "[\(host)]:\(port)"
        case .tcp(let host, let port): "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        case .cluster(let nodes): nodes.map(\.description).joined(separator: ",")
        case .master(let name, let sentinels): "\(name) at \(sentinels.map(\.description).joined(separator: ","))"
        }
    }
}

extension RedisConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { address }
    package var debugDescription: String { address }
    /// What `dump` and a failed expectation show.
    package var customMirror: Mirror { Mirror(self, children: ["address": address]) }
}
