import Foundation
import OrderLog
import PrivateServers
import RedisClient
import RedisLog
import Testing
import TestSupport
import ThreadedIO
import Upkeep

@testable import OnewriteCommand

@Suite("onewrite doctor")
struct DoctorTests {
    private func doctor(_ servers: TestServers, _ changes: [String: String?] = [:]) async throws -> Ran {
        Ran(
            try await ChildProcess.run(
                [BuiltExecutable.path, "doctor", "--json"], environment: servers.environment.merging(changes) { $1 },
                within: .seconds(60)))
    }

    /// The findings' codes, gravest first, but for what a private server has on purpose: no fsync, no limit.
    private func codes(_ servers: TestServers, _ changes: [String: String?] = [:]) async throws -> [String] {
        let ran = try await doctor(servers, changes)
        let report = try #require(try ran.objects().first, "\(ran.errors)")
        let findings = try report.objects("findings")
        let hasErrors = findings.contains { $0.text("severity") == "error" }
        #expect(ran.code == (hasErrors ? 1 : 0), "\(ran.errors)")
        #expect(findings.allSatisfy { $0.text("meaning") != "" && $0.text("fix") != "" && $0.text("what") != "" })
        return findings.compactMap { $0.text("code") }
    }

    private func redis(_ servers: TestServers, _ words: String...) async throws {
        let ran = try await ChildProcess.run(["redis-cli", "-e", "-s", servers.redis.socketPath] + words)
        #expect(ran.status == .exited(0), "\(words): \(ran.output)\(ran.errors)")
    }

    private func sql(_ servers: TestServers, _ text: String) async throws {
        let ran = try await ChildProcess.run([
            "psql", servers.postgres.url, "-qAt", "-v", "ON_ERROR_STOP=1", "-c", text,
        ])
        #expect(ran.status == .exited(0), "\(text): \(ran.errors)")
    }

    /// Runs with a log, and workers of all groups, on servers that are as they should be.
    private func withRightSite(_ body: (TestServers) async throws -> Void) async throws {
        try await withOwnServers(redisOptions: ["maxmemory 1gb"], postgresSettings: ["fsync=on"]) { servers in
            _ = try await Ran(BuiltExecutable.run("init", "--partitions", "2", on: servers)).succeeded()
            let worker = try await BuiltExecutable.spawn("worker", on: servers, errors: .discarded)
            _ = try await Ran(
                BuiltExecutable.run(
                    "submit", "--id", "o-1", "--shop", "main", "--customer", "c", "--line", "TEA:1", "--wait",
                    on: servers)
            ).succeeded()
            do { try await body(servers) } catch {
                await worker.stop()
                throw error
            }
            await worker.stop()
        }
    }

