import Foundation
import PrivateServers
import RedisClient
import Synchronization
import TestSupport
import Testing

@Suite("Submitting over HTTP")
struct SubmitOverHTTPTests {
    @Test("each outcome is a status and a receipt")
    func outcomes() async throws {
        try await ServedShop.with("--workers") { shop in
            let first = try await shop.submit(ServedShop.order("a"))
            #expect(first.status == 201 && first.header("content-type") == "application/json")
            let receipt = try first.object()
            #expect(receipt.text("schema") == "onewrite/submit/v1" && receipt.text("outcome") == "accepted")
            #expect(receipt.int("seq") == 1)
            let again = try await shop.submit(ServedShop.order("a"))
            #expect(again.status == 200)
            #expect(try again.object().text("entry") == receipt.text("entry"))
            let other = try await shop.submit(ServedShop.order("a", quantity: 2))
            #expect(other.status == 409)
            #expect(try other.object().text("outcome") == "conflict")
            let bad = try await shop.submit(ServedShop.order("b", quantity: 0))
            #expect(bad.status == 422)
            #expect(try bad.object().text("field") == "quantity")
            // The log has what was accepted, and nothing else.
            #expect(try shop.inLog() == ["a": 1])
        }
    }

    @Test("Idempotency-Key stands for a missing id, in quotes or without; an id goes before it")
    func idempotencyKey() async throws {
        try await ServedShop.with { shop in
            let body = #"{"shop":"main","customer":"c","lines":[{"sku":"TEA","quantity":1}]}"#
            #expect(try await shop.submit(body).status == 422)
            #expect(try await shop.submit(body, headers: ["Idempotency-Key": "k-1"]).status == 201)
            let again = try await shop.submit(body, headers: ["Idempotency-Key": "\"k-1\""])
            #expect(again.status == 200)
            #expect(try again.object().text("id") == "k-1")
            let own = try await shop.submit(ServedShop.order("own"), headers: ["Idempotency-Key": "k-2"])
            #expect(try own.object().text("id") == "own")
            #expect(try shop.inLog() == ["k-1": 1, "own": 1])
        }
    }

    @Test("what is printed over several lines is one entry's line in the log")
    func prettyPrinted() async throws {
        try await ServedShop.with("--workers") { shop in
            let body = """
                {
                  "id": "a", "shop": "main", "customer": "c",
                  "lines": [ {"sku": "TEA", "quantity": 1} ],
                  "attributes": {
                    "note": "a\\nb \\"{",
                    "x": [1,
                      2]
                  }
                }
                """
            #expect(try await shop.submit(body, query: "?wait=postgres").status == 201)
            #expect(try shop.rows("SELECT attributes->>'note', attributes->>'x' FROM orders") == ["a\nb \"{|[1, 2]"])
            let log = try await shop.run("log", "--json").succeeded()
            #expect(try log.objects().count == 1)
        }
    }

    @Test("wait answers when the groups have it: reading one's own writes")
    func wait() async throws {
        try await ServedShop.with("--workers") { shop in
            for number in 0..<20 {
                let answer = try await shop.submit(
                    ServedShop.order("o-\(number)"), query: "?wait=postgres,stock,delivery")
                #expect(answer.status == 201)
                #expect(try shop.rows("SELECT count(*) FROM orders") == ["\(number + 1)"])
            }
            #expect(try await shop.submit(ServedShop.order("x"), query: "?wait=Nobody!").status == 400)
            let nobody = try await shop.submit(ServedShop.order("x"), query: "?wait=stock,nobody")
            #expect(nobody.status == 400 && nobody.body.contains("there is no group nobody; there are postgres, stock"))
            #expect(try await shop.get("/v1/orders?id=x").status == 404, "nothing was appended")
        }
    }

    @Test("a wait that runs out: 202, and it is in the log")
    func waitRunsOut() async throws {
        try await ServedShop.with { shop in
            let answer = try await shop.submit(
                ServedShop.order("a"), query: "?wait=stock", headers: ["Prefer": "respond-async, wait=1"])
            #expect(answer.status == 202)
            #expect(try answer.object().text("outcome") == "accepted")
            #expect(try answer.object().text("error")?.contains("stock") == true, "\(answer.body)")
            #expect(try shop.inLog() == ["a": 1])
        }
    }

