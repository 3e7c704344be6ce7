import Foundation
import OrderLog
import PrivateServers
import Synchronization
import Testing
import TestSupport

@Suite("The recipes of docs/backup.md", .serialized)
struct BackupTests {
    /// A log on servers of its own, which are damaged and restored.
    private final class Site: Sendable {
        let servers: TestServers
        let directory: PrivateDirectory
        private let worker = Worker()

        /// The worker's process, if one runs.
        actor Worker {
            private var process: ChildProcess?

            func start(_ servers: TestServers) async throws {
                process = try await ChildProcess.spawn(
                    [BuiltExecutable.path, "worker"],
                    environment: servers.environment.merging(["ONEWRITE_LEASE": "2s"]) { $1 }, output: .discarded,
                    errors: .discarded)
            }

            func stop() async {
                await process?.stop()
                process = nil
            }
        }

        init(_ servers: TestServers) async throws {
            self.servers = servers
            directory = try await PrivateDirectory()
            _ = try await run("init", "--partitions", "2").succeeded()
            try await worker.start(servers)
        }

        static func open(_ body: (Site) async throws -> Void) async throws {
            try await withOwnServers(postgresAccess: ["local replication all trust"]) { servers in
                let site = try await Site(servers)
                do { try await body(site) } catch {
                    await site.close()
                    throw error
                }
                await site.close()
            }
        }

        private func close() async {
            await worker.stop()
            await directory.remove()
        }

        func startWorker() async throws { try await worker.start(servers) }
        func stopWorker() async { await worker.stop() }

        func run(_ arguments: String...) async throws -> Ran { try await run(arguments) }

        func run(_ arguments: [String]) async throws -> Ran {
            Ran(
                try await ChildProcess.run(
                    [BuiltExecutable.path] + arguments, environment: servers.environment, within: .seconds(60)))
        }

        /// Submits orders of several shops; returns the IDs of those that were accepted, not duplicates.
        @discardableResult
        func submit(_ numbers: ClosedRange<Int>) async throws -> [String] {
            let path = "\(directory.path)/orders-\(numbers.lowerBound).ndjson"
            let lines = numbers.map { order("o-\($0)", "shop-\($0 % 5)") }
            try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
            let receipts = try await run("submit", path, "--json")
            #expect(receipts.code == 0, "\(receipts.errors)")
            return try receipts.objects().filter { $0.text("outcome") == "accepted" }.compactMap { $0.text("id") }
        }

        func drained() async throws {
            try await eventually(within: .seconds(60), "everything is applied") {
                let status = try await run("status", "--json")
                guard status.code == 0 else { return false }
                return try status.object().objects("groups").allSatisfy { $0.int("lag") == 0 }
            }
        }

        func agrees() async throws {
            try await drained()
            var audit: Ran?
            // A partition in which nothing lags may be about to be opened.
            try await eventually(within: .seconds(60), "all partitions are open") {
                audit = try await run("audit")
                return audit?.code != 75
            }
            #expect(audit?.code == 0, "\(audit?.output ?? "")\(audit?.errors ?? "")")
        }

        func recipe(_ name: String) async throws {
            let variables = "BACKUP='\(directory.path)' REDIS_DIR='\(servers.redis.directory)'\n"
            let ran = try await Recipe(name, in: "backup.md").preceded(by: variables).run(servers)
            #expect(ran.code == 0, "\(name): \(ran.errors)")
        }

        /// Puts the copy in the place of what the server has.
        func restoreRedis() async throws {
            await servers.redis.kill()
            try await recipe("restore-redis")
            try await servers.redis.restart()
        }

        /// Starts Postgres on the base backup.
        func restoreBase() async throws {
            let (data, base) = (servers.postgres.directory, directory.path + "/base")
            await servers.postgres.stop()
            let script = """
                rm -rf "$1/data" && cp -r "$2" "$1/data" && chown -R --reference="$1" "$1/data" && chmod 700 "$1/data"
                """
            let copied = try await ChildProcess.run(["/bin/sh", "-ec", script, "copy", data, base])
            #expect(copied.status == .exited(0), "\(copied.errors)")
            try await servers.postgres.restart()
        }

        func restorePostgres() async throws {
            await stopWorker()
            try await recipe("restore-postgres")
            try await startWorker()
        }

