package import Connections
package import Reports

/// Where a process tells its own metrics, and nothing else.
package struct MetricsPlan: Sendable {
    package let host: String
    package let port: Int
    package let version: String

    package init(host: String, port: Int, version: String) {
        (self.host, self.port, self.version) = (host, port, version)
    }
}

/// What `onewrite serve` is to serve, and how.
package struct ServePlan: Sendable {
    /// Where it listens: a host and a port.
    package let host: String
    package let port: Int
    package let log: LogConfiguration
    /// What the stores are called.
    package let environment: Snapshot.Environment
    /// The file of tokens; nil when nobody needs one.
    package let tokens: String?
    /// PEM files of the certificate and of its key; nil for plain HTTP.
    package let certificate: (certificate: String, key: String)?
    /// Whether `X-Forwarded-For` of who connects is believed.
    package let trustsProxy: Bool
    /// The most connections at once.
    package let connectionsMax: Int
    /// Whether workers of all groups run in the same process.
    package let servesGroups: Bool
    /// Whether metrics tell each partition.
    package let metersPartitions: Bool
    /// Whether each request is logged.
    package let logsRequests: Bool
    package let version: String

    package init(
        host: String, port: Int, log: LogConfiguration, environment: Snapshot.Environment, tokens: String?,
        certificate: (certificate: String, key: String)?, trustsProxy: Bool, connectionsMax: Int, servesGroups: Bool,
        metersPartitions: Bool, logsRequests: Bool = false, version: String
    ) {
        (self.host, self.port, self.log, self.environment) = (host, port, log, environment)
        (self.tokens, self.certificate, self.trustsProxy) = (tokens, certificate, trustsProxy)
        (self.connectionsMax, self.servesGroups) = (connectionsMax, servesGroups)
        (self.metersPartitions, self.logsRequests, self.version) = (metersPartitions, logsRequests, version)
    }

    /// Whether only this machine's programs reach it.
    package var isLoopback: Bool { Self.isLoopback(host) }

    package static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        // 127.0.0.0/8; not 127.evil.example.
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
