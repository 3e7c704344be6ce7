import Hummingbird
import HTTPTypes
import Inspection
import Onewrite
import OrderLog
import Reports
import Serving
import Upkeep

/// What people ask of the stores: what the commands' `--json` prints.
struct AskRoutes: Sendable {
    let questions: Questions
    let feed: StatusFeed
    /// What stays of the log, unless one asks otherwise.
    let retention: Duration

    private static let limitMax = 100_000

    var routes: [Route] {
        [
            Route(.get, "/v1/status", .read, status), Route(.get, "/v1/history", .read, history),
            Route(.get, "/v1/events", .read, events), Route(.get, "/v1/orders", .read, search),
            Route(.get, "/v1/orders/{shop}/{id}", .read, order), Route(.get, "/v1/stock/{shop}", .read, stock),
            Route(.get, "/v1/pending", .read, pending), Route(.get, "/v1/trim", .read, trim),
        ]
    }

    @Sendable private func status(_ call: Call) async throws -> Response {
        try call.allowQuery()
        switch await feed.current() {
        case .success(let frame): return Response(json: frame.json)
        case .failure(let trouble): throw Problem(.unavailable, trouble.error)
        }
    }

    @Sendable private func history(_ call: Call) async throws -> Response {
        try call.allowQuery()
        return try Response(await feed.history())
    }

    /// `status` once a second, as server-sent events.
    @Sendable private func events(_ call: Call) async throws -> Response {
        try call.allowQuery()
        guard let frames = await feed.follow() else { throw Problem.tooManyFollow }
        // Proxies that gather answers would hold events back.
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .xAccelBuffering: "no"],
            body: ResponseBody(asyncSequence: frames))
    }

    @Sendable private func search(_ call: Call) async throws -> Response {
        try call.allowQuery("id")
        guard let id = call.query("id") else { throw Problem(.badRequest, "id is missing: /v1/orders?id=ord-1") }
        return try await trail(id, shop: nil)
    }

    @Sendable private func order(_ call: Call) async throws -> Response {
        try call.allowQuery()
        return try await trail(call.parts[1], shop: call.parts[0])
    }

    private func trail(_ id: String, shop: String?) async throws -> Response {
        for (name, text) in [("id", id)] + (shop.map { [("shop", $0)] } ?? []) {
            guard text.isName else {
                throw Problem(.badRequest, "\(name): expected \(NameRule.text), got \(FieldError.quote(text))")
            }
        }
        let trail = try await questions.ask { servers, _ -> Result<OrderTrail, Problem> in
            do {
                return .success(try OrderReader(servers, progress: { _ in }).trail(of: id, inShop: shop))
            } catch let error as WrongQuestion {
                return .failure(Problem(.ambiguous, "\(error.message): /v1/orders/{shop}/{id}"))
            }
        }
        return try Response(trail.get())
    }

    @Sendable private func stock(_ call: Call) async throws -> Response {
        try call.allowQuery(list: "sku")
        let skus = call.request.uri.queryParameters.filter { $0.key == "sku" }.map { String($0.value) }
        let shop = call.parts[0]
        do {
            // A count of nothing checks the names as the log does.
            _ = try Change(
                ChangeDraft(
                    type: Change.Kind.stockCounted.rawValue, id: "-", shop: shop,
                    lines: .items((skus.isEmpty ? ["-"] : skus).map { ($0, "0") })))
        } catch {
            throw Problem(.badRequest, error.description)
        }
        let report = try await questions.ask { servers, _ in try StockReport(shop: shop, skus: skus, servers) }
        return try Response(
            report, status: report.rows.contains { $0.redis == nil && $0.postgres == nil } ? .notFound : .ok)
    }

    @Sendable private func pending(_ call: Call) async throws -> Response {
        try call.allowQuery("group", "partition", "limit")
        let group = try call.group()
        let partition = try partition(call)
        let limit = try call.integer("limit", 1...Self.limitMax, default: 100)
        // Of one partition all are looked through, since the oldest may be others'.
        let list = try await questions.ask { servers, _ in
            try PendingReader.answer(servers, group: group, limit: partition == nil ? limit : Self.limitMax)
        }
        let entries = list.entries.filter { partition == nil || $0.partition == partition }.prefix(limit)
        return try Response(lines: entries, headers: [.xTotalCount: "\(list.total)"])
    }

    private func partition(_ call: Call) throws(Problem) -> Int? {
        guard call.query("partition") != nil else { return nil }
        return try call.integer("partition", 0...(Limits.partitions.upperBound - 1), default: 0)
    }

    /// What could be dropped from the log; nothing is.
    @Sendable private func trim(_ call: Call) async throws -> Response {
        try call.allowQuery("keep", "keep_entries", "partition")
        let partition = try partition(call)
        let age = try call.query("keep").map { text throws(Problem) in
            guard let age = Duration(text: text) else {
                throw Problem(.badRequest, "keep: expected a duration like 12h 7d 0s, got \(FieldError.quote(text))")
            }
            return age
        }
        let entries = try call.query("keep_entries").map { _ in
            try call.integer("keep_entries", 0...Int(Int32.max), default: 0)
        }
        let asked = Retention(age: age ?? (entries == nil ? retention : nil), entries: entries)
        let report = try await questions.ask { servers, interrupt in
            let run = try TrimRun(servers, interrupt: interrupt)
            let rows = try await run.plan(keeping: asked, in: partition.map { [Partition($0)] }) { _, _ in }
            return TrimReport(rows, keeping: asked)
        }
        return try Response(report)
    }
}
