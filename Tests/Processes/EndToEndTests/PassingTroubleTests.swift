import Foundation
import PrivateServers
import Testing
import TestSupport

/// A command of the built executable, with an order of its own.
private func run(_ arguments: [String], on servers: TestServers) async throws -> Ran {
    try await Ran(
        ChildProcess.run([BuiltExecutable.path] + arguments, environment: servers.environment, within: .seconds(60)))
}

private func submit(_ id: String, _ flags: String..., on servers: TestServers) async throws -> Ran {
    let order = ["--id", id, "--shop", "main", "--customer", "c", "--line", "TEA:1"]
    return try await run(["submit"] + order + flags, on: servers)
}

@Suite("What servers refuse for a moment is waited for, and said in their own words", .timeLimit(.minutes(5)))
struct PassingTroubleTests {
    /// A script that holds the server for so long, and writes nothing.
    private func hold(_ redis: PrivateRedis, seconds: Double) async throws {
        _ = try await redis.ask(
            "EVAL",
            """
            local function now() local time = redis.call('TIME') return time[1] + time[2] / 1000000 end
            local ends = now() + tonumber(ARGV[1])
            while now() < ends do end
            return 'done'
            """, "0", "\(seconds)")
    }

    /// Waits until the server answers with these words.
    private func eventually(_ words: String, on redis: PrivateRedis) async throws {
        try await TestSupport.eventually("Redis answers \(words)") {
            do {
                try await redis.ask("EXISTS", "nothing")
                return false
            } catch ServerError.refused(_, let reason) {
                return reason.contains(words)
            }
        }
    }

    @Test(
        "BUSY with somebody's script",
        arguments: [["status"], ["pending"], ["order", "x", "--shop", "main"], ["audit"]])
    func busyReading(arguments: [String]) async throws {
        try await withOwnServers(redisOptions: ["busy-reply-threshold 20"]) { servers in
            try #require(try await run(["init"], on: servers).code == 0)
            async let held: Void = hold(servers.redis, seconds: 2)
            try await eventually("BUSY", on: servers.redis)
            let ran = try await run(arguments, on: servers)
            #expect(ran.code == (arguments[0] == "order" ? 1 : 0), "\(ran.errors)")
            #expect(ran.errors.contains("BUSY Redis is busy running a script"), "\(ran.errors)")
            try await held
        }
    }

    @Test("BUSY: submit, cancel and stock go on once the script ends; when time runs out first nothing was sent")
    func busyWriting() async throws {
        try await withOwnServers(redisOptions: ["busy-reply-threshold 20"]) { servers in
            try #require(try await run(["init"], on: servers).code == 0)
            async let held: Void = hold(servers.redis, seconds: 3)
            try await eventually("BUSY", on: servers.redis)
            let short = try await submit("early", "--timeout", "300ms", on: servers)
            #expect(short.code == 69 && short.errors.contains("BUSY"), "\(short.errors)")
            #expect(short.errors.contains("Not sent") && !short.errors.contains("may be in the log"))
            async let cancelled = run(["cancel", "a", "--shop", "main", "--line", "TEA:1", "--force"], on: servers)
            async let counted = run(["stock", "count", "--shop", "main", "TEA:5"], on: servers)
            let submitted = try await submit("late", on: servers)
            #expect(submitted.code == 0 && submitted.output.contains("accepted"), "\(submitted.errors)")
            let others = [try await cancelled, try await counted]
            #expect(others.map(\.code) == [0, 0], "\(others)")
            try await held
            #expect(try await submit("early", on: servers).output.contains("accepted"), "it had not been sent")
        }
    }

    @Test(
        "a script that isn't told of, for it runs for less than the server's patience: there is no answer for a while")
    func silent() async throws {
        try await withOwnServers { servers in
            try #require(try await run(["init"], on: servers).code == 0)
            var isMet = false
            // The commands may be faster than the script.
            for attempt in 0..<5 where !isMet {
                async let held: Void = hold(servers.redis, seconds: 6)
                async let looked = run(["status"], on: servers)
                #expect(try await submit("one-\(attempt)", on: servers).code == 0)
                let ran = try await looked
                #expect(ran.code == 0, "\(ran.errors)")
                isMet = ran.errors.contains("trying again")
                try await held
            }
            #expect(isMet)
        }
    }

