import OrderLog
import PrivateServers
import Testing
import TestSupport

@Suite("When servers fail")
struct TroubleTests {
    @Test("Redis killed and started again in the middle: every row is in the log once", .timeLimit(.minutes(2)))
    func killed() async throws {
        try await withOwnServers { servers in
            let shop = try await Shop(servers)
            let worker = try await shop.worker(.postgres)
            defer { _ = worker }
            _ = try shop.file("rows.ndjson", orders("o", 0..<30_000))
            let process = try await shop.start("$onewrite submit rows.ndjson --json > out 2> errors; echo $? > status")
            try await eventually("a part is in the log") { try shop.length() > 4000 }
            await servers.redis.kill()
            #expect(process.isRunning, "killed too late to be in the middle")
            try await servers.redis.restart()
            _ = try await process.exit(within: .seconds(60))

            let errors = try shop.lines("errors")
            #expect(try shop.lines("status") == ["0"], "\(errors)")
            let receipts = try ReceiptLine.all(try shop.lines("out").joined(separator: "\n"))
            #expect(receipts.map(\.id) == (0..<30_000).map { "o-\($0)" })
            #expect(receipts.allSatisfy { ["accepted", "duplicate"].contains($0.outcome) })
            let ids = try shop.ids()
            #expect(ids.count == 30_000 && Set(ids).count == 30_000)
            #expect(errors.contains { $0.contains("lost the connection") })
            #expect(errors.filter { $0.hasPrefix("the log is closed: waiting for a worker") }.count <= 1)
        }
    }

    @Test("an append whose answer is lost is sent again, and found in the log")
    func lostAnswer() async throws {
        try await withOwnServers { servers in
            let shop = try await Shop(servers)
            let file = try shop.file("rows.ndjson", (0..<300).map { order("o-\($0)") })
            // The server does what it is asked, and hangs up instead of sending an answer of more than 1 kB.
            try shop.redis("CONFIG", "SET", "client-output-buffer-limit", "normal 1024 0 0")
            let process = try await shop.start("$onewrite submit \(file) --json > out 2> errors; echo $? > status")
            try await eventually("the orders are in the log") { try shop.length() == 300 }
            try shop.redis("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
            _ = try await process.exit(within: .seconds(30))
            #expect(try shop.lines("status") == ["0"])
            let receipts = try ReceiptLine.all(try shop.lines("out").joined(separator: "\n"))
            #expect(receipts.map(\.outcome) == Array(repeating: "duplicate", count: 300))
            #expect(receipts.compactMap(\.seq) == Array(1...300))
            #expect(try shop.length() == 300)
        }
    }

    @Test("an append without an answer until the time is up is unknown, never accepted")
    func unknown() async throws {
        try await withOwnServers { servers in
            let shop = try await Shop(servers)
            let file = try shop.file("rows.ndjson", (0..<300).map { order("o-\($0)") })
            try shop.redis("CONFIG", "SET", "client-output-buffer-limit", "normal 1024 0 0")
            let result = try await shop.run("submit", file, "--json", "--timeout", "500ms")
            #expect(result.status == .exited(75), "\(result.errors)")
            let receipts = try ReceiptLine.all(result.output)
            #expect(receipts.count == 300)
            #expect(
                receipts.allSatisfy {
                    $0.outcome == "unknown" && $0.seq == nil && $0.error?.hasPrefix("no answer") == true
                })
            #expect(result.errors.contains("300 unknown"), "\(result.errors)")
        }
    }

    @Test("a closed log: told, waited for, and taken when a worker opens it")
    func closed() async throws {
        try await withOwnServers { servers in
            let shop = try await Shop(servers)
            let first = try await shop.run("submit", try shop.file("one", [order("one")]))
            #expect(first.status == .exited(0))
            await servers.redis.kill()
            try await servers.redis.restart()

            let given = try await shop.run("submit", try shop.file("two", [order("two")]), "--timeout", "300ms")
            #expect(given.status == .exited(75))
            #expect(given.output.hasPrefix("1 row · 0 accepted · 1 not sent · "), "\(given.output)")
            #expect(given.errors.contains("error: gave up: the log is closed"), "\(given.errors)")
            let single = try await shop.run(
                "submit", "--id", "two", "--shop", "main", "--customer", "c", "--line", "TEA:1", "--timeout", "300ms")
            #expect(single.status == .exited(75))
            #expect(single.errors.contains("two is not in the log: the log is closed"), "\(single.errors)")
            #expect(try shop.ids() == ["one"])

            let process = try await shop.start("$onewrite submit two > out 2> errors; echo $? > status")
            try await eventually("it waits") {
                (try? shop.lines("errors"))?.contains { $0.hasPrefix("the log is closed: waiting for a worker") }
                    == true
            }
            let worker = try await shop.worker(.postgres)
            _ = try await process.exit(within: .seconds(30))
            #expect(try shop.lines("status") == ["0"])
            #expect(try shop.ids() == ["one", "two"])
            await worker.stop()
        }
    }