    @Test("durability: reached, or unknown, and never called accepted")
    func durability() async throws {
        try await ServedShop.with { shop in
            let fsync = try await shop.submit(ServedShop.order("a"), query: "?durability=fsync")
            // Redis before 7.2 has no WAITAOF: then the append is there, and not known to be on disk.
            #expect([201, 503].contains(fsync.status), "\(fsync.body)")
            let replica = try await shop.submit(
                ServedShop.order("b"), query: "?durability=replicas%3D1", headers: ["Prefer": "wait=1"])
            #expect(replica.status == 503 && replica.header("retry-after") != nil)
            #expect(try replica.object().text("outcome") == "unknown")
            #expect(try await shop.submit(ServedShop.order("c"), query: "?durability=much").status == 400)
        }
    }

    @Test("a server that hangs: 503 and unknown; the same key again is taken once")
    func unknown() async throws {
        try await withOwnServers { servers in
            try await ServedShop.with(on: servers) { shop in
                #expect(try await shop.submit(ServedShop.order("before")).status == 201)
                servers.redis.pause()
                let body = #"{"shop":"main","customer":"c","lines":[{"sku":"TEA","quantity":1}]}"#
                let lost = try await shop.submit(body, headers: ["Idempotency-Key": "k", "Prefer": "wait=1"])
                #expect(lost.status == 503 && lost.header("retry-after") == "1")
                #expect(try lost.object().text("outcome") == "unknown")
                #expect(try await shop.get("/healthz").status == 200)
                #expect(try await shop.get("/readyz").status == 503)
                servers.redis.resume()
                try await eventually("it is in the log, or duplicate") {
                    [200, 201].contains(
                        try await shop.submit(body, headers: ["Idempotency-Key": "k", "Prefer": "wait=5"]).status)
                }
                #expect(try shop.inLog() == ["before": 1, "k": 1])
            }
        }
    }

