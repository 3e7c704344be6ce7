import Foundation
import HTTPTypes
import Hummingbird
import Serving

/// Logging in with a browser, by a token.
struct SessionRoutes: Sendable {
    let gatekeeper: Gatekeeper
    let version: String

    private struct Login: Decodable {
        let token: String
    }

    /// Who asks: what the page shows and offers.
    private struct Session: Encodable {
        let loginRequired: Bool
        let name: String?
        let roles: [Role]
        let version: String

        enum CodingKeys: String, CodingKey {
            case name, roles, version
            case loginRequired = "login_required"
        }

        func encode(to encoder: any Encoder) throws {
            var json = encoder.container(keyedBy: CodingKeys.self)
            try json.encode(loginRequired, forKey: .loginRequired)
            try json.encode(name, forKey: .name)
            try json.encode(roles, forKey: .roles)
            try json.encode(version, forKey: .version)
        }
    }

    var routes: [Route] {
        [
            Route(.get, "/v1/session", nil, show), Route(.post, "/v1/session", nil, begin),
            Route(.delete, "/v1/session", nil, end),
        ]
    }

    private func session(of who: Identity) -> Session {
        Session(loginRequired: gatekeeper.needsLogin, name: who.name, roles: who.roles, version: version)
    }

    @Sendable private func show(_ call: Call) async throws -> Response { try Response(session(of: call.who)) }

    @Sendable private func begin(_ call: Call) async throws -> Response {
        guard call.mediaType == "application/json" else {
            throw Problem(.unsupportedMediaType, "expected application/json")
        }
        if let wait = gatekeeper.throttle.wait(call.address) {
            throw Problem(
                .tooMany, "too many wrong tokens. Try again in a while",
                headers: [.retryAfter: "\(max(1, wait.components.seconds))"])
        }
        let login: Login
        do {
            login = try JSONDecoder().decode(Login.self, from: Data(try await call.body(upTo: 4096)))
        } catch is DecodingError {
            throw Problem(.badRequest, #"expected {"token":"…"}"#)
        }
        guard gatekeeper.needsLogin else { return try Response(session(of: call.who)) }
        guard let entry = gatekeeper.entry(of: login.token) else {
            gatekeeper.throttle.failed(call.address)
            throw Problem(.unauthorized, "there is no such token")
        }
        gatekeeper.throttle.succeeded(call.address)
        let cookie = gatekeeper.sessions.begin(token: entry.sha256)
        return try Response(
            session(of: Identity(entry)),
            headers: [.setCookie: header(cookie, seconds: Sessions.lifetime.components.seconds)])
    }

    @Sendable private func end(_ call: Call) async throws -> Response {
        if let cookie = call.request.cookies[Gatekeeper.cookie]?.value { gatekeeper.sessions.end(cookie) }
        return try Response(
            session(of: gatekeeper.needsLogin ? .nobody : .anybody), headers: [.setCookie: header("", seconds: 0)])
    }

    private func header(_ value: String, seconds: Int64) -> String {
        "\(Gatekeeper.cookie)=\(value); Path=/; Max-Age=\(seconds); HttpOnly; SameSite=Strict"
            + (gatekeeper.isSecure ? "; Secure" : "")
    }
}
