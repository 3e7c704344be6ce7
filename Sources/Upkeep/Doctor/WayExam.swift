import PostgresClient
import RedisClient

/// How a connection is encrypted.
package struct Encryption: Sendable, Equatable, Encodable {
    /// As `TLSv1.3`.
    package let version: String
    /// As `TLS_AES_256_GCM_SHA384`.
    package let cipher: String
}

/// What is to be said of the way to a server.
package struct WayExam {
    let encryption: Encryption?
    let isOnThisMachine: Bool
    /// Whether the server has proved who it is, where that is known.
    let isVerified: Bool
    package let findings: [Finding]

    init(to redis: RedisSession) {
        self.init(
            "redis", redis.encryption, isOnThisMachine: redis.isOnThisMachine,
            isVerified: redis.encryption == nil || redis.isServerVerified)
    }

    init(to postgres: PostgresConnection) {
        // Whether libpq verifies is its own: sslmode.
        self.init("postgres", postgres.encryption, isOnThisMachine: postgres.isOnThisMachine, isVerified: true)
    }

    package init(
        _ server: String, _ encryption: (version: String, cipher: String)?, isOnThisMachine: Bool, isVerified: Bool
    ) {
        self.encryption = encryption.map { Encryption(version: $0.version, cipher: $0.cipher) }
        self.isOnThisMachine = isOnThisMachine
        self.isVerified = isVerified
        var findings: [Finding] = []
        if encryption == nil, !isOnThisMachine {
            findings.append(
                Check.of("\(server)-plaintext").finding("the connection leaves this machine, and is not encrypted"))
        }
        if !isVerified {
            findings.append(
                Check.of("\(server)-unverified").finding("tls_verify is off: the server need not prove who it is"))
        }
        self.findings = findings
    }
}
