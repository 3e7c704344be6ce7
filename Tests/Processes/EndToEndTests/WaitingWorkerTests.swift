import Foundation
import PrivateServers
import TestSupport
import Testing

@Suite(
    "A worker waits for servers that aren't there yet, and tells an outage in a line when it begins and one when it ends"
)
struct WaitingWorkerTests {
    /// A running worker, and what it says.
    private struct Running {
        let process: ChildProcess
        let path: String

        /// Starts one that serves a group, or all of them for nil.
        init(
            _ group: String?, _ flags: String..., on servers: TestServers, in directory: PrivateDirectory
        ) async throws {
            path = "\(directory.path)/\(group ?? "all").log"
            process = try await ChildProcess.spawn(
                [BuiltExecutable.path, "worker", "--name", "a"] + (group.map { ["--group", $0] } ?? []) + flags,
                environment: servers.environment.merging(["ONEWRITE_LEASE": "1s"]) { $1 }, in: directory.path,
                output: .discarded, errors: .appended(to: path))
        }

        func lines(_ words: String = "") -> [String] {
            let text = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
            return text.split(separator: "\n").map(String.init).filter { words.isEmpty || $0.contains(words) }
        }

        func says(_ words: String, times: Int = 1) async throws {
            try await eventually(within: .seconds(30), "\(words): \(lines().joined(separator: "\n"))") {
                lines(words).count >= times
            }
        }
    }

    /// Runs `body` with servers of its own and a directory for logs.
    private func withDirectory(_ body: (TestServers, PrivateDirectory) async throws -> Void) async throws {
        try await withOwnServers { servers in
            let directory = try await PrivateDirectory()
            try await body(servers, directory)
            await directory.remove()
        }
    }

    private func initialise(_ servers: TestServers) async throws {
        let made = try await BuiltExecutable.run("init", on: servers)
        try #require(made.status == .exited(0), "\(made.errors)")
    }

    @Test("no Redis, then no log: it says for what it waits, and serves when both are there")
    func start() async throws {
        try await withDirectory { servers, directory in
            await servers.redis.kill()
            let worker = try await Running("stock", on: servers, in: directory)
            try await worker.says("waiting for Redis: cannot connect to Redis at unix:\(servers.redis.socketPath)/0")
            try await servers.redis.restart()
            try await worker.says("waiting for the log: there is no log at \(servers.namespace)")
            #expect(worker.lines("waiting for the log")[0].contains("Run: onewrite init"))
            try await initialise(servers)
            try await worker.says("serving stock · partitions 0 1 2 3 4 5 6 7 of 8")
            let said = worker.lines()
            let expected = ["waiting for Redis", "Redis is back", "waiting for the log", "the log is there"]
            for (line, words) in zip(said, expected) { #expect(line.contains(words), "\(said)") }
            #expect(await worker.process.stop() == .exited(0))
        }
    }

    @Test("no Postgres: a worker of group postgres waits, and SIGTERM ends the wait with 0")
    func stopped() async throws {
        try await withDirectory { servers, directory in
            try await initialise(servers)
            await servers.postgres.kill()
            let first = try await Running("postgres", on: servers, in: directory)
            try await first.says("waiting for Postgres: ")
            #expect(await first.process.stop() == .exited(0))
            #expect(first.lines().count == 2 && first.lines("stopping").count == 1, "\(first.lines())")

            let second = try await Running("postgres", on: servers, in: directory)
            try await second.says("waiting for Postgres: ", times: 2)
            try await servers.postgres.restart()
            try await second.says("Postgres is back after")
            try await second.says("serving postgres")
            #expect(await second.process.stop() == .exited(0))
        }
    }

    @Test(
        "an outage of Redis: one line when it begins, one when it ends, whatever meets it, one group or all in a process",
        arguments: [["postgres", "stock"], [nil]])
    func redisOutage(_ groups: [String?]) async throws {
        try await withDirectory { servers, directory in
            try await initialise(servers)
            var workers: [Running] = []
            for group in groups { workers.append(try await Running(group, "--lanes", "4", on: servers, in: directory)) }
            let served = groups == [nil] ? 3 : 1
            for worker in workers { try await worker.says("partitions 0 1 2 3 4 5 6 7 of 8", times: served) }
            let before = workers.map { $0.lines().count }
            await servers.redis.kill()
            // Long enough for every lease to run out.
            try await Task.sleep(for: .seconds(2))
            try await servers.redis.restart()
            for worker in workers { try await worker.says("Redis is back after") }
            try await eventually(within: .seconds(30), "orders are taken and applied again") {
                try await BuiltExecutable.run(
                    "submit", "--id", "a", "--shop", "main", "--customer", "c", "--line", "TEA:1",
                    "--wait=postgres,stock", on: servers
                ).status == .exited(0)
            }
            for (worker, before) in zip(workers, before) {
                #expect(worker.lines("waiting for Redis: ").count == 1, "\(worker.lines())")
                #expect(worker.lines("Redis is back after").count == 1, "\(worker.lines())")
                // Beside them: that the log is closed and open again, and what is served.
                #expect(worker.lines().count - before <= 2 + 6 * served, "\(worker.lines())")
                #expect(await worker.process.stop() == .exited(0))
            }
        }
    }

    @Test(
        "an outage of Postgres: one line when it begins, one when it ends, one group or all in a process",
        arguments: ["postgres", nil])
    func postgresOutage(_ group: String?) async throws {
        try await withDirectory { servers, directory in
            try await initialise(servers)
            let worker = try await Running(group, "--lanes", "4", on: servers, in: directory)
            try await worker.says("partitions 0 1 2 3 4 5 6 7 of 8", times: group == nil ? 3 : 1)
            let before = worker.lines().count
            for round in 1...2 {
                await servers.postgres.kill()
                // Every partition has something to apply.
                for shop in 0..<20 {
                    let done = try await BuiltExecutable.run(
                        "submit", "--id", "a-\(round)", "--shop", "s\(shop)", "--customer", "c", "--line", "TEA:1",
                        on: servers)
                    try #require(done.status == .exited(0), "\(done.errors)")
                }
                try await worker.says("waiting for Postgres: ", times: round)
                try await servers.postgres.restart()
                try await worker.says("Postgres is back after", times: round)
            }
            try await eventually(within: .seconds(30), "all is applied") {
                let status = Ran(try await BuiltExecutable.run("status", "--json", on: servers))
                return try status.object().objects("groups").first?.int("lag") == 0
            }
            // Beside them: what was in hand when it began.
            let beside = worker.lines("reclaimed").count
            #expect(worker.lines().count - before - beside == 4, "\(worker.lines())")
            #expect(beside <= 6, "\(worker.lines())")
            #expect(await worker.process.stop() == .exited(0))
        }
    }
}
