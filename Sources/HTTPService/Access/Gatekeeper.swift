import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Serving
import Synchronization

/// Decides who asks, and whether they may.
final class Gatekeeper: Sendable {
    static let cookie = "onewrite_session"

    private struct Tokens {
        var file: TokenFile
        var stamp: FileStamp?
    }

    /// nil where nobody needs one.
    private let tokensPath: String?
    private let tokens: Mutex<Tokens?>
    private let isLoopback: Bool
    private let trustsProxy: Bool
    let isSecure: Bool
    let sessions = Sessions()
    let throttle = LoginThrottle()
    private let logger: Logger

    /// - Throws: ``TokenFile/Trouble``.
    init(_ plan: ServePlan, isLoopback: Bool, _ logger: Logger) throws(TokenFile.Trouble) {
        tokensPath = plan.tokens
        if let path = plan.tokens {
            let stamp = FileStamp(path)
            tokens = Mutex(Tokens(file: try TokenFile(path: path), stamp: stamp))
        } else {
            tokens = Mutex(nil)
        }
        (self.isLoopback, trustsProxy) = (isLoopback, plan.trustsProxy)
        isSecure = plan.certificate != nil
        self.logger = logger
    }

    /// Lets everybody in.
    init() {
        (tokensPath, isLoopback, trustsProxy, isSecure) = (nil, false, false, false)
        tokens = Mutex(nil)
        logger = .quiet
    }

    var needsLogin: Bool { tokensPath != nil }

    /// Reads the file again if it has changed; one that can't be read changes nothing.
    ///
    /// - Returns: Whether other tokens count now.
    func reload() -> Bool {
        guard let path = tokensPath else { return false }
        let stamp = FileStamp(path)
        guard tokens.withLock({ $0?.stamp != stamp }) else { return false }
        do throws(TokenFile.Trouble) {
            let file = try TokenFile(path: path)
            tokens.withLock { $0 = Tokens(file: file, stamp: stamp) }
            logger.info("\(file.entries.count) tokens in \(path)")
            return true
        } catch {
            tokens.withLock { $0?.stamp = stamp }
            logger.warning("\(error); the tokens that were read before still count")
            return false
        }
    }

    func entry(of token: String) -> TokenFile.Entry? {
        tokens.withLock { $0?.file.entry(of: token) }
    }

    /// Lets a request through to a route.
    ///
    /// - Returns: Who asks, and from where.
    /// - Throws: ``Problem``.
    func admit(_ request: Request, _ context: CallContext, to route: Route) throws(Problem) -> (
        Identity, address: String
    ) {
        let address = try address(request, context)
        try refuseOtherSites(request)
        let who = identify(request)
        if let role = route.role, !who.may(role) {
            guard who != .nobody else {
                throw Problem(
                    .unauthorized, "give a token that may \(role.rawValue): Authorization: Bearer …",
                    headers: [.wwwAuthenticate: "Bearer realm=\"onewrite\""])
            }
            throw Problem(.forbidden, "the token \(who.name ?? "?") may not \(role.rawValue)")
        }
        return (who, address)
    }

    /// Who asks, whether they may or not.
    func identify(_ request: Request) -> Identity {
        guard tokensPath != nil else { return .anybody }
        if let text = request.headers[.authorization] {
            guard text.lowercased().hasPrefix("bearer ") else { return .nobody }
            let token = text.dropFirst("bearer ".count).trimmingCharacters(in: .whitespaces)
            return entry(of: token).map { Identity($0) } ?? .nobody
        }
        guard let cookie = request.cookies[Self.cookie]?.value, let hash = sessions.token(of: cookie) else {
            return .nobody
        }
        // A token that was taken back ends the sessions that began with it.
        let entry = tokens.withLock { $0?.file.entries.first { $0.sha256 == hash } }
        return entry.map { Identity($0) } ?? .nobody
    }

    private func address(_ request: Request, _ context: CallContext) throws(Problem) -> String {
        let own = context.remoteAddress ?? "?"
        guard let forwarded = request.headers[.xForwardedFor] else { return own }
        if trustsProxy {
            // The last is the one that the proxy has seen itself.
            return forwarded.split(separator: ",").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? own
        }
        guard tokensPath != nil || !isLoopback else {
            throw Problem(
                .forbidden,
                "a proxy brings others to an address that is for this machine alone. Set --tokens")
        }
        return own
    }

    /// What a page of another site makes a browser send is refused, also where no token is needed.
    private func refuseOtherSites(_ request: Request) throws(Problem) {
        // A program's own header can't be sent by another site's page.
        guard request.headers[.authorization] == nil else { return }
        let host = request.head.authority ?? ""
        if isLoopback, tokensPath == nil, !Self.isLoopbackName(host) {
            // A name of another's that leads to this machine.
            throw Problem(.crossSite, "expected this machine's name, localhost say, as host")
        }
        if let site = request.headers[.secFetchSite], site == "cross-site" || site == "same-site" {
            let isVisit = request.method == .get && request.uri.path == "/"
            guard isVisit else { throw Problem(.crossSite, "a page of another site asked a browser for this") }
        }
        if request.method != .get, request.method != .head, let origin = request.headers[.origin] {
            let own = origin.split(separator: "/").last.map { $0.lowercased() }
            guard own == host.lowercased() else {
                throw Problem(.crossSite, "a page of another site asked a browser for this")
            }
        }
    }

    private static func isLoopbackName(_ authority: String) -> Bool {
        // By hand: each request comes through here, and an expression would take longer than all else.
        var name = Substring(authority)
        if name.utf8.first == UInt8(ascii: "[") {
            name = name.dropFirst().prefix { $0 != "]" }
        } else {
            name = name.prefix { $0 != ":" }
        }
        return name.isEmpty || ServePlan.isLoopback(name.lowercased())
    }
}

/// What tells that a file was written anew.
struct FileStamp: Equatable {
    private let inode: Int?
    private let modified: Date?
    private let size: Int?

    init?(_ path: String) {
        // Secrets are often mounted as links, of which only the last one's target is another.
        let target = URL(filePath: path).resolvingSymlinksInPath().path
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: target) else { return nil }
        (inode, size) = (attributes[.systemFileNumber] as? Int, attributes[.size] as? Int)
        modified = attributes[.modificationDate] as? Date
    }
}