        /// Does something while orders come in; returns how many were submitted.
        func underLoad(from first: Int, _ body: () async throws -> Void) async throws -> Int {
            let flag = StopFlag()
            async let last: Int = {
                var number = first
                while !flag.isSet {
                    try await submit(number...(number + 9))
                    number += 10
                }
                return number - 1
            }()
            let result: Result<Void, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            flag.set()
            let count = try await last
            try result.get()
            return count
        }
    }

    @Test("Postgres older than the log, the log older than Postgres: everything is there again")
    func oneOlder() async throws {
        try await Site.open { site in
            try await site.submit(1...50)
            var last = try await site.underLoad(from: 51) { try await site.recipe("backup-postgres") }
            try await site.submit((last + 1)...(last + 20))
            try await site.drained()
            try await site.restorePostgres()
            try await site.agrees()
            #expect(try await site.submit(1...(last + 20)) == [], "nothing is gone")

            last = try await site.underLoad(from: last + 21) { try await site.recipe("backup-redis") }
            try await site.submit((last + 1)...(last + 20))
            try await site.drained()
            try await site.restoreRedis()
            try await site.agrees()
            #expect(try await site.submit(1...(last + 20)) == [], "nothing is gone")
        }
    }

    @Test("both older, of different moments: they agree, and what is gone is told by submitting it again")
    func bothOlder() async throws {
        try await Site.open { site in
            try await site.submit(1...40)
            let last = try await site.underLoad(from: 41) {
                try await site.recipe("backup-postgres")
                try await site.recipe("backup-redis")
            }
            try await site.submit((last + 1)...(last + 30))
            try await site.drained()
            await site.stopWorker()
            try await site.restoreRedis()
            try await site.restorePostgres()
            try await site.agrees()
            let gone = try await site.submit(1...(last + 30))
            #expect(Set(gone).isSuperset(of: ((last + 1)...(last + 30)).map { "o-\($0)" }))
            #expect(gone.count < 30 + last - 40, "what the later copy has is there")
            try await site.agrees()
            #expect(try await site.submit(1...(last + 30)) == [])
        }
    }

    @Test("one of them empty: the log is made anew from the ledger, or the ledger from a log that was never trimmed")
    func empty() async throws {
        try await Site.open { site in
            try await site.submit(1...60)
            try await site.drained()
            await site.servers.redis.kill()
            try FileManager.default.removeItem(atPath: site.servers.redis.directory + "/appendonlydir")
            try await site.servers.redis.restart()
            let rebuilt = try await site.run("rebuild", "log", "--deliveries-since", "1h", "--yes")
            #expect(rebuilt.code == 0, "\(rebuilt.output)\(rebuilt.errors)")
            try await site.agrees()
            #expect(try await site.submit(1...60) == [])

            await site.stopWorker()
            let dropped = try await ChildProcess.run(
                ["psql", site.servers.postgres.url, "-qc", "DROP SCHEMA \(site.servers.namespace) CASCADE"])
            #expect(dropped.status == .exited(0), "\(dropped.errors)")
            _ = try await site.run("init").succeeded()
            try await site.startWorker()
            try await site.agrees()

            // Trimmed, it can't give what came before.
            _ = try await site.run("trim", "--keep", "0s", "--yes").succeeded()
            await site.stopWorker()
            _ = try await ChildProcess.run(
                ["psql", site.servers.postgres.url, "-qc", "DROP SCHEMA \(site.servers.namespace) CASCADE"])
            _ = try await site.run("init").succeeded()
            try await site.startWorker()
            try await eventually(within: .seconds(30), "it says what is missing") {
                try await site.run("status").output.contains("since what all groups had applied was trimmed")
            }
        }
    }

    @Test("a base backup is started as it is, and goes on with the log")
    func baseBackup() async throws {
        try await Site.open { site in
            try await site.submit(1...30)
            let last = try await site.underLoad(from: 31) { try await site.recipe("base-backup") }
            try await site.drained()
            await site.stopWorker()
            try await site.restoreBase()
            try await site.startWorker()
            try await site.agrees()
            #expect(try await site.submit(1...last) == [])
        }
    }
}

/// Set once, from any thread.
private final class StopFlag: Sendable {
    private let state = Mutex(false)

    var isSet: Bool { state.withLock { $0 } }
    func set() { state.withLock { $0 = true } }
}
