import Foundation
import PrivateServers
import Testing
import TestSupport

@Suite(
    "Databases and servers that can't do: one line in their own words, and the contract's exit code",
    .timeLimit(.minutes(5)))
struct WrongServersTests {
    private func run(
        _ arguments: String..., on servers: TestServers, _ environment: [String: String?] = [:]
    ) async throws -> Ran {
        try await Ran(
            ChildProcess.run(
                [BuiltExecutable.path] + arguments, environment: servers.environment.merging(environment) { $1 },
                within: .seconds(60)))
    }

    /// A shell with the programs of Postgres.
    private func shell(_ script: String) async throws {
        let programs = URL(filePath: try Program.postgres("createdb")).deletingLastPathComponent().path
        let ran = Ran(
            try await ChildProcess.run(
                ["/bin/sh", "-c", "PATH=\(programs):$PATH; set -e; \(script)"], within: .seconds(60)))
        try #require(ran.code == 0, "\(ran.errors)")
    }

    @Test(
        "a database in another encoding is refused by init, with the command that makes a right one",
        arguments: ["LATIN1", "SQL_ASCII"])
    func encoding(encoding: String) async throws {
        try await withServers { servers in
            let name = SharedServers.newNamespace()
            let url = try await servers.postgres.createDatabase(
                name, options: ["--encoding=\(encoding)", "--locale=C"])
            let refused = try await run("init", on: servers, ["DATABASE_URL": url])
            #expect(refused.code == 78 && refused.errors.contains(encoding), "\(refused.errors)")
            #expect(refused.errors.split(separator: "\n").count == 1)
            #expect(try await servers.redis.ask("EXISTS", "\(servers.namespace):meta") == "0", "nothing was made")

            let start = try #require(refused.errors.range(of: "createdb "))
            try await shell(refused.errors[start.lowerBound...].trimmingCharacters(in: .newlines))
            let right = servers.postgres.url(database: name + "_utf8")
            #expect(try await run("init", on: servers, ["DATABASE_URL": right]).code == 0)

            // A schema as an earlier build made it there.
            try await shell("pg_dump '\(right)' | psql --quiet '\(url)' > /dev/null")
            let worker = try await run("worker", "--group", "postgres", on: servers, ["DATABASE_URL": url])
            #expect(worker.code == 78 && worker.errors.contains("createdb"), "\(worker.errors)")
            let warnings = try await run("status", "--json", on: servers, ["DATABASE_URL": url]).object()
                .objects("warnings")
            let hint = warnings.first { $0.text("code") == "schema" }?.text("hint")
            #expect(hint?.contains(encoding) == true && hint?.contains("createdb") == true)
        }
    }

