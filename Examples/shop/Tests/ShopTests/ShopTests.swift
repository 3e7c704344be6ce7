import Foundation
import Logging
import Onewrite
import OnewriteTesting
import ServiceLifecycle
import ShopServer
import Testing

@Suite("The shop")
struct ShopTests {
    @Test("an order is taken once, whatever is repeated, and read by whoever wrote it")
    func places() async throws {
        try await withShop { client in
            let placed = try await client.place("ord-1", tea: 2, headers: ["Prefer": "wait=10"])
            #expect(placed.status == 201)
            #expect(placed.header("Location") == "/shops/main/orders/ord-1")
            #expect(placed.header("Preference-Applied") == "wait")
            let shown = try await client.send("GET", "/shops/main/orders/ord-1")
            #expect(shown.status == 200)
            #expect(try shown.json()["status"] as? String == "placed")

            #expect(try await client.place("ord-1", tea: 2).status == 200)
            let conflict = try await client.place("ord-1", tea: 3)
            #expect(conflict.status == 409)
            #expect(try conflict.json()["outcome"] as? String == "conflict")
        }
    }

    @Test("an order is cancelled with its own lines, once")
    func cancels() async throws {
        try await withShop { client in
            _ = try await client.place("ord-1", tea: 2, headers: ["Prefer": "wait=10"])
            let path = "/shops/main/orders/ord-1"
            let cancelled = try await client.send("DELETE", path, headers: ["Prefer": "wait=10"])
            #expect(cancelled.status == 201)
            #expect(cancelled.header("Preference-Applied") == "wait")
            let shown = try await client.send("GET", path)
            #expect(try shown.json()["status"] as? String == "cancelled")
            #expect(try await client.send("DELETE", path).status == 200)
            #expect(try await client.send("DELETE", "/shops/main/orders/nobody").status == 404)
        }
    }

    @Test("what can't be taken is refused with the reason, and not sent")
    func refuses() async throws {
        try await withShop { client in
            #expect(try await client.place(nil, tea: 2).status == 400)
            let refused = try await client.place("ord-1", tea: 0)
            #expect(refused.status == 422)
            #expect(refused.text.contains("quantity: expected a whole number"))
            #expect(try await client.place(String(repeating: "x", count: 129), tea: 1).status == 422)
            #expect(try await client.send("GET", "/shops/main/orders/ord-1").status == 404)
        }
    }

    @Test("while Redis is away it is 503 with Retry-After")
    func unreachable() async throws {
        try await withPrivateServers { servers in
            var log = try LogConfiguration(redis: "unix:///nowhere/redis.sock", postgres: servers.postgres)
            log.timeout = .milliseconds(300)
            try await withShop(log) { client in
                let away = try await client.place("ord-1", tea: 2)
                #expect(away.status == 503)
                #expect(away.header("Retry-After") == "1")
                #expect(try away.json()["outcome"] as? String == "unknown")
            }
        }
    }

    @Test("two hundred orders at once, each sent twice: each is taken once, and read by whoever waited")
    func many() async throws {
        try await withShop { client in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { tasks in
                for number in 0..<400 {
                    tasks.addTask {
                        let id = "ord-\(number / 2)"
                        let placed = try await client.place(id, tea: 1, headers: ["Prefer": "wait=10"])
                        #expect(placed.header("Preference-Applied") == "wait")
                        #expect(try await client.send("GET", "/shops/main/orders/\(id)").status == 200)
                        return placed.status
                    }
                }
                return try await tasks.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses == [201: 200, 200: 200])
        }
    }

    /// Runs a test with a shop, its log and a worker for all groups.
    private func withShop(_ body: @Sendable @escaping (Client) async throws -> Void) async throws {
        try await withPrivateServers { servers in
            try await servers.run(["onewrite", "init"])
            let worker = try await servers.start(["onewrite", "worker"])
            try await withShop(try LogConfiguration(redis: servers.redis, postgres: servers.postgres), body)
            await worker.kill()
        }
    }

    private func withShop(
        _ log: LogConfiguration, _ body: @Sendable @escaping (Client) async throws -> Void
    ) async throws {
        let (ports, running) = AsyncStream<Int>.makeStream()
        let logger = Logger(label: "shop") { _ in SwiftLogNoOpLogHandler() }
        let server = shopServer(log, address: .hostname("127.0.0.1", port: 0), logger: logger) { running.yield($0) }
        let services = ServiceGroup(services: [server], logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await services.run() }
            tasks.addTask {
                for await port in ports {
                    try await body(Client(port: port))
                    break
                }
                await services.triggerGracefulShutdown()
            }
            try await tasks.waitForAll()
        }
    }
}
