import Foundation
import PrivateServers
import Testing
import TestSupport

@testable import OnewriteCommand

@Suite("Starting things the wrong way: one clear line, and the contract's exit code")
struct StartTests {
    private func run(
        _ arguments: [String], _ environment: [String: String?] = [:], on servers: TestServers
    ) async throws -> ChildProcess.Completed {
        try await ChildProcess.run(
            [BuiltExecutable.path] + arguments, environment: servers.environment.merging(environment) { $1 },
            within: .seconds(30))
    }

    private func expect(
        _ completed: ChildProcess.Completed, _ status: OnewriteCommand.ExitStatus, says parts: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(completed.status == .exited(status.rawValue), "\(completed.errors)", sourceLocation: sourceLocation)
        for part in parts {
            #expect(completed.errors.contains(part), "\(completed.errors)", sourceLocation: sourceLocation)
        }
        if status != .usage {
            #expect(
                completed.errors.split(separator: "\n").count == 1, "\(completed.errors)",
                sourceLocation: sourceLocation)
        }
    }

    @Test("no log yet")
    func noLog() async throws {
        try await withServers { servers in
            expect(try await run(["status"], on: servers), .tryAgain, says: "onewrite init")
        }
    }

    @Test("another number of partitions")
    func partitions() async throws {
        try await withServers { servers in
            #expect(try await run(["init", "--partitions", "4"], on: servers).status == .exited(0))
            #expect(try await run(["init"], on: servers).status == .exited(0), "safe to repeat")
            expect(
                try await run(["init", "--partitions", "5"], on: servers), .badConfiguration, says: "4 partitions",
                "5 were asked for")
            for text in ["0", "x", "1025"] {
                expect(
                    try await run(["init", "--partitions", text], on: servers), .badConfiguration, says: "1 to 1024")
            }
        }
    }

    @Test("a schema of another log")
    func twoLogs() async throws {
        try await withServers { servers in
            #expect(try await run(["init"], on: servers).status == .exited(0))
            let other: [String: String?] = ["ONEWRITE_NAMESPACE": servers.namespace + "x"]
            // A second log in Redis would get its ID from the schema: it is the same log, on what looks like a new server.
            #expect(try await run(["init"], other, on: servers).status == .exited(0))
            let elsewhere: [String: String?] = [
                "ONEWRITE_SCHEMA": servers.namespace + "y", "ONEWRITE_NAMESPACE": servers.namespace + "y",
            ]
            #expect(try await run(["init"], elsewhere, on: servers).status == .exited(0))
            let mixed: [String: String?] = ["ONEWRITE_SCHEMA": servers.namespace + "y"]
            expect(try await run(["init"], mixed, on: servers), .badConfiguration, says: "don't belong together")
            expect(
                try await run(["worker", "--group", "postgres"], mixed, on: servers), .badConfiguration,
                says: "another log")
        }
    }

    @Test("unreachable servers, wrong passwords: named without the secret")
    func unreachable() async throws {
        try await withServers { servers in
            let nowhere: [String: String?] = ["ONEWRITE_REDIS_URL": "redis://user:hush-hush@127.0.0.1:1/0"]
            let redis = try await run(["status"], nowhere, on: servers)
            expect(redis, .unreachable, says: "127.0.0.1:1")
            #expect(!redis.errors.contains("hush"))
            let wrong = servers.redis.url + (servers.redis.url.contains("?") ? "&" : "?") + "password=hush-hush"
            let refused = try await run(["status"], ["ONEWRITE_REDIS_URL": wrong], on: servers)
            expect(refused, .notPermitted, says: "refused")
            #expect(!refused.errors.contains("hush"))
            let postgres = try await run(
                ["init"], ["DATABASE_URL": "postgres://u:hush-hush@127.0.0.1:1/db"], on: servers)
            expect(postgres, .unreachable, says: "127.0.0.1:1")
            #expect(!postgres.errors.contains("hush"))
            let malformed = try await run(["status"], ["ONEWRITE_REDIS_URL": "http://:hush-hush@x"], on: servers)
            expect(malformed, .badConfiguration, says: "REDIS_URL")
            #expect(!malformed.errors.contains("hush"))
        }
    }

    @Test("unknown groups, options and commands, bad values")
    func usage() async throws {
        try await withServers { servers in
            expect(try await run(["worker", "--group", "stock", "--gruop", "x"], on: servers), .usage, says: "--gruop")
            expect(try await run(["worker", "--group", "stock", "--lanes", "0"], on: servers), .usage, says: "--lanes")
            expect(try await run(["worker", "--group", "stock", "--name", "a b"], on: servers), .usage, says: "--name")
            expect(try await run(["sbmit"], on: servers), .usage, says: "Did you mean submit?")
            expect(try await run(["frobnicate"], on: servers), .usage, says: "frobnicate", "--help")
            #expect(try await run(["init"], on: servers).status == .exited(0))
            expect(
                try await run(["worker", "--group", "mail"], on: servers), .badConfiguration,
                says: "there is no group mail; there are postgres, stock, delivery")
            expect(
                try await run(["worker", "--group", "stock"], ["ONEWRITE_LEASE": "soon"], on: servers),
                .badConfiguration,
                says: "lease", "soon")
        }
    }

    @Test("a second worker of the same name, and secrets in a worker's arguments and log")
    func sameName() async throws {
        try await withServers { servers in
            #expect(try await run(["init"], on: servers).status == .exited(0))
            let first = try await ChildProcess.spawn(
                [BuiltExecutable.path, "worker", "--group", "stock", "--name", "a"], environment: servers.environment,
                output: .discarded, errors: .piped)
            var log = ""
            while let line = try await first.errors?.nextLine() {
                log += line + "\n"
                if line.contains("serving") { break }
            }
            let program = try await RedisProgram.current()
            #expect(log.contains(" · \(program.name) \(program.version)\n"), "\(log)")
            expect(
                try await run(["worker", "--group", "stock", "--name", "a"], on: servers), .tryAgain,
                says: "Choose another --name")
            let arguments = try String(contentsOfFile: "/proc/\(first.pid)/cmdline", encoding: .utf8)
            #expect(!arguments.contains(servers.redis.url))
            #expect(await first.stop() == .exited(0))
            log += try await first.errors?.rest() ?? ""
            #expect(log.contains("stopped"))
            #expect(!log.contains(servers.postgres.url))
        }
    }
}