    @Test("finds nothing where all is right, and names what is made wrong with Redis, one by one")
    func redisSettings() async throws {
        try await withRightSite { servers in
            try await eventually("nothing is found") { try await codes(servers).isEmpty }
            let text = try await BuiltExecutable.run("doctor", on: servers)
            #expect(text.status == .exited(0) && text.output.contains("\nno findings\n"), "\(text.output)")

            // Some 200 kB at once: as of so young a log, an hour's worth.
            let note = String(repeating: "x", count: 10_000)
            for number in 2...21 {
                _ = try await Ran(
                    BuiltExecutable.run(
                        "submit", "--id", "o-\(number)", "--shop", "main", "--customer", "c", "--line", "TEA:1",
                        "--attributes", "{\"note\":\"\(note)\"}", on: servers)
                ).succeeded()
            }
            let settings: [(name: String, wrong: String, right: String, code: String)] = [
                ("maxmemory-policy", "allkeys-lru", "noeviction", "eviction"),
                ("appendfsync", "no", "everysec", "appendfsync-no"),
                ("repl-backlog-ttl", "3600", "0", "backlog-ttl"), ("timeout", "300", "0", "client-timeout"),
                ("min-replicas-to-write", "1", "0", "min-replicas"), ("maxmemory", "0", "1gb", "no-maxmemory"),
                ("maxmemory", "2mb", "1gb", "memory-full"), ("maxmemory", "40mb", "1gb", "memory-trend"),
            ]
            for setting in settings {
                try await redis(servers, "CONFIG", "SET", setting.name, setting.wrong)
                // A worker that can't write meanwhile may be told of, too.
                #expect(try await codes(servers).contains(setting.code), "\(setting.name)")
                try await redis(servers, "CONFIG", "SET", setting.name, setting.right)
            }
            try await redis(servers, "CONFIG", "SET", "appendonly", "no")
            #expect(try await codes(servers).contains("no-aof"))
            try await redis(servers, "CONFIG", "SET", "appendonly", "yes")

            try await redis(servers, "SET", "\(servers.namespace):cache", "x")
            try await redis(servers, "SET", "{\(servers.namespace):7}:log", "x")
            #expect(try await codes(servers).contains("unknown-keys"))
            try await redis(servers, "DEL", "\(servers.namespace):cache", "{\(servers.namespace):7}:log")
            try await redis(servers, "XGROUP", "CREATECONSUMER", "{\(servers.namespace):0}:log", "stock", "gone")
            try await eventually("nothing but that is found") { try await codes(servers) == ["consumers-left"] }
            try await redis(servers, "XGROUP", "DELCONSUMER", "{\(servers.namespace):0}:log", "stock", "gone")

            try await redis(
                servers, "ACL", "SETUSER", "weak", "on", ">pw", "~*", "&*", "+@all", "-xadd", "-config")
            let weak = try await codes(
                servers,
                [
                    "ONEWRITE_REDIS_URL": servers.redis.url + (servers.redis.url.contains("?") ? "&" : "?")
                        + "user=weak&password=pw"
                ])
            #expect(weak.contains("redis-rights") && weak.contains("redis-settings-hidden"), "\(weak)")
            let denied = try await codes(
                servers,
                [
                    "ONEWRITE_REDIS_URL": servers.redis.url + (servers.redis.url.contains("?") ? "&" : "?")
                        + "user=weak&password=no"
                ])
            #expect(denied.contains("redis-denied"), "\(denied)")
        }
    }

    @Test("names what is made wrong with Postgres, one by one")
    func postgresSettings() async throws {
        try await withRightSite { servers in
            try await sql(servers, "ALTER SYSTEM SET full_page_writes = off")
            try await sql(servers, "SELECT pg_reload_conf()")
            try await eventually("it is found") { try await codes(servers).contains("full-page-writes") }
            try await sql(servers, "ALTER SYSTEM RESET full_page_writes")
            try await sql(servers, "SELECT pg_reload_conf()")
            try await sql(servers, "CREATE ROLE weak LOGIN; GRANT USAGE ON SCHEMA \(servers.namespace) TO weak")
            let weak = try await codes(
                servers, ["DATABASE_URL": servers.postgres.url.replacing("user=postgres", with: "user=weak")])
            #expect(weak.contains("postgres-rights"), "\(weak)")
            let latin = try await servers.postgres.createDatabase(
                "latin", options: ["--encoding=LATIN1", "--locale=C"])
            let encoding = try await codes(servers, ["DATABASE_URL": latin])
            #expect(encoding.contains("encoding"), "\(encoding)")
            let away = try await codes(servers, ["DATABASE_URL": "postgres://127.0.0.1:1/none"])
            #expect(away.contains("postgres-unreachable"), "\(away)")
            let none = try await codes(servers, ["DATABASE_URL": nil])
            #expect(none.contains("postgres-not-configured"), "\(none)")

            try await sql(
                servers,
                "INSERT INTO \(servers.namespace).dead_letters (partition, epoch, entry, fields, reason, error) VALUES (0, 1, '1-1', '', 'added-by-hand', 'x')"
            )
            #expect(try await codes(servers).contains("dead-letters"))
            try await sql(servers, "UPDATE \(servers.namespace).meta SET version = 1")
            #expect(try await codes(servers).contains("format"))
            try await sql(servers, "UPDATE \(servers.namespace).meta SET version = 9")
            #expect(try await codes(servers).contains("format-newer"))
            try await sql(servers, "UPDATE \(servers.namespace).meta SET version = 2, log = 'other'")
            #expect(try await codes(servers).contains("schema"))
        }
    }

