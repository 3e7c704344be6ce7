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
        let answer = try await questions.ask { servers, _ -> Result<Plan, Problem> in
            let stores = try DeadLetterStores(servers, isPostgresNeeded: true)
            let found = try stores.read()
            let letters = found.letters.filter { letter in wanted.ids.contains(where: letter.isNamed) }
            if let missing = wanted.ids.first(where: { name in !letters.contains { $0.isNamed(name) } }) {
                return .failure(Problem(.notFound, "there is no dead letter \(FieldError.quote(missing))"))
            }
            let retry = DeadLetterRetry(stores: stores, positions: found.positions, window: window, by: person)
            let drop = DeadLetterDrop(wanted.reason ?? "", by: person)
            func rows(_ outcome: (DeadLetter) throws -> DeadLetterOutcome) rethrows -> [DeadLetterRow] {
                try letters.map {
                    DeadLetterRow(letter: $0, now: found.now, knowsPostgres: true, outcome: try outcome($0))
                }
            }
            let planned = try rows {
                action == .retry ? retry.step(for: $0).planned : try drop.run($0, in: stores, acts: false)
            }
            let id = Self.id(action, wanted.reason, planned)
            guard let confirmed = wanted.confirm else {
                return .success(Plan(plan: id, action: action, letters: planned))
            }
            guard confirmed == id else {
                return .failure(
                    Problem(
                        .outdatedPlan,
                        "what it would do has changed since. Ask for the plan again, and look at it"))
            }
            let done = try rows {
                action == .retry ? try retry.run($0) : try drop.run($0, in: stores, acts: true)
            }
            return .success(Plan(plan: id, action: action, letters: done))
        }
        return try Response(answer.get())
    }

    /// Names a plan by all that it says: another one has another name, and the server needs to remember none.
    private static func id(_ action: Action, _ reason: String?, _ letters: [DeadLetterRow]) -> String {
        let text = letters.map { "\($0.letter.id)\u{0}\($0.outcome?.word ?? "")\u{0}\($0.outcome?.detail ?? "")" }
        return String(
            TokenDigest.hex(([action.rawValue, reason ?? ""] + text).joined(separator: "\u{1}")).prefix(32))
    }

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
