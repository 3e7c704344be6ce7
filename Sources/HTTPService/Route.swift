import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Reports
import Serving

/// A method and a path, who may use it, and what answers.
struct Route: Sendable {
    typealias Answer = @Sendable (Call) async throws -> Response

    let method: HTTPRequest.Method
    /// As the document of OpenAPI has it: `/v1/orders/{shop}/{id}`.
    let path: String
    /// What one must be allowed to do; nil: anybody may.
    let role: Role?
    let answer: Answer
    /// Whether its path has variable parts.
    let isPattern: Bool
    private let segments: [Substring]

    init(_ method: HTTPRequest.Method, _ path: String, _ role: Role?, _ answer: @escaping Answer) {
        (self.method, self.path, self.role, self.answer) = (method, path, role, answer)
        segments = path.split(separator: "/")
        isPattern = path.contains("{")
    }

    /// The variable parts of a path that is this route's; nil when it isn't.
    func match(_ path: [Substring]) -> [String]? {
        guard path.count == segments.count else { return nil }
        var parts: [String] = []
        for (segment, part) in zip(segments, path) {
            if segment.hasPrefix("{") {
                guard let decoded = part.removingPercentEncoding else { return nil }
                parts.append(decoded)
            } else if segment != part {
                return nil
            }
        }
        return parts
    }
}

/// Finds the route of each request, and whether who asks may use it; turns what goes wrong into problems.
struct RouteTable: HTTPResponder {
    typealias Context = CallContext

    /// Those without variable parts, by their path, and the others.
    private let exact: [String: [Route]]
    private let patterns: [Route]
    private let gatekeeper: Gatekeeper
    private let metrics: HTTPMetrics
    private let logsRequests: Bool
    private let logger: Logger

    /// What a request led to.
    private struct Answer {
        let response: Response
        /// nil when there is none.
        var route: Route?
        /// nil for who was not let in.
        var call: Call?
    }

    init(routes: [Route], gatekeeper: Gatekeeper, metrics: HTTPMetrics, logsRequests: Bool, logger: Logger) {
        exact = Dictionary(grouping: routes.filter { !$0.isPattern }, by: \.path)
        patterns = routes.filter(\.isPattern)
        (self.gatekeeper, self.metrics, self.logsRequests, self.logger) = (gatekeeper, metrics, logsRequests, logger)
    }

    func respond(to request: Request, context: CallContext) async throws -> Response {
        let begun = ContinuousClock.now
        let answer = await answer(request, context)
        var response = answer.response
        response.headers[.xContentTypeOptions] = "nosniff"
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
        if request.method == .head { response = response.createHeadResponse() }
        metrics.note(request.method, answer.route?.path, response.status, since: begun)
        if logsRequests { log(request, response, answer.call, context, since: begun) }
        return response
    }

    /// Neither headers nor queries: what is secret stands there.
    private func log(
        _ request: Request, _ response: Response, _ call: Call?, _ context: CallContext,
        since begun: ContinuousClock.Instant
    ) {
        let milliseconds = (ContinuousClock.now - begun) / .milliseconds(1)
        logger.info(
            "\(sanitized("\(request.method) \(request.uri.path.prefix(Self.loggedPathMax))")) \(response.status.code)",
            metadata: [
                "address": "\(sanitized(call?.address ?? context.remoteAddress ?? "?"))",
                "token": "\(sanitized((call?.who ?? gatekeeper.identify(request)).name ?? "–"))",
                "ms": "\(Double((milliseconds * 10).rounded()) / 10)",
            ])
    }

    private static let loggedPathMax = 500

    /// The routes of a path, whatever their method: one without variable parts goes before those with.
    private func matches(_ path: String) -> [(route: Route, parts: [String])] {
        if let exact = exact[path] { return exact.map { ($0, []) } }
        let segments = path.split(separator: "/")
        return patterns.compactMap { route in route.match(segments).map { (route: route, parts: $0) } }
    }

    private func answer(_ request: Request, _ context: CallContext) async -> Answer {
        let found = matches(request.uri.path)
        // GET answers HEAD too.
        let method = request.method == .head ? .get : request.method
        do {
            guard let (route, parts) = found.first(where: { $0.route.method == method }) else {
                let allowed = found.map(\.route.method.rawValue)
                guard allowed.isEmpty else {
                    throw Problem(
                        .methodNotAllowed, "\(request.uri.path) takes \(allowed.joined(separator: ", "))",
                        headers: [.allow: allowed.joined(separator: ", ")])
                }
                throw Problem(.notFound, "there is nothing at \(request.uri.path.prefix(200)). See /openapi.json")
            }
            var call: Call?
            do {
                let (who, address) = try gatekeeper.admit(request, context, to: route)
                let admitted = Call(request: request, parts: parts, who: who, address: address)
                call = admitted
                return Answer(response: try await route.answer(admitted), route: route, call: admitted)
            } catch {
                return Answer(response: Self.response(error, logger), route: route, call: call)
            }
        } catch {
            return Answer(response: Self.response(error, logger))
        }
    }

    private static func response(_ error: any Error, _ logger: Logger) -> Response {
        if let problem = error as? Problem { return problem.response }
        if let problem = Problem(asking: error) { return problem.response }
        if error is CancellationError { return Problem(.unavailable, "the server is stopping").response }
        logger.error("\(error)")
        return Problem(.bug, "see the server's log").response
    }
}
