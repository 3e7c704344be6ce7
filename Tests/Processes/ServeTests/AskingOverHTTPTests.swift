import Connections
import Foundation
import HTTPService
import PrivateServers
import TestSupport
import Testing

@Suite("Asking and acting over HTTP")
struct AskingOverHTTPTests {
    @Test("the document names every place that there is, with its role, and no other")
    func document() async throws {
        try await ServedShop.with { shop in
            let document = try await shop.get("/openapi.json").object()
            var documented: Set<String> = []
            for (path, methods) in try document.object("paths") {
                for (method, operation) in try #require(methods as? [String: [String: Any]]) {
                    documented.insert("\(method.uppercased()) \(path) \(operation.text("x-role") ?? "anybody")")
                }
            }
            // The page is for people.
            let served = try HTTPService.places(LogConfiguration()).filter {
                !$0.contains(" /assets/") && !$0.hasSuffix(" / anybody")
            }
            #expect(documented.union(["GET /openapi.json anybody"]) == Set(served))
        }
    }

    @Test("what is asked is what the commands print")
    func sameAsCommands() async throws {
        try await ServedShop.with("--workers") { shop in
            #expect(
                try await shop.submit(ServedShop.order("a/b", shop: "s/1"), query: "?wait=postgres,stock,delivery")
                    .status == 201)
            let order = try await shop.get("/v1/orders/s%2F1/a%2Fb")
            #expect(order.status == 200)
            let orderPrinted = try await shop.run("order", "a/b", "--shop", "s/1", "--json").output
            #expect(order.body + "\n" == orderPrinted)
            #expect(try await shop.get("/v1/orders?id=a%2Fb").body == order.body)
            #expect(
                try await shop.submit(ServedShop.order("a/b", shop: "s/2"), query: "?wait=postgres").status == 201)
            let both = try await shop.get("/v1/orders?id=a%2Fb")
            #expect(both.status == 409 && both.body.contains("several shops have an order a/b"))
            let stock = try await shop.get("/v1/stock/s%2F1")
            let stockPrinted = try await shop.run("stock", "show", "--shop", "s/1", "--json").output
            #expect(stock.body + "\n" == stockPrinted)
            #expect(try await shop.get("/v1/stock/s%2F1?sku=NONE").status == 404)
            // A look is shared for up to a second.
            try await eventually("the groups have applied all") {
                let status = try await shop.get("/v1/status").object()
                #expect(status.text("schema") == "onewrite/status/v1")
                return try status.objects("groups").map { $0.int("lag") } == [0, 0, 0]
            }
            let trim = try await shop.get("/v1/trim?keep=0s")
            #expect(trim.body + "\n" == (try await shop.run("trim", "--keep", "0s", "--json").output))
            let counts = try trim.object().objects("partitions").map {
                ($0.int("entries") ?? 0) + ($0.int("stays") ?? 0)
            }
            #expect(counts.reduce(0, +) == 2, "\(trim.body)")
            let one = try await shop.get("/v1/trim?partition=1&keep_entries=5").object()
            #expect(one.int("keep_entries") == 5 && one["keep_ms"] == nil)
            #expect(try one.objects("partitions").map { $0.int("partition") } == [1])
            #expect(try await shop.get("/v1/trim?partition=4").status == 404)
            #expect(try await shop.run("trim", "--partition", "4").errors.contains("no partition 4: the log has 4"))
            for query in ["keep=1x", "keep_entries=-1", "partition=1024", "keeps=1d", "keep=1d&keep=2d"] {
                #expect(try await shop.get("/v1/trim?\(query)").status == 400, "\(query)")
            }
            let none = try await shop.get("/v1/orders/s/none")
            #expect(none.status == 404)
            #expect(try none.object().text("type") == "urn:onewrite:problem:not-found")
            #expect(try await shop.get("/v1/orders/s/%20").status == 400)
            let history = try await shop.get("/v1/history").object()
            #expect(history.int("every_seconds") == 5)
        }
    }

    @Test("pending entries by group and partition")
    func pending() async throws {
        try await ServedShop.with { shop in
            for number in 0..<12 {
                #expect(try await shop.submit(ServedShop.order("o-\(number)", shop: "shop-\(number)")).status == 201)
            }
            // Read, and never acknowledged.
            for partition in 0..<4 {
                _ = try shop.redis("XREADGROUP", "GROUP", "stock", "gone", "STREAMS", shop.key(partition, "log"), ">")
            }
            let all = try await shop.get("/v1/pending")
            #expect(all.header("content-type") == "application/x-ndjson" && all.header("x-total-count") == "12")
            let entries = try all.objects()
            #expect(
                entries.count == 12
                    && entries.allSatisfy { $0.text("state") == "orphaned" && $0.text("group") == "stock" })
            let partition = try #require(entries.first?.int("partition"))
            let few = try await shop.get("/v1/pending?group=stock&partition=\(partition)").objects()
            #expect(few.count == entries.count { $0.int("partition") == partition })
            #expect(try await shop.get("/v1/pending?limit=3").objects().count == 3)
            #expect(try await shop.get("/v1/pending?group=postgres").body.isEmpty)
            #expect(try await shop.get("/v1/pending?limit=0").status == 400)
        }
    }

    @Test("dead letters: seen, planned, and then retried or dropped, once, with who did it")
    func deadLetters() async throws {
        try await ServedShop.with("--workers") { shop in
            // Two entries that no append has written.
            for number in 0..<2 {
                _ = try shop.redis("XADD", shop.key(number, "log"), "*", "type", "nonsense", "id", "by-hand-\(number)")
            }
            try await eventually("all groups set both aside") {
                let letters = try await shop.get("/v1/dead").objects()
                return try letters.count == 2 && letters.allSatisfy { try $0.objects("groups").count == 3 }
            }
            let letters = try await shop.get("/v1/dead").objects()
            let ids = letters.compactMap { $0.text("letter") }
            let escaped = try #require(ids[0].addingPercentEncoding(withAllowedCharacters: .alphanumerics))
            let whole = try await shop.get("/v1/dead/\(escaped)").object()
            #expect(try whole.objects("fields").contains { $0.text("value") == "nonsense" })
            func body(_ ids: [String], _ more: String = "") -> String {
                #"{"ids":[\#(ids.map { "\"\($0)\"" }.joined(separator: ","))]\#(more)}"#
            }
            // An entry that was added by hand is no change: that it can't be retried is the plan.
            let retry = try await shop.ask("POST", "/v1/dead/retry", body([ids[0]])).object()
            #expect(try retry.objects("letters").first?.text("outcome") == "refused")
            let reason = #","reason":"a test""#
            let plan = try await shop.ask("POST", "/v1/dead/drop", body(ids, reason)).object()
            #expect(try plan.objects("letters").map { $0.text("outcome") } == ["planned", "planned"])
            #expect(try await shop.get("/v1/dead").objects().count == 2, "a plan changes nothing")
            let name = try #require(plan.text("plan"))
            for (change, status) in [
                (body(ids, #","reason":"another","confirm":"\#(name)""#), 409),
                (body([ids[0]], reason + #","confirm":"\#(name)""#), 409), (body(ids, #","reason":" ""#), 400),
                (body(["9:9"], reason), 404), (body([], reason), 400), ("[]", 400), (body(ids), 400),
            ] {
                #expect(try await shop.ask("POST", "/v1/dead/drop", change).status == status, "\(change)")
            }
            let done = try await shop.ask("POST", "/v1/dead/drop", body(ids, reason + #","confirm":"\#(name)""#))
            #expect(done.status == 200)
            #expect(try done.object().objects("letters").map { $0.text("outcome") } == ["dropped", "dropped"])
            #expect(try await shop.get("/v1/dead").body.isEmpty)
            // The same again has nothing to do any more: its plan was another.
            let again = try await shop.ask("POST", "/v1/dead/drop", body(ids, reason + #","confirm":"\#(name)""#))
            #expect(again.status == 409)
            let recorded = try await shop.get("/v1/dead?all=true").objects()
            let resolution = try #require(try recorded.first?.objects("groups").first?["resolution"] as? [String: Any])
            #expect(resolution.text("by") == "HTTP, 127.0.0.1" && resolution.text("reason") == "a test")
        }
    }

    @Test("an audit is started, followed to its end, and finds what differs")
    func audit() async throws {
        try await ServedShop.with("--workers") { shop in
            #expect(
                try await shop.submit(ServedShop.order("a"), query: "?wait=postgres,stock,delivery").status == 201)
            func verdict() async throws -> String? {
                let started = try await shop.ask("POST", "/v1/audits")
                #expect(started.status == 202)
                let place = try #require(started.header("location"))
                #expect(try started.object().text("state") == "running")
                let events = RawAnswer(try RawConnection(port: shop.port), "GET \(place)/events")
                #expect(events.text.contains("event: done"), "\(events.text)")
                let run = try await shop.get(place).object()
                #expect(run.text("state") == "done" && run.isNull("error"))
                return try run.object("report").text("verdict")
            }
            #expect(try await verdict() == "agree")
            _ = try shop.rows("UPDATE stock SET on_hand = on_hand + 1 RETURNING sku")
            #expect(try await verdict() == "disagree")
            #expect(try await shop.get("/v1/audits/99").status == 404)
            let all = try await shop.get("/v1/audits").objects()
            #expect(try all.map { try $0.object("report").text("verdict") } == ["disagree", "agree"])
            #expect(all.allSatisfy { ($0.text("audit").flatMap { Int($0) } ?? 0) > 1_700_000_000_000 })
        }
    }

    @Test("HEAD is GET without the body; Redis that is away is told once")
    func heads() async throws {
        try await withOwnServers { servers in
            try await ServedShop.with(on: servers) { shop in
                let connection = try RawConnection(port: shop.port)
                connection.send(
                    "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
                        + "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                let answer = connection.read()
                #expect(answer.matches(of: /HTTP\/1.1 200 OK/).count == 2 && answer.matches(of: /ok\n/).count == 1)
                await servers.redis.kill()
                for number in 0..<3 {
                    let lost = try await shop.submit(ServedShop.order("o-\(number)"), headers: ["Prefer": "wait=1"])
                    #expect(lost.status == 503)
                }
                #expect(shop.log.matches(of: /can't submit · error: cannot connect to Redis/).count == 1, "\(shop.log)")
            }
        }
    }

    @Test("events come once a second, and tell when the servers are gone and back")
    func events() async throws {
        try await withOwnServers { servers in
            try await ServedShop.with(on: servers) { shop in
                let connection = try RawConnection(port: shop.port)
                connection.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                let first = connection.read(until: "event: status")
                #expect(first.contains("text/event-stream") && first.contains("retry: 2000"))
                #expect(connection.read(until: "\"schema\":\"onewrite/status/v1\"").contains("onewrite/status/v1"))
                await servers.redis.kill()
                #expect(connection.read(until: "event: unavailable", within: 15).contains("event: unavailable"))
                #expect(try await shop.get("/v1/status").status == 503)
                let readiness = try await shop.get("/readyz")
                #expect(readiness.status == 503)
                #expect(try readiness.object().objects("checks").first?["ready"] as? Bool == false)
                try await servers.redis.restart()
                #expect(connection.read(until: "event: status", within: 15).contains("event: status"))
            }
        }
    }
}
