import Glibc
import PrivateServers
import Testing

@Suite("Private servers", .serialized)
struct PrivateServersTests {
    private func redis(_ server: PrivateRedis, _ command: String...) async throws -> String {
        let result = try await ChildProcess.run(
            ["redis-cli", "--no-auth-warning", "-s", server.socketPath] + (server.password.map { ["-a", $0] } ?? [])
                + command)
        return result.output.trimmed + result.errors.trimmed
    }

    private func sql(_ url: String, _ statement: String) async throws -> String {
        let result = try await ChildProcess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, url])
        return result.output.trimmed + result.errors.trimmed
    }

    @Test("Redis keeps its AOF through kill -9 and a restart, at the same address")
    func redisRestart() async throws {
        let server = try await PrivateRedis.start(options: ["appendfsync always"], password: "p \"1\\", tcp: true)
        #expect(try await redis(server, "SET", "k", "v") == "OK")
        let (pid, url) = (server.pid, server.url)
        await server.kill()
        #expect(!server.isRunning)
        #expect(!ProcessTable.isRunning(pid))
        try await server.restart()
        #expect(server.pid != pid)
        #expect(server.url == url)
        #expect(try await redis(server, "GET", "k") == "v")
        #expect(try await redis(server, "CONFIG", "GET", "maxmemory-policy").contains("noeviction"))
        let overURL = try await ChildProcess.run(["redis-cli", "--no-auth-warning", "-u", server.url, "GET", "k"])
        #expect(overURL.output.trimmed == "v")
        await server.stop()
    }

    @Test("a paused Redis answers when it is resumed")
    func redisPause() async throws {
        let server = try await PrivateRedis.start()
        server.pause()
        let answer = Task { try await redis(server, "PING") }
        try await holds("stopped") { ProcessTable.isStopped(server.pid) }
        server.resume()
        #expect(try await answer.value == "PONG")
        await server.stop()
    }

    @Test("Postgres keeps what was committed through kill -9 and a restart, and leaves no backend behind")
    func postgresRestart() async throws {
        // The files outlive the processes; without fsync each recovery is a second faster.
        let server = try await PrivatePostgres.start(settings: ["fsync=off"])
        let url = try await server.createDatabase("suite_1")
        #expect(try await sql(url, "create table t as select 1 as n") == "")
        let busy = Task { try await sql(url, "select pg_sleep(1000)") }
        let sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        while try await sql(server.url, sleeping) != "1" { try Task.checkCancellation() }
        let backends = ProcessTable.children(of: server.pid)
        await server.kill()
        #expect(!backends.contains(where: ProcessTable.isRunning))
        _ = try await busy.value
        try await server.restart()
        #expect(try await sql(url, "select n from t") == "1")
        await server.stop(.immediate)
        try await server.restart()
        #expect(try await sql(url, "select n from t") == "1")
        await server.stop()
        #expect(!server.isRunning)
    }

    @Test("Postgres listens on a loopback port when asked, and its settings win")
    func postgresTCP() async throws {
        let server = try await PrivatePostgres.start(
            settings: ["lock_timeout=2s"], access: ["host all stranger 127.0.0.1/32 reject"], tcp: true)
        #expect(server.url.contains("127.0.0.1"))
        #expect(try await sql(server.url, "show lock_timeout") == "2s")
        #expect(try await sql(server.url, "show fsync") == "on")
        let stranger = server.url.replacing("postgres@", with: "stranger@")
        #expect(try await sql(stranger, "select 1").contains("pg_hba.conf rejects"))
        await server.stop()
    }

    @Test("a server that can't start says why, from its log")
    func startFailure() async throws {
        let redis = await #expect(throws: ServerError.self) {
            try await PrivateRedis.start(options: ["no-such-option 1"])
        }
        #expect("\(try #require(redis))".contains("no-such-option"))
        let postgres = await #expect(throws: ServerError.self) {
            try await PrivatePostgres.start(settings: ["no_such_setting=1"])
        }
        #expect("\(try #require(postgres))".contains("no_such_setting"))
    }

    @Test("a directory is gone after remove, with all in it, and other servers' are not")
    func removal() async throws {
        let (first, second) = (try await PrivateDirectory(), try await PrivateDirectory())
        let server = try await PrivateRedis.start(in: first)
        #expect(server.socketPath.utf8.count <= 107)
        await server.stop()
        await first.remove()
        #expect(access(first.path, F_OK) != 0)
        #expect(access(second.path, F_OK) == 0)
        await second.remove()
    }

    @Test("when the process gets kill -9 its servers end, and nothing of them stays")
    func parentKilled() async throws {
        let result = await #expect(processExitsWith: .signal(SIGKILL), observing: [\.standardOutputContent]) {
            let directory = try await PrivateDirectory()
            let redis = try await PrivateRedis.start(in: directory)
            let postgres = try await PrivatePostgres.start(in: directory)
            let crashed = try await PrivatePostgres.start(in: directory, name: "crashed")
            let paused = try await PrivateRedis.start(in: directory, name: "paused")
            for pid in [redis.pid, postgres.pid, paused.pid] + ProcessTable.children(of: postgres.pid) {
                print("pid", pid)
            }
            print("directory", directory.path)
            let segment = ["sed", "-n", "7s/.* //p", "\(crashed.directory)/data/postmaster.pid"]
            print("segment", try await ChildProcess.run(segment).output.trimmed)
            fflush(nil)
            await crashed.kill()
            paused.pause()
            raise(SIGKILL)
            withExtendedLifetime((redis, postgres, crashed, paused)) {}
        }
        let pids = values(of: "pid", in: result).compactMap { pid_t($0) }
        #expect(pids.count > 5)
        for pid in pids { try await gone(pid) }
        let directory = try #require(values(of: "directory", in: result).first)
        try await holds("\(directory) is removed") { access(directory, F_OK) != 0 }
        // The System V segment that the killed Postgres marked its data with.
        let segment = try #require(values(of: "segment", in: result).first.flatMap { Int($0) })
        let segments = try await ChildProcess.run(["ipcs", "-m"]).output
        #expect(
            !segments.split(separator: "\n").contains { $0.split(separator: " ").dropFirst().first == "\(segment)" })
    }
}

extension String {
    var trimmed: String { split(separator: "\n").joined(separator: "\n") }
}
