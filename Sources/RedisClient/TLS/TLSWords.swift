import CLibssl

/// OpenSSL's reasons in words that say what to do.
struct TLSWords {
    /// What the certificate had to be for.
    let name: String
    /// Whether we have a certificate of our own.
    let hasCertificate: Bool

    /// The reason in a code of OpenSSL's queue, as `SSL_R_…`.
    static func reason(of code: UInt) -> Int32 { Int32(truncatingIfNeeded: code & 0x7F_FFFF) }

    /// - Parameters:
    ///   - reason: `SSL_R_…`.
    ///   - verification: What came of verifying, `X509_V_…`.
    /// - Returns: What is wrong.
    func text(_ reason: Int32, verification: Int32) -> String {
        switch reason {
        case SSL_R_CERTIFICATE_VERIFY_FAILED: certificate(verification)
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_HTTP_REQUEST:
            Self.noTLS
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
            "it wants a certificate of ours: name it with tls_certificate and tls_key"
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
            hasCertificate
                ? "it refused the handshake: no cipher in common, or not our certificate"
                : "it refused the handshake: it wants a certificate of ours (tls_certificate and tls_key), or has no cipher in common with us"
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
            "it doesn't trust the authority that our certificate (tls_certificate) is from"
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED: "our certificate (tls_certificate) has expired, it says"
        case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED: "our certificate (tls_certificate) was revoked, it says"
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
            SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
            "it refuses our certificate (tls_certificate)"
        case SSL_R_TLSV1_ALERT_ACCESS_DENIED: "it lets the owner of our certificate (tls_certificate) not in"
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, SSL_R_UNSUPPORTED_PROTOCOL:
            "it speaks no version of TLS from 1.2 on"
        case SSL_R_TLSV1_UNRECOGNIZED_NAME: "it knows no \(name): name another with tls_server_name"
        default: library(reason)
        }
    }

    /// For a server that answers in another language.
    static let noTLS =
        "the server speaks no TLS at this port: write redis:// instead of rediss://, or name its TLS port"

    /// What a certificate that isn't accepted lacks.
    private func certificate(_ code: Int32) -> String {
        switch code {
        case X509_V_ERR_CERT_HAS_EXPIRED: "its certificate, or one of its authority, has expired"
        case X509_V_ERR_CERT_NOT_YET_VALID: "its certificate is not valid yet, by this machine's clock"
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            "its certificate is not for \(name): connect by a name that it holds, or name that with tls_server_name"
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_CERT_UNTRUSTED:
            "its certificate is from an authority that is not trusted here: name the authority's file with tls_ca"
        case X509_V_ERR_CERT_REVOKED: "its certificate was revoked"
        case X509_V_ERR_UNABLE_TO_GET_CRL: "the lists in tls_crl are not of the authority that its certificate is from"
        case X509_V_ERR_CRL_HAS_EXPIRED: "the list in tls_crl is out of date: get its authority's next one"
        case X509_V_ERR_CRL_NOT_YET_VALID: "the list in tls_crl is not valid yet, by this machine's clock"
        default: "its certificate is not accepted: \(String(cString: X509_verify_cert_error_string(Int(code))))"
        }
    }

    private func library(_ reason: Int32) -> String {
        let text = ERR_reason_error_string(ERR_peek_error()).map { String(cString: $0) }
        return "TLS failed: \(text ?? "OpenSSL gives no reason (\(reason))")"
    }
}