    @Test("a missing database, an unknown role, a wrong password, TLS that isn't there")
    func postgres() async throws {
        let postgres = try await PrivatePostgres.start(
            settings: ["fsync=off"], access: ["host all guarded 127.0.0.1/32 scram-sha-256"], tcp: true)
        try await shell(
            "psql '\(postgres.url)' --quiet --command \"CREATE ROLE guarded LOGIN PASSWORD 'right'\"")
        let redis = try await SharedServers.redis()
        let servers = TestServers(redis: redis, postgres: postgres)
        try #require(try await run("init", on: servers).code == 0)
        let host = "127.0.0.1:\(postgres.port)"
        let cases: [(url: String, code: Int32, words: String)] = [
            (postgres.url(database: "nowhere"), 78, #"database "nowhere" does not exist"#),
            ("postgres://nobody@\(host)/postgres", 77, #"role "nobody" does not exist"#),
            ("postgres://guarded:wrong-horse@\(host)/postgres", 77, "password authentication failed"),
            ("postgres://guarded@\(host)/postgres", 77, "no password supplied"),
            (postgres.url + "?sslmode=require", 78, "server does not support SSL"),
            (postgres.url + "?sslmode=never", 78, "sslmode"),
        ]
        for (url, code, words) in cases {
            for arguments in [["init"], ["worker", "--group", "postgres"], ["open"]] {
                let ran = try await Ran(
                    ChildProcess.run(
                        [BuiltExecutable.path] + arguments,
                        environment: servers.environment.merging(["DATABASE_URL": url]) { $1 }))
                #expect(ran.code == code && ran.errors.contains(words), "\(url) \(arguments): \(ran.errors)")
                #expect(ran.errors.split(separator: "\n").count == 1 && !ran.errors.contains("horse"))
            }
            let status = try await run("status", "--json", on: servers, ["DATABASE_URL": url])
            if code == 78, status.code == 78 {
                #expect(status.errors.contains(words), "\(url): \(status.errors)")
                continue
            }
            let warning = try status.object().objects("warnings").first { $0.text("code") == "postgres-unreachable" }
            #expect(warning?.text("hint")?.contains(words) == true)
        }
        await postgres.stop(.immediate)
    }

    @Test("a database of Redis that isn't there")
    func redisDatabase() async throws {
        try await withServers { servers in
            let url = "unix://\(servers.redis.socketPath)?db=99"
            let order = ["submit", "--id", "a", "--shop", "main", "--customer", "c", "--line", "TEA:1"]
            for arguments in [["init"], ["status"], ["worker", "--group", "stock"], order] {
                let ran = try await Ran(
                    ChildProcess.run(
                        [BuiltExecutable.path] + arguments,
                        environment: servers.environment.merging(["ONEWRITE_REDIS_URL": url]) { $1 }))
                #expect(ran.code == 78 && ran.errors.contains("DB index is out of range"), "\(ran.errors)")
            }
        }
    }

    @Test("an address that leads to a replica: said, with its master named; nothing is sent; a worker waits")
    func replica() async throws {
        try await withOwnServers { servers in
            let directory = try await PrivateDirectory()
            let master = try await PrivateRedis.start(in: directory, tcp: true)
            let there = TestServers(redis: master, postgres: servers.postgres, namespace: servers.namespace)
            try #require(try await run("init", on: there).code == 0)
            try await servers.redis.follow(master)
            let place = "127.0.0.1:\(try #require(master.port))"

            let status = try await run("status", "--json", on: servers).object()
            #expect(
                try status.objects("warnings").first?.text("code") == "replica"
                    && status.objects("warnings").first?.text("hint")?.contains("is a replica of \(place)") == true)
            let submitted = try await run(
                "submit", "--id", "a", "--shop", "main", "--customer", "c", "--line", "TEA:1", on: servers)
            #expect(submitted.code == 78, "\(submitted.errors)")
            #expect(submitted.errors.contains("is a replica of \(place)") && submitted.errors.contains("Not sent"))
            #expect(!submitted.errors.contains("may be in the log"))
            #expect(try await run("init", on: servers).code == 78)

            let worker = try await BuiltExecutable.spawn(
                "worker", "--group", "postgres", "--name", "a", on: servers, errors: .piped)
            let said = try await worker.errors?.nextLine() ?? ""
            #expect(said.contains("waiting for Redis: ") && said.contains("is a replica of \(place)"), "\(said)")
            try await servers.redis.promote()
            var lines: [String] = []
            while let line = try await worker.errors?.nextLine() {
                lines.append(line)
                if line.contains("serving postgres") { break }
            }
            #expect(lines.first?.contains("Redis is back after") == true, "\(lines)")
            #expect(await worker.stop() == .exited(0))
            await master.stop()
            await directory.remove()
        }
    }

    @Test("a Postgres that is a standby: said; init refuses it, a worker of its group waits")
    func standby() async throws {
        try await withOwnServers { servers in
            try #require(try await run("init", on: servers).code == 0)
            let signal = "\(servers.postgres.directory)/data/standby.signal"
            #expect(FileManager.default.createFile(atPath: signal, contents: nil))
            try await servers.postgres.restart()
            let warning = try await run("status", "--json", on: servers).object().objects("warnings").first
            #expect(warning?.text("code") == "replica" && warning?.text("group") == "postgres")
            let refused = try await run("init", on: servers)
            #expect(
                refused.code == 78 && refused.errors.contains("is a standby, and takes no writes"), "\(refused.errors)")
            let worker = try await BuiltExecutable.spawn(
                "worker", "--group", "postgres", "--name", "a", on: servers, errors: .piped)
            let said = try await worker.errors?.nextLine() ?? ""
            #expect(said.contains("waiting for Postgres: ") && said.contains("is a standby"), "\(said)")
            #expect(await worker.stop() == .exited(0))
        }
    }

    @Test("a master that becomes a replica under a submission: what it refused was not sent")
    func demoted() async throws {
        try await withOwnServers { servers in
            let directory = try await PrivateDirectory()
            let other = try await PrivateRedis.start(in: directory, tcp: true)
            try #require(try await run("init", on: servers).code == 0)
            let submit = PausedSubmit(servers: servers, directory: directory)
            async let submitted = submit.run("--timeout 1s")
            try await submit.hasBegun()
            try await servers.redis.ask("REPLICAOF", "127.0.0.1", "\(try #require(other.port))")
            #expect(submit.goOn())
            let ran = Ran(try await submitted)
            #expect(ran.code == 75, "\(ran.errors)")
            let receipts = try ran.objects()
            #expect(receipts.map { $0.text("outcome") } == ["accepted", "unknown"])
            #expect(receipts.last?.text("error")?.hasPrefix("not in the log: ") == true, "\(ran.output)")
            #expect(
                ran.errors.contains("1 not sent") && ran.errors.contains("is a replica of 127.0.0.1"), "\(ran.errors)")
            await other.stop()
            await directory.remove()
        }
    }
}
