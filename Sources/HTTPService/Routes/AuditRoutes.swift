import HTTPTypes
import Hummingbird
import OrderLog
import Serving

/// Audits: started by who may operate, since one reads the whole log; followed by who may read.
struct AuditRoutes: Sendable {
    let runs: AuditRuns

    var routes: [Route] {
        [
            Route(.post, "/v1/audits", .operate, start), Route(.get, "/v1/audits", .read, list),
            Route(.get, "/v1/audits/{audit}", .read, show),
            Route(.get, "/v1/audits/{audit}/events", .read, events),
        ]
    }

    @Sendable private func start(_ call: Call) async throws -> Response {
        try call.allowQuery()
        let run = await runs.start()
        return try Response(run, status: .accepted, headers: [.location: "/v1/audits/\(run.audit)"])
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        try call.allowQuery()
        return try Response(lines: await runs.all)
    }

    @Sendable private func show(_ call: Call) async throws -> Response {
        try call.allowQuery()
        return try Response(await runs.run(call.parts[0]))
    }

    @Sendable private func events(_ call: Call) async throws -> Response {
        try call.allowQuery()
        let events = try await runs.follow(call.parts[0])
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .xAccelBuffering: "no"],
            body: ResponseBody(asyncSequence: events))
    }
}
