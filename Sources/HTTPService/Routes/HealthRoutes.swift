import HTTPTypes
import Hummingbird
import NIOCore
import Reports

/// Whether the process lives, and whether it can take changes.
struct HealthRoutes: Sendable {
    let feed: StatusFeed

    private struct Readiness: Encodable {
        struct Check: Encodable {
            let name: String
            let ready: Bool
            /// Why not.
            let error: String?
        }

        let ready: Bool
        let checks: [Check]
    }

    var routes: [Route] { [Self.healthz, Route(.get, "/readyz", nil, readyz)] }

    /// The process lives.
    static let healthz = Route(.get, "/healthz", nil) { _ in
        Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: "ok\n")))
    }

    /// Changes are taken without Postgres; it is told all the same.
    @Sendable private func readyz(_ call: Call) async throws -> Response {
        var checks: [Readiness.Check] = []
        var isReady = false
        switch await feed.current() {
        case .success(let frame):
            let snapshot = frame.snapshot
            let closed = Set(snapshot.groups.flatMap { $0.partitions.filter { $0.state == .closed }.map(\.partition) })
            isReady = closed.isEmpty
            checks = [
                Self.check("redis", snapshot.redis),
                Readiness.Check(
                    name: "log", ready: closed.isEmpty,
                    error: closed.isEmpty
                        ? nil : "\(closed.count) partitions are closed: see onewrite open"),
                Self.check("postgres", snapshot.postgres),
            ]
        case .failure(let trouble):
            let unavailable = trouble.unavailable
            checks = [
                unavailable.redis.map { Self.check("redis", $0) }
                    ?? Readiness.Check(name: "redis", ready: false, error: "not known"),
                Readiness.Check(name: "log", ready: false, error: trouble.error),
                unavailable.postgres.map { Self.check("postgres", $0) }
                    ?? Readiness.Check(name: "postgres", ready: false, error: "not known"),
            ]
        }
        return try Response(Readiness(ready: isReady, checks: checks), status: isReady ? .ok : .serviceUnavailable)
    }

    private static func check(_ name: String, _ server: Snapshot.Server) -> Readiness.Check {
        Readiness.Check(name: name, ready: server.error == nil, error: server.error)
    }
}