    @Test("a server without memory left is waited for, then told")
    func outOfMemory() async throws {
        try await withOwnServers { servers in
            let shop = try await Shop(servers)
            try shop.redis("CONFIG", "SET", "maxmemory", "1")
            let file = try shop.file("rows.ndjson", [order("one")])
            let result = try await shop.run("submit", file, "--timeout", "300ms")
            #expect(result.status == .exited(75))
            #expect(result.errors.contains("OOM"), "\(result.errors)")
            #expect(try shop.length() == 0)

            let process = try await shop.start("$onewrite submit rows.ndjson > out 2> errors; echo $? > status")
            try await eventually("it waits") { (try? shop.lines("errors"))?.contains { $0.contains("OOM") } == true }
            try shop.redis("CONFIG", "SET", "maxmemory", "0")
            _ = try await process.exit(within: .seconds(30))
            #expect(try shop.lines("status") == ["0"])
            #expect(try shop.ids() == ["one"])
        }
    }

    @Test("each way not to begin has its exit code, and shows no password")
    func beginnings() async throws {
        let redis = try await PrivateRedis.start(password: "open-sesame", tcp: true)
        func submit(_ url: String, _ file: String = "/dev/null") async throws -> ChildProcess.Completed {
            try await ChildProcess.run(
                [BuiltExecutable.path, "submit", file, "--timeout", "300ms"],
                environment: ["ONEWRITE_REDIS_URL": url, "DATABASE_URL": nil])
        }
        let port = try #require(redis.port)
        let refused = try await submit("redis://:wrong-horse@127.0.0.1:\(port)")
        #expect(refused.status == .exited(77), "\(refused.errors)")
        #expect(!(refused.errors + refused.output).contains("wrong-horse"))

        let logless = try await submit(redis.url)
        #expect(logless.status == .exited(75))
        #expect(logless.errors.contains("onewrite init"), "\(logless.errors)")
        #expect(!(logless.errors + logless.output).contains("open-sesame"))

        let unreachable = try await submit("redis://:wrong-horse@127.0.0.1:1")
        #expect(unreachable.status == .exited(69))
        #expect(unreachable.errors.contains("(tried for 300ms). Not sent"), "\(unreachable.errors)")
        #expect(!(unreachable.errors + unreachable.output).contains("wrong-horse"))

        let missing = try await submit(redis.url, "/nowhere/orders.csv")
        #expect(missing.status == .exited(66))
        #expect(missing.errors == "error: /nowhere/orders.csv can't be read: No such file or directory\n")

        #expect(try await submit("mysql://somewhere").status == .exited(78))
        await redis.stop()
    }

    @Test(
        "what is typed wrong is told in a line",
        arguments: [
            (["submit"], "give a FILE"),
            (["submit", "--id", "a"], "--shop is missing"),
            (["submit", "f", "--id", "a"], "--id doesn't go with a file"),
            (
                ["submit", "--id", "a", "--shop", "b", "--customer", "c", "--line", "TEA"],
                "expected SKU:quantity, got \"TEA\""
            ),
            (["submit", "f", "--wait=postgres,MySQL"], "no group \"MySQL\""),
            (["cancel", "a"], "--shop"),
            (["stock", "count", "--shop", "a"], "SKU:quantity"),
        ])
    func usage(arguments: [String], message: String) async throws {
        let result = try await ChildProcess.run([BuiltExecutable.path] + arguments)
        #expect(result.status == .exited(64))
        #expect(result.errors.split(separator: "\n").first?.contains(message) == true, "\(result.errors)")
    }
}
