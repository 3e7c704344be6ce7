import CHTTPClient
import Glibc
package import ThreadedIO

/// Posts to one URL, over a connection that is kept open; for one thread at a time.
///
/// Redirects are not followed, no proxy is used, and a call blocks its thread until the answer is there or its deadline
/// passes. A connection that turns out to be dead when it is used again is made anew, and the request sent again.
///
/// libcurl: <https://curl.se/libcurl/c/curl_easy_perform.html>
package final class HTTPPoster {
    /// An answer.
    package struct Response: Sendable {
        /// 200 and the like.
        package let status: Int
        /// The header `Retry-After` as it came; nil without one.
        package let retryAfter: String?
        /// The first 512 bytes of the body.
        package let beginning: String
    }

    private let client: OpaquePointer

    /// Makes a client; nothing is connected.
    ///
    /// - Parameters:
    ///   - url: `http://…` or `https://…`.
    ///   - certificates: A file with the authorities to trust, in PEM; nil for the system's.
    ///   - allowsPrivate: Whether addresses of private networks and of this machine are connected to.
    ///   - connectTimeout: How long connecting may take, TLS included.
    package init(
        url: String, certificates: String? = nil, allowsPrivate: Bool, connectTimeout: Duration = .seconds(5)
    ) {
        let client = url.withCString { url in
            func make(_ certificates: UnsafePointer<CChar>?) -> OpaquePointer? {
                ow_http_new(
                    ow_http_configuration(
                        url: url, ca_file: certificates, allows_private: allowsPrivate,
                        connect_timeout_ms: Int(connectTimeout / .milliseconds(1))))
            }
            return certificates.map { $0.withCString(make) } ?? make(nil)
        }
        guard let client else { preconditionFailure("out of memory") }
        self.client = client
    }

    deinit { ow_http_free(client) }

    /// Posts a body.
    ///
    /// - Parameters:
    ///   - body: The bytes.
    ///   - headers: Names and values, without line breaks.
    ///   - deadline: When to give up.
    /// - Returns: The answer, whatever its status.
    /// - Throws: ``HTTPError``.
    package func post(
        _ body: String, headers: [(name: String, value: String)], until deadline: Deadline
    ) throws(HTTPError) -> Response {
        var result = ow_http_result()
        let lines = headers.map { "\($0.name): \($0.value)" }
        let pointers = lines.map { UnsafePointer(strdup($0)) }
        defer { for pointer in pointers { free(UnsafeMutablePointer(mutating: pointer)) } }
        var body = body
        body.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { bytes in
                ow_http_post(
                    client, bytes.baseAddress, bytes.count, pointers + [nil], Self.milliseconds(deadline), &result)
            }
        }
        if let error = HTTPError(result) { throw error }
        return Response(
            status: Int(result.status), retryAfter: Self.text(&result.retry_after).nilIfEmpty,
            beginning: Self.text(&result.body))
    }

    /// Connects, TLS too, and sends nothing.
    ///
    /// - Parameter deadline: When to give up.
    /// - Throws: ``HTTPError``.
    package func tryConnecting(until deadline: Deadline) throws(HTTPError) {
        var result = ow_http_result()
        ow_http_connect(client, Self.milliseconds(deadline), &result)
        if let error = HTTPError(result) { throw error }
    }

    /// Whether an address is of a private network, of this machine, or of no host at all.
    package static func isPrivate(address: String) -> Bool { ow_http_is_private(address) }

    private static func milliseconds(_ deadline: Deadline) -> Int { max(1, Int(deadline.remaining / .milliseconds(1))) }

    fileprivate static func text<Bytes>(_ bytes: inout Bytes) -> String {
        withUnsafeBytes(of: &bytes) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

/// Why there is no answer.
package enum HTTPError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The name leads to an address that isn't allowed.
    case addressRefused(String)
    /// Trying again can't help: the URL, or a file of certificates.
    case misconfigured(String)
    /// No connection, or none that TLS trusts.
    case unreachable(String)
    /// The request was sent, at least in part, and no whole answer came.
    case lost(String)

    fileprivate init?(_ result: ow_http_result) {
        var result = result
        guard result.error != 0 else { return nil }
        let message = HTTPPoster.text(&result.message)
        // CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_SSL_CACERT_BADFILE
        if result.is_address_refused {
            self = .addressRefused(HTTPPoster.text(&result.address))
        } else if [1, 3, 77].contains(result.error) {
            self = .misconfigured(message)
        } else {
            self = result.was_sent ? .lost(message) : .unreachable(message)
        }
    }

    package var description: String {
        switch self {
        case .addressRefused(let address):
            "\(address) is an address of a private network, or of this machine, which isn't allowed"
        case .misconfigured(let message), .unreachable(let message): message
        case .lost(let message): "no answer: \(message)"
        }
    }
}

extension String {
    fileprivate var nilIfEmpty: String? { isEmpty ? nil : self }
}
