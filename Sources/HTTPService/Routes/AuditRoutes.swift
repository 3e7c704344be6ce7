import HTTPTypes
import Hummingbird
import OrderLog
import Serving

/// Audits: started by who may operate, since one reads the whole log; followed by who may read.
struct AuditRoutes: Sendable {
    let runs: AuditRuns

    var routes: [Route] {
        [
            Route(.post, "/v1/audits", .operate, start), Route(.get, "/v1/audits/{audit}", .read, show),
            Route(.get, "/v1/audits/{audit}/events", .read, events),
        ]
    }

    @Sendable private func start(_ call: Call) async throws -> Response {
        try call.allowQuery()
        let run = await runs.start()
        return try Response(run, status: .accepted, headers: [.location: "/v1/audits/\(run.audit)"])
    }

    @Sendable private func show(_ call: Call) async throws -> Response {
        try call.allowQuery()
        guard let run = await runs.run(call.parts[0]) else { throw Self.missing(call) }
        return try Response(run)
    }

    @Sendable private func events(_ call: Call) async throws -> Response {
        try call.allowQuery()
        guard let events = await runs.follow(call.parts[0]) else { throw Self.missing(call) }
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .xAccelBuffering: "no"],
            body: ResponseBody(asyncSequence: events))
    }

    private static func missing(_ call: Call) -> Problem {
        Problem(.notFound, "there is no audit \(FieldError.quote(call.parts[0])), or it is forgotten")
    }
}