    @Test("BUSY in the middle: what is refused is sent again")
    func busyInBetween() async throws {
        try await withOwnServers(redisOptions: ["busy-reply-threshold 20"]) { servers in
            try #require(try await run(["init"], on: servers).code == 0)
            let directory = try await PrivateDirectory()
            let submit = PausedSubmit(servers: servers, directory: directory)
            async let submitted = submit.run("2> errors")
            try await submit.hasBegun()
            async let held: Void = hold(servers.redis, seconds: 9)
            try await eventually("BUSY", on: servers.redis)
            #expect(submit.goOn())
            try await TestSupport.eventually("the second order is refused for now") {
                let errors = FileManager.default.contents(atPath: directory.path + "/errors") ?? Data()
                return String(decoding: errors, as: UTF8.self).contains("BUSY")
            }
            try await servers.redis.ask("SCRIPT", "KILL")
            // It ends with an error, being killed.
            _ = try? await held
            let ran = Ran(try await submitted)
            #expect(ran.code == 0, "\(ran.errors)")
            #expect(try ran.objects().map { $0.text("outcome") } == ["accepted", "accepted"])
            await directory.remove()
        }
    }

    @Test("no room for another client")
    func maxclients() async throws {
        try await withOwnServers { servers in
            try #require(try await run(["init"], on: servers).code == 0)
            let worker = try await BuiltExecutable.spawn("worker", "--group", "stock", on: servers, errors: .piped)
            while let line = try await worker.errors?.nextLine(), !line.contains("serving stock") {}
            try await servers.redis.ask("CONFIG", "SET", "maxclients", "1")
            let short = try await submit("one", "--timeout", "300ms", on: servers)
            #expect(short.code == 69, "\(short.errors)")
            var waiting: [ChildProcess] = []
            #expect(short.errors.contains("ERR max number of clients reached (tried for 300ms). Not sent"))
            let directory = try await PrivateDirectory()
            let order = ["submit", "--id", "one", "--shop", "main", "--customer", "c", "--line", "TEA:1"]
            for arguments in [order, ["status"]] {
                let errors = "\(directory.path)/\(arguments[0])"
                let command = try await ChildProcess.spawn(
                    [BuiltExecutable.path] + arguments, environment: servers.environment, in: directory.path,
                    output: .discarded, errors: .appended(to: errors))
                try await TestSupport.eventually("it is told that there is no room") {
                    let said = FileManager.default.contents(atPath: errors) ?? Data()
                    return String(decoding: said, as: UTF8.self).contains("max number of clients reached; trying again")
                }
                waiting.append(command)
            }
            await worker.kill()
            for command in waiting { #expect(try await command.exit(within: .seconds(60)) == .exited(0)) }
            await directory.remove()
        }
    }

    @Test("LOADING")
    func loading() async throws {
        let options = ["enable-debug-command yes", "loading-process-events-interval-bytes 1024"]
        try await withOwnServers(redisOptions: options) { servers in
            try #require(try await run(["init"], on: servers).code == 0)
            try await servers.redis.ask("DEBUG", "POPULATE", "3000")
            try await servers.redis.ask("CONFIG", "SET", "key-load-delay", "1000")
            async let reloaded = servers.redis.ask("DEBUG", "RELOAD")
            try await eventually("LOADING", on: servers.redis)
            async let submitted = submit("one", on: servers)
            let looked = try await run(["status"], on: servers)
            #expect(looked.code == 0 && looked.errors.contains("LOADING"), "\(looked.errors)")
            let ran = try await submitted
            #expect(ran.output.contains("accepted"), "\(ran.errors)")
            _ = try await reloaded
        }
    }

    @Test("rights that are missing end at once with 77, and nothing was sent")
    func rights() async throws {
        try await withOwnServers { servers in
            try #require(try await run(["init"], on: servers).code == 0)
            try await servers.redis.ask(
                "ACL", "SETUSER", "reader", "on", ">pw", "~*", "&*", "+@all", "-evalsha", "-eval")
            try await servers.redis.ask("ACL", "SETUSER", "nobody", "on", ">pw", "~*", "&*")
            let order = ["submit", "--id", "a", "--shop", "main", "--customer", "c", "--line", "TEA:1"]
            for user in ["reader", "nobody"] {
                var environment = servers.environment
                environment["ONEWRITE_REDIS_URL"] = "unix://\(servers.redis.socketPath)?user=\(user)&password=pw"
                let ran = try await Ran(ChildProcess.run([BuiltExecutable.path] + order, environment: environment))
                #expect(ran.code == 77 && ran.errors.contains("NOPERM"), "\(ran.errors)")
                #expect(ran.errors.contains("Not sent") && !ran.errors.contains("may be"), "\(ran.errors)")
            }
        }
    }
}
