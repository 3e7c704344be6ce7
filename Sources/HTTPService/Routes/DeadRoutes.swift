import Foundation
import HTTPTypes
import Hummingbird
import Inspection
import Onewrite
import OrderLog
import Reports
import Serving

/// Dead letters: seen by who may read, retried and dropped by who may operate.
struct DeadRoutes: Sendable {
    let questions: Questions
    /// The idempotency window, for changes that are appended again.
    let window: Duration

    private enum Action: String, Codable {
        case retry, drop
    }

    private struct Request: Decodable {
        let ids: [String]
        let reason: String?
        let confirm: String?
    }

    /// What an action would do, or has done: `onewrite/plan/v1`.
    private struct Plan: Encodable {
        let schema = "onewrite/plan/v1"
        let plan: String
        let action: Action
        let letters: [DeadLetterRow]

        enum CodingKeys: String, CodingKey { case schema, plan, action, letters }
    }

    private static let lettersMax = 1000

    var routes: [Route] {
        [
            Route(.get, "/v1/dead", .read, list), Route(.get, "/v1/dead/{letter}", .read, show),
            Route(.post, "/v1/dead/retry", .operate) { try await act(.retry, $0) },
            Route(.post, "/v1/dead/drop", .operate) { try await act(.drop, $0) },
        ]
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        try call.allowQuery("group", "reason", "all", "limit")
        let (group, all) = (try call.group(), try call.flag("all"))
        let limit = try call.integer("limit", 1...100_000, default: 1000)
        let reason = try call.query("reason").map { text throws(Problem) in
            guard let reason = DeadLetter.Reason(rawValue: text) else {
                throw Problem(
                    .badRequest,
                    "reason: expected \(DeadLetter.Reason.allCases.map(\.rawValue).joined(separator: ", ")), got "
                        + FieldError.quote(text))
            }
            return reason
        }
        let look = try await questions.ask { servers, _ in try DeadLetterLook(servers) }
        let chosen = look.chosen(group: group, reason: reason, withResolved: all)
        return try Response(lines: chosen.prefix(limit), headers: [.xTotalCount: "\(chosen.count)"])
    }

    @Sendable private func show(_ call: Call) async throws -> Response {
        try call.allowQuery()
        let name = call.parts[0]
        let look = try await questions.ask { servers, _ in try DeadLetterLook(servers) }
        guard var row = look.rows.first(where: { $0.letter.isNamed(name) }) else {
            throw Problem(.notFound, "there is no dead letter \(FieldError.quote(name))")
        }
        row.isWhole = true
        return try Response(row)
    }

    /// The plan, or what it names done.
    private func act(_ action: Action, _ call: Call) async throws -> Response {
        try call.allowQuery()
        let wanted = try await request(call, action)
        let person = call.who.name.map { "\($0) (token), \(call.address)" } ?? "HTTP, \(call.address)"
        let window = window
        let deed: DeadLetterPlan.Action = action == .retry ? .retry : .drop(reason: wanted.reason ?? "")
        let answer = try await questions.ask { servers, _ -> Result<Plan, Problem> in
            do {
                let plan = try DeadLetterPlan(
                    deed, wanted.ids, by: person, window: window, on: servers,
                    confirming: wanted.confirm.map { confirmed in { confirmed == Self.id($0) } })
                return .success(Plan(plan: wanted.confirm ?? Self.id(plan), action: action, letters: plan.rows))
            } catch DeadLetterPlan.Refusal.missing(let name) {
                return .failure(Problem(.notFound, "there is no dead letter \(FieldError.quote(name))"))
            } catch DeadLetterPlan.Refusal.outdated {
                return .failure(
                    Problem(
                        .outdatedPlan, "what it would do has changed since. Ask for the plan again, and look at it"))
            }
        }
        return try Response(answer.get())
    }

    /// The plan's name, short enough for a URL and a log.
    private static func id(_ plan: DeadLetterPlan) -> String { String(TokenDigest.hex(plan.text).prefix(32)) }

    private func request(_ call: Call, _ action: Action) async throws -> Request {
        guard call.mediaType == "application/json" else {
            throw Problem(.unsupportedMediaType, "expected application/json")
        }
        let body = try await call.body(upTo: HTTPLimits.actionBytesMax)
        let request: Request
        do {
            request = try JSONDecoder().decode(Request.self, from: Data(body))
        } catch {
            throw Problem(.badRequest, #"expected {"ids":["5:118"]}, with "reason" to drop, and "confirm" to do it"#)
        }
        guard (1...Self.lettersMax).contains(request.ids.count) else {
            throw Problem(.badRequest, "ids: expected 1 to \(Self.lettersMax) dead letters, got \(request.ids.count)")
        }
        if action == .drop {
            guard ReasonText.isUsable(request.reason ?? "") else {
                throw Problem(.badRequest, "reason: expected a text of 1 to \(ReasonText.bytesMax) bytes")
            }
        }
        return request
    }
}
