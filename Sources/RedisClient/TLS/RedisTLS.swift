/// How to speak TLS with a Redis server, at least 1.2.
///
/// The files are in PEM, and read for each new connection: renewed certificates are taken without a restart.
package struct RedisTLS: Sendable, Equatable {
    /// The file of the authorities that are trusted; nil for the system's own.
    package var authoritiesFile: String?
    /// The file of our own certificate, with those between it and its authority, for servers that want one.
    package var certificateFile: String?
    /// The file of the key of ``certificateFile``; without a passphrase.
    package var keyFile: String?
    /// The file of the lists of revoked certificates (CRL) that the server's is looked up in; nil to look nowhere.
    package var revokedFile: String?
    /// The name or address that the server's certificate must hold, and that the server is asked for; nil for the host that
    /// is connected to.
    package var serverName: String?
    /// Whether the server has to prove who it is.
    ///
    /// Without, anyone on the way can read and change everything; nobody can who only listens.
    package var isVerified = true

    package init() {}
}

extension RedisTLS {
    /// What the URL's options of this kind begin with.
    static let optionPrefix = "tls_"

    /// Takes an option of a URL.
    mutating func take(_ name: String, _ value: String?) throws(RedisURLError) {
        // OpenSSL would cut a path short at a NUL.
        guard let value, !value.isEmpty, !value.utf8.contains(0) else { throw .badTLSOption }
        switch name {
        case "tls_ca": authoritiesFile = value
        case "tls_certificate": certificateFile = value
        case "tls_key": keyFile = value
        case "tls_crl": revokedFile = value
        case "tls_server_name": serverName = value
        case "tls_verify":
            guard value == "on" || value == "off" else { throw .badTLSOption }
            isVerified = value == "on"
        default: throw .unknownOption
        }
    }

    /// Refuses what makes no sense together.
    func check() throws(RedisURLError) {
        guard (certificateFile == nil) == (keyFile == nil) else { throw .certificateWithoutKey }
        // Looked up nowhere, a list would only look safe.
        guard isVerified || revokedFile == nil && authoritiesFile == nil else { throw .unverifiedAuthority }
    }
}
