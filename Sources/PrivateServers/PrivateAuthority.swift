/// A certificate authority of our own, that only those trust who are told to.
///
/// It works by the program `openssl`, one call at a time.
///
/// OpenSSL: <https://docs.openssl.org/3.0/man1/openssl-ca/>
package struct PrivateAuthority: Sendable {
    /// A certificate and its key, in PEM.
    package struct Certificate: Sendable {
        /// The certificate's file.
        package let file: String
        /// The key's file, without a passphrase.
        package let keyFile: String
    }

    /// When a certificate is valid.
    package enum Validity: Sendable {
        case now, past, future

        fileprivate var dates: (String, String) {
            switch self {
            case .now: ("20200101000000Z", "20991231000000Z")
            case .past: ("20200101000000Z", "20200102000000Z")
            case .future: ("20990101000000Z", "20991231000000Z")
            }
        }
    }

    /// The authority's own certificate: what clients trust.
    package var file: String { "\(directory)/authority.pem" }
    /// The list of the certificates that it has revoked; there after the first ``revoke(_:)``.
    package var revokedFile: String { "\(directory)/revoked.pem" }

    private let directory: String
    private let root: PrivateDirectory

    /// Makes an authority.
    ///
    /// - Parameters:
    ///   - root: Where its files go.
    ///   - name: The name of its part of the directory.
    /// - Throws: ``ServerError``, also when `openssl` isn't installed.
    package init(in root: PrivateDirectory, name: String = "authority") async throws {
        self.root = root
        directory = try root.part(name, owner: nil)
        try writeText(Self.configuration(directory), to: "\(directory)/openssl.cnf")
        try writeText("", to: "\(directory)/index.txt")
        try writeText("01\n", to: "\(directory)/serial")
        try await openssl(
            ["req", "-x509", "-days", "3650", "-subj", "/CN=\(name)", "-keyout", "\(directory)/authority.key"]
                + Self.newKey + ["-out", file])
    }

    /// Issues a certificate.
    ///
    /// - Parameters:
    ///   - name: Of its files and of its owner; new.
    ///   - holding: What it is for, as `DNS:localhost` or `IP:127.0.0.1`; nothing for a client's.
    ///   - validity: When it is valid.
    /// - Returns: It, and its key.
    /// - Throws: ``ServerError``.
    package func issue(
        _ name: String, holding: [String] = ["DNS:localhost", "IP:127.0.0.1"], valid validity: Validity = .now
    ) async throws -> Certificate {
        let certificate = Certificate(file: "\(directory)/\(name).pem", keyFile: "\(directory)/\(name).key")
        let request = "\(directory)/\(name).csr"
        let names = holding.isEmpty ? [] : ["-addext", "subjectAltName=\(holding.joined(separator: ","))"]
        try await openssl(
            ["req", "-new", "-subj", "/CN=\(name)", "-keyout", certificate.keyFile, "-out", request] + Self.newKey
                + names)
        let (from, to) = validity.dates
        try await openssl([
            "ca", "-batch", "-notext", "-in", request, "-out", certificate.file, "-startdate", from, "-enddate", to,
        ])
        return certificate
    }

    /// Revokes a certificate, and makes the list anew.
    ///
    /// - Throws: ``ServerError``.
    package func revoke(_ certificate: Certificate) async throws {
        try await openssl(["ca", "-revoke", certificate.file])
        try await openssl(["ca", "-gencrl", "-crldays", "30", "-out", revokedFile])
    }

    private static let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    private func openssl(_ arguments: [String]) async throws {
        let words = ["openssl", arguments[0], "-config", "\(directory)/openssl.cnf"] + arguments.dropFirst()
        let result: ChildProcess.Completed
        do {
            result = try await ChildProcess.run(words, in: directory)
        } catch let error as ChildProcessError {
            if case .notFound = error { throw ServerError.notInstalled(program: "openssl", package: "openssl") }
            throw ServerError(error)
        }
        guard result.status == .exited(0) else {
            throw ServerError.refused(operation: "make a certificate", reason: result.errors)
        }
    }

    private static func configuration(_ directory: String) -> String {
        """
        [ca]
        default_ca = own
        [own]
        database = \(directory)/index.txt
        serial = \(directory)/serial
        new_certs_dir = \(directory)
        certificate = \(directory)/authority.pem
        private_key = \(directory)/authority.key
        default_md = sha256
        policy = any
        unique_subject = no
        copy_extensions = copy
        [any]
        commonName = supplied
        [req]
        distinguished_name = name
        x509_extensions = authority
        [name]
        [authority]
        basicConstraints = critical, CA:TRUE
        keyUsage = critical, keyCertSign, cRLSign
        subjectKeyIdentifier = hash

        """
    }
}

/// A private server's TLS.
package struct PrivateTLS: Sendable {
    /// Whom the server trusts, and its clients.
    package let authority: PrivateAuthority
    /// What it shows.
    package let certificate: PrivateAuthority.Certificate
    /// Whether its clients have to show one, too.
    package let wantsCertificates: Bool

    package init(
        _ certificate: PrivateAuthority.Certificate, of authority: PrivateAuthority, wantsCertificates: Bool = false
    ) {
        self.authority = authority
        self.certificate = certificate
        self.wantsCertificates = wantsCertificates
    }

    /// Lines of a configuration file of Redis; nothing listens without TLS but the unix socket.
    ///
    /// Redis: <https://redis.io/docs/latest/operate/oss_and_stack/management/security/encryption/>
    func redisLines(port: Int) -> String {
        """
        port 0
        tls-port \(port)
        tls-cert-file \(quoted(certificate.file))
        tls-key-file \(quoted(certificate.keyFile))
        tls-ca-cert-file \(quoted(authority.file))
        tls-auth-clients \(wantsCertificates ? "yes" : "no")
        tls-replication yes
        """
    }
}