    @Test("no log, a log that is lost, a closed one, no workers, pending entries of the dead, a missing group")
    func log() async throws {
        try await withOwnServers(redisOptions: ["maxmemory 1gb"]) { servers in
            // Private servers run without fsync.
            let empty = try await codes(servers)
            #expect(empty == ["fsync", "no-log", "aof-tail"], "\(empty)")
            _ = try await Ran(BuiltExecutable.run("init", "--partitions", "1", on: servers)).succeeded()
            let order = ["submit", "--shop", "main", "--customer", "c", "--line", "TEA:1", "--id"]
            _ = try await Ran(BuiltExecutable.run(order + ["o-1"], on: servers)).succeeded()
            let log = "{\(servers.namespace):0}:log"
            try await redis(servers, "XREADGROUP", "GROUP", "stock", "dead", "STREAMS", log, ">")
            let waiting = try await codes(servers)
            #expect(waiting.contains("no-worker") && waiting.contains("orphaned"), "\(waiting)")
            try await redis(servers, "XGROUP", "DESTROY", log, "delivery")
            #expect(try await codes(servers).contains("group-missing"))
            try await redis(servers, "HSET", "{\(servers.namespace):0}:head", "replid", "another")
            #expect(try await codes(servers).contains("closed"))
            try await redis(servers, "DEL", "{\(servers.namespace):0}:position:stock")
            try await redis(servers, "SET", "{\(servers.namespace):0}:position:stock", "x")
            #expect(try await codes(servers).contains("unreadable"))
            try await sql(servers, "UPDATE \(servers.namespace).partitions SET seq = 1")
            try await redis(servers, "DEL", "\(servers.namespace):meta")
            #expect(try await codes(servers).contains("log-lost"))
            let away = try await codes(servers, ["ONEWRITE_REDIS_URL": "redis://127.0.0.1:1/0"])
            #expect(away.contains("redis-unreachable") && !away.contains("postgres-unreachable"), "\(away)")
            try await redis(servers, "REPLICAOF", "127.0.0.1", "1")
            #expect(try await codes(servers).contains("replica"))
        }
    }

    @Test(
        "says how the ways to both servers are encrypted, and what is wrong with that",
        .enabled("the server is built with TLS") { try await RedisProgram.knowsTLS() })
    func encryption() async throws {
        try await withOwnServers(isEncrypted: true) { servers in
            let report = try #require(try await doctor(servers).objects().first)
            for server in ["redis", "postgres"] {
                let tls = try report.object(server).object("tls")
                #expect(tls.text("version") == "TLSv1.3" && tls.text("cipher")?.hasPrefix("TLS_") == true, "\(tls)")
            }
            let text = try await BuiltExecutable.run("doctor", on: servers).output
            #expect(text.matches(of: /ms, TLSv1\.3 with TLS_/).count == 2, "\(text)")
            let inClear = ["DATABASE_URL": "\(servers.postgres.url)?sslmode=disable"]
            let clear = try #require(try await doctor(servers, inClear).objects().first)
            #expect(try clear.object("postgres").isNull("tls"))
            #expect(try clear.objects("findings").allSatisfy { $0.text("code") != "postgres-plaintext" }, "it is near")

            let url = try #require(servers.redis.url.split(separator: "?").first.map(String.init))
            let unverified = try await codes(servers, ["ONEWRITE_REDIS_URL": url + "?tls_verify=off"])
            #expect(unverified.contains("redis-unverified"), "\(unverified)")
            let unknown = try await codes(servers, ["ONEWRITE_REDIS_URL": url])
            #expect(unknown.contains("redis-tls") && !unknown.contains("redis-unreachable"), "\(unknown)")
            #expect(try await !codes(servers).contains { $0.hasPrefix("redis-") && $0 != "redis-rights" })
        }
        func found(_ server: String, isEncrypted: Bool, isOnThisMachine: Bool) -> [String] {
            WayExam(
                server, isEncrypted ? ("TLSv1.3", "A") : nil, isOnThisMachine: isOnThisMachine, isVerified: true
            ).findings.map(\.code)
        }
        for server in ["redis", "postgres"] {
            #expect(found(server, isEncrypted: false, isOnThisMachine: false) == ["\(server)-plaintext"])
            #expect(found(server, isEncrypted: true, isOnThisMachine: false).isEmpty)
            #expect(found(server, isEncrypted: false, isOnThisMachine: true).isEmpty)
        }
    }

    @Test("the table of docs/doctor.md is the program's")
    func table() throws {
        let page = try String(contentsOf: Repository.root.appending(path: "docs/doctor.md"), encoding: .utf8)
        #expect(page.contains(DoctorCommand.tableLines.joined(separator: "\n")), "scripts: onewrite doctor --table")
        #expect(Set(Check.all.map(\.code)).count == Check.all.count)
    }
}