    @Test("NDJSON: a receipt a line in order, bad lines among them, empty ones passed over")
    func lines() async throws {
        try await ServedShop.with { shop in
            let long = String(repeating: "x", count: 300_000)
            let body = """
                \(ServedShop.order("a"))

                {"nonsense
                \(ServedShop.order("b", shop: "other"))
                {"id":"\(long)"}
                \(ServedShop.order("a"))
                """
            let answer = try await shop.submit(body, headers: ["Content-Type": "application/x-ndjson"])
            #expect(answer.status == 200 && answer.header("content-type") == "application/x-ndjson")
            let receipts = try answer.objects()
            #expect(
                receipts.map { $0.text("outcome") } == ["accepted", "rejected", "accepted", "rejected", "duplicate"])
            #expect(receipts.map { $0.int("line") } == [nil, 3, nil, 5, nil])
            #expect(try shop.inLog() == ["a": 1, "b": 1])
        }
    }

    @Test("receipts come while the body still does")
    func streams() async throws {
        try await ServedShop.with { shop in
            let connection = try RawConnection(port: shop.port)
            connection.send(
                "POST /v1/changes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n")
            func chunk(_ text: String) { connection.send("\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n") }
            for number in 0..<3 {
                let order = ServedShop.order("s-\(number)") + "\n"
                chunk(String(order.prefix(20)))
                chunk(String(order.dropFirst(20)))
                let answer = connection.read(until: "\"s-\(number)\"")
                #expect(answer.contains("\"s-\(number)\""), "\(answer)")
            }
            connection.send("0\r\n\r\n")
            #expect(connection.read(until: "0\r\n\r\n").hasSuffix("0\r\n\r\n"))
        }
    }

    @Test(
        "a body that breaks off: what was accepted has its receipt, half a line is not taken, and the answer is not whole"
    )
    func breaksOff() async throws {
        try await ServedShop.with { shop in
            let connection = try RawConnection(port: shop.port)
            connection.send(
                "POST /v1/changes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n")
            let whole = ServedShop.order("whole") + "\n" + ServedShop.order("half")
            connection.send("\(String(whole.utf8.count, radix: 16))\r\n\(whole)\r\n")
            var answer = connection.read(until: "\"whole\"")
            connection.endSending()
            answer += connection.read()
            #expect(answer.contains("\"whole\"") && !answer.contains("\"half\""), "\(answer)")
            #expect(!answer.hasSuffix("0\r\n\r\n"))
            #expect(try shop.inLog() == ["whole": 1])
        }
    }

    @Test("a client that takes no receipts holds up nobody, and its body is read no further")
    func backPressure() async throws {
        try await ServedShop.with { shop in
            let connection = try RawConnection(port: shop.port)
            connection.send(
                "POST /v1/changes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n")
            // Far more than the window and the sockets hold; sent from beside, since it must come to a halt.
            let sender = Thread {
                for number in 0..<400 {
                    let orders = (0..<500).map { ServedShop.order("p-\(number)-\($0)") + "\n" }.joined()
                    connection.send("\(String(orders.utf8.count, radix: 16))\r\n\(orders)\r\n")
                }
            }
            sender.start()
            func length() throws -> Int {
                try (0..<4).reduce(0) { try $0 + Int(shop.redis("XLEN", shop.key($1, "log")).integer ?? 0) }
            }
            var last = -1
            try await eventually(within: .seconds(60), "the log grows no more") {
                try await Task.sleep(for: .milliseconds(700))
                let now = try length()
                defer { last = now }
                return now > 0 && now == last
            }
            #expect(last < 200_000, "all of it was read: \(last)")
            #expect(try await shop.submit(ServedShop.order("other", shop: "elsewhere")).status == 201)
            connection.endSending()
        }
    }

    @Test("limits and wrong requests have their answers")
    func wrongRequests() async throws {
        try await ServedShop.with { shop in
            let large = try await shop.submit(String(repeating: " ", count: 300_000))
            #expect(large.status == 413)
            #expect(try large.object().text("type") == "urn:onewrite:problem:too-large")
            #expect(large.header("content-type") == "application/problem+json")
            #expect(try await shop.submit("{}", headers: ["Content-Type": "text/plain"]).status == 415)
            #expect(try await shop.submit("{}", query: "?wiat=stock").status == 400)
            let method = try await shop.ask("PUT", "/v1/changes", "{}")
            #expect(method.status == 405 && method.header("allow") == "POST")
            let path = try await shop.get("/v2/changes")
            #expect(path.status == 404)
            #expect(try path.object().int("status") == 404)
            #expect(try shop.inLog().isEmpty)
        }
    }

    @Test("hostile heads and bodies: an answer or a closed connection, and the server goes on")
    func hostile() async throws {
        try await ServedShop.with { shop in
            let large = String(repeating: "a", count: 100_000)
            let heads = [
                "GET / HTTP/9.9\r\n\r\n", "\r\n\r\n", "\0\0\0\0",
                "POST /v1/changes HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                "POST /v1/changes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
                "POST /v1/changes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "GET /\(large) HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: localhost\r\nX: \(large)\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: localhost\r\n" + (0..<2000).map { "X-\($0): 1\r\n" }.joined() + "\r\n",
                "GET /%00%ff%2e%2e/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "GET /v1/orders/%ff/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "GET /v1/stock/..%2f..%2fetc%20 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            ]
            let bodies = [
                "[]", "null", "1", "\"", "{\"id\":", String(repeating: "[", count: 50_000), "{\"id\":\"\\ud800\"}",
                #"{"id":"a","id":"b"}"#, #"{"id":"a","shop":"s","customer":"c","lines":[{"sku":"T","quantity":1e99}]}"#,
                #"{"id":"a","shop":"s","customer":"c","lines":"TEA:1","attributes":"#
                    + String(repeating: "[", count: 40)
                    + String(repeating: "]", count: 40) + "}",
            ]
            for head in heads {
                let connection = try RawConnection(port: shop.port)
                connection.send(head)
                connection.endSending()
                let answer = connection.read(within: 1)
                #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 4"), "\(head.prefix(60)): \(answer.prefix(200))")
            }
            var generator = SystemRandomNumberGenerator()
            for number in 0..<500 {
                // A body, or one with some bytes of it changed at random.
                var bytes = Array((number < bodies.count ? bodies[number] : ServedShop.order("h")).utf8)
                if number >= bodies.count {
                    for _ in 0..<3 {
                        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(
                            in: 0...255, using: &generator)
                    }
                }
                let connection = try RawConnection(port: shop.port)
                connection.send(
                    "POST /v1/changes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                        + "Content-Type: application/json\r\nContent-Length: \(bytes.count)\r\n\r\n")
                connection.send(bytes)
                let answer = connection.read()
                #expect(
                    answer.hasPrefix("HTTP/1.1 4") || answer.hasPrefix("HTTP/1.1 20"),
                    "\(String(decoding: bytes, as: UTF8.self).prefix(80)): \(answer.prefix(200))")
            }
            #expect(try await shop.submit(ServedShop.order("last")).status == 201)
        }
    }

    @Test("clients that are slow by the hundred don't stop others")
    func slowClients() async throws {
        try await ServedShop.with { shop in
            let slow = try (0..<300).map { number in
                let connection = try RawConnection(port: shop.port)
                connection.send(
                    number % 2 == 0
                        ? "POST /v1/changes HTTP/1.1\r\nHost: loc"
                        : "POST /v1/changes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                            + "Content-Length: 100\r\n\r\n{")
                return connection
            }
            for number in 0..<50 { #expect(try await shop.submit(ServedShop.order("o-\(number)")).status == 201) }
            for connection in slow { connection.send("x") }
            #expect(try shop.inLog().count == 50)
        }
    }

    @Test("stopped under way, it answers what it has taken, and ends")
    func drains() async throws {
        try await withOwnServers { servers in
            try await ServedShop.with(on: servers) { shop in
                servers.redis.pause()
                async let answer = shop.submit(ServedShop.order("a"))
                try await Task.sleep(for: .milliseconds(500))
                shop.server.send(SIGTERM)
                try await Task.sleep(for: .milliseconds(500))
                servers.redis.resume()
                #expect(try await answer.status == 201)
                let status = try await shop.server.exit(within: .seconds(15))
                #expect(status == .exited(0), "\(shop.log)")
                #expect(try shop.inLog() == ["a": 1])
            }
        }
    }

    @Test("stopped while Redis hangs, it ends within its time, and says that it doesn't know")
    func stopsWhileHanging() async throws {
        try await withOwnServers { servers in
            try await ServedShop.with(on: servers) { shop in
                #expect(try await shop.submit(ServedShop.order("before")).status == 201)
                servers.redis.pause()
                let waiting = Task { try await shop.submit(ServedShop.order("a"), headers: ["Prefer": "wait=200"]) }
                try await Task.sleep(for: .milliseconds(500))
                shop.server.send(SIGTERM)
                let status = try await shop.server.exit(within: .seconds(50))
                servers.redis.resume()
                #expect(status == .exited(0), "\(status) \(shop.log)")
                // An answer that is no success, or a connection that was cut.
                let answer = try? await waiting.value
                #expect(answer == nil || answer?.status == 503)
            }
        }
    }

    @Test("Redis and Postgres are killed again and again: every 2xx is in the log once, and every other was honest")
    func kills() async throws {
        try await withOwnServers(redisOptions: ["appendonly yes", "appendfsync always"]) { servers in
            try await ServedShop.with("--workers", on: servers) { shop in
                let isOver = Flag()
                let accepted = try await withThrowingTaskGroup(of: Set<String>.self) { tasks in
                    for client in 0..<8 {
                        tasks.addTask {
                            var accepted: Set<String> = []
                            for number in 0... {
                                if isOver.isSet { break }
                                let id = "c\(client)-\(number)"
                                let body = ServedShop.order(id, shop: "shop-\(client)")
                                while true {
                                    let answer = try? await shop.submit(body, headers: ["Prefer": "wait=2"])
                                    guard let answer, [200, 201].contains(answer.status) else {
                                        if let answer { #expect(answer.status == 503, "\(answer.body)") }
                                        try await Task.sleep(for: .milliseconds(50))
                                        continue
                                    }
                                    accepted.insert(id)
                                    break
                                }
                            }
                            return accepted
                        }
                    }
                    for round in 0..<10 {
                        try await Task.sleep(for: .milliseconds(300))
                        if round % 2 == 0 {
                            await servers.redis.kill()
                            try await Task.sleep(for: .milliseconds(200))
                            try await servers.redis.restart()
                        } else {
                            await servers.postgres.kill()
                            try await Task.sleep(for: .milliseconds(200))
                            try await servers.postgres.restart()
                        }
                    }
                    try await Task.sleep(for: .milliseconds(500))
                    isOver.set()
                    return try await tasks.reduce(into: Set<String>()) { $0.formUnion($1) }
                }
                let log = try shop.inLog()
                #expect(accepted.count > 50)
                #expect(accepted.allSatisfy { log[$0] == 1 })
                #expect(log.values.allSatisfy { $0 == 1 })
                try await eventually(within: .seconds(30), "postgres has all: \(shop.log.suffix(2000))") {
                    try shop.rows("SELECT count(*) FROM orders") == ["\(log.count)"]
                }
            }
        }
    }
}

/// Set once, from any thread.
final class Flag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}
