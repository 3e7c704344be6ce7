import CLibssl
import Glibc
import ThreadedIO

/// The TLS of one connection: OpenSSL on a non-blocking socket that stays hiredis's.
///
/// It never waits. Freed with this object; the socket is not.
///
/// OpenSSL: <https://docs.openssl.org/3.0/man7/ssl/>
final class TLSSession {
    /// How a call ended.
    enum Outcome {
        /// It is done, with this many bytes.
        case done(Int)
        /// The same again, when the socket can do this.
        case waits(Interest)
        /// The other side has ended the connection.
        case ended
        /// The socket failed.
        case lost(String)
        /// One of both sides refused the other, or can't do TLS: waiting doesn't mend it.
        case refused(String)
    }

    private let session: OpaquePointer
    private let words: TLSWords

    /// - Parameters:
    ///   - settings: Whom to trust, and as whom to come.
    ///   - host: What was connected to.
    ///   - descriptor: The socket, connected.
    /// - Throws: ``TLSTrouble``, for files that can't be used.
    init(_ settings: RedisTLS, with host: String, on descriptor: Int32) throws(TLSTrouble) {
        ERR_clear_error()
        guard let context = onewrite_tls_context() else { throw .outOfMemory }
        // The session keeps it alive.
        defer { SSL_CTX_free(context) }
        try settings.load(into: context)
        guard let session = SSL_new(context) else { throw .outOfMemory }
        self.session = session
        let name = settings.serverName ?? host
        words = TLSWords(name: name, hasCertificate: settings.certificateFile != nil)
        guard SSL_set_fd(session, descriptor) == 1 else { throw .outOfMemory }
        let isAddress = Self.isAddress(name)
        // An address can't be asked for (RFC 6066).
        guard isAddress || onewrite_tls_ask_for(session, name) == 1 else { throw .badName }
        if settings.isVerified {
            SSL_set_verify(session, SSL_VERIFY_PEER, nil)
            guard onewrite_tls_require_name(session, name, isAddress ? 1 : 0) == 1 else { throw .badName }
        } else {
            SSL_set_verify(session, SSL_VERIFY_NONE, nil)
        }
    }

    deinit { SSL_free(session) }

    /// As `TLSv1.3`.
    var version: String { SSL_get_version(session).map { String(cString: $0) } ?? "" }
    /// As `TLS_AES_256_GCM_SHA384`.
    var cipher: String {
        SSL_get_current_cipher(session).flatMap { SSL_CIPHER_get_name($0) }.map { String(cString: $0) } ?? ""
    }

    /// Greets, and checks the other side's certificate.
    func handshake() -> Outcome {
        perform { SSL_connect(session) }
    }

    /// Encrypts and writes some of these bytes, a record at most.
    ///
    /// After ``Outcome/waits(_:)`` the same bytes have to come again, and more may follow them.
    func write(_ bytes: UnsafeRawPointer, count: Int) -> Outcome {
        perform { SSL_write(session, bytes, Int32(clamping: count)) }
    }

    /// Reads and decrypts, a record at most.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        perform { SSL_read(session, buffer.baseAddress, Int32(clamping: buffer.count)) }
    }

    private func perform(_ call: () -> Int32) -> Outcome {
        // The queue of errors is the thread's, and others use it.
        ERR_clear_error()
        let result = call()
        if result > 0 { return .done(Int(result)) }
        let code = errno
        switch SSL_get_error(session, result) {
        case SSL_ERROR_WANT_READ: return .waits(.reading)
        case SSL_ERROR_WANT_WRITE: return .waits(.writing)
        case SSL_ERROR_ZERO_RETURN: return .ended
        case SSL_ERROR_SYSCALL:
            // OpenSSL before 3 says so of an end without a word.
            return code == 0 ? .ended : .lost(strerror(code).map { String(cString: $0) } ?? "error \(code)")
        default:
            let reason = TLSWords.reason(of: ERR_peek_error())
            if reason == SSL_R_UNEXPECTED_EOF_WHILE_READING { return .ended }
            return .refused(words.text(reason, verification: Int32(SSL_get_verify_result(session))))
        }
    }

    private static func isAddress(_ name: String) -> Bool {
        var bytes = in6_addr()
        return inet_pton(AF_INET, name, &bytes) == 1 || inet_pton(AF_INET6, name, &bytes) == 1
    }
}

/// What makes TLS impossible before a word is said.
enum TLSTrouble: Error {
    case outOfMemory, badName
    /// A file, as the URL's option calls it, and why it can't be used.
    case file(option: String, path: String, reason: String)

    var reason: String {
        switch self {
        case .outOfMemory: "out of memory"
        case .badName: "the server's name is none that a certificate can hold"
        case .file(let option, let path, let reason): "\(option), \(path): \(reason)"
        }
    }
}

extension RedisTLS {
    /// Reads the files.
    fileprivate func load(into context: OpaquePointer) throws(TLSTrouble) {
        if let certificateFile, let keyFile {
            try require("tls_certificate", certificateFile) {
                SSL_CTX_use_certificate_chain_file(context, certificateFile) == 1
                    ? nil : "it holds no certificate in PEM"
            }
            try require("tls_key", keyFile) {
                guard SSL_CTX_use_PrivateKey_file(context, keyFile, SSL_FILETYPE_PEM) == 1 else {
                    let reason = TLSWords.reason(of: ERR_peek_last_error())
                    return reason == X509_R_KEY_VALUES_MISMATCH
                        ? "it isn't the key of tls_certificate"
                        : "it holds no key in PEM, or one that wants a passphrase"
                }
                return SSL_CTX_check_private_key(context) == 1 ? nil : "it isn't the key of tls_certificate"
            }
        }
        guard isVerified else { return }
        if let authoritiesFile {
            try require("tls_ca", authoritiesFile) {
                SSL_CTX_load_verify_locations(context, authoritiesFile, nil) == 1
                    ? nil : "it holds no certificate in PEM"
            }
        } else if SSL_CTX_set_default_verify_paths(context) != 1 {
            throw .outOfMemory
        }
        if let revokedFile {
            try require("tls_crl", revokedFile) {
                onewrite_tls_load_revoked(context, revokedFile) == 1
                    ? nil : "it holds no list of revoked certificates in PEM"
            }
        }
    }

    private func require(_ option: String, _ path: String, _ problem: () -> String?) throws(TLSTrouble) {
        guard access(path, R_OK) == 0 else {
            let reason = strerror(errno).map { String(cString: $0) } ?? "it can't be read"
            throw .file(option: option, path: path, reason: reason)
        }
        if let problem = problem() { throw .file(option: option, path: path, reason: problem) }
    }
}
