import Foundation
import PrivateServers
import TestSupport
import Testing

/// The log of `Tests/Fixtures/format-1` or `format-2`, as the last build left it that knew no newer format, on servers of the
/// test's own.
final class FormerLog: Sendable {
    /// What makes a process know only the first format, as that build did.
    static let knowsFirstOnly = ["ONEWRITE_FAULT_FORMATS": "1-1"]

    let environment: [String: String?]
    private let redis: PrivateRedis
    private let database: String
    private let directory: PrivateDirectory

    /// Loads the fixture, and removes everything behind the test.
    static func open(format: Int = 1, _ body: (FormerLog) async throws -> Void) async throws {
        let directory = try await PrivateDirectory()
        do {
            let log = try await FormerLog(directory, format)
            do { try await body(log) } catch {
                await log.redis.stop()
                throw error
            }
            await log.redis.stop()
        } catch {
            await directory.remove()
            throw error
        }
        await directory.remove()
    }

    private init(_ directory: PrivateDirectory, _ format: Int) async throws {
        let fixture = Repository.root.appending(path: "Tests/Fixtures/format-\(format)")
        // A server loads its RDB when it starts, and only where it keeps no append-only file.
        redis = try await PrivateRedis.start(in: directory, options: ["appendonly no", "dbfilename redis.rdb"])
        await redis.kill()
        try FileManager.default.copyItem(
            atPath: fixture.appending(path: "redis.rdb").path, toPath: redis.directory + "/redis.rdb")
        try await redis.restart()
        database = try await SharedServers.postgres().createDatabase(SharedServers.newNamespace())
        self.directory = directory
        environment = [
            "ONEWRITE_REDIS_URL": redis.url, "REDIS_URL": nil, "DATABASE_URL": database, "ONEWRITE_NAMESPACE": nil,
            "ONEWRITE_SCHEMA": nil, "NO_COLOR": "1",
        ]
        try await psql("-f", fixture.appending(path: "postgres.sql").path)
    }

    // MARK: - Commands

    @discardableResult
    func run(_ arguments: String..., with changes: [String: String?] = [:]) async throws -> Ran {
        try await run(arguments, with: changes)
    }

    func run(_ arguments: [String], with changes: [String: String?] = [:]) async throws -> Ran {
        Ran(
            try await ChildProcess.run(
                [BuiltExecutable.path] + arguments, environment: environment.merging(changes) { $1 },
                within: .seconds(60)))
    }

    /// Starts a command; what it says is kept under a name.
    func start(
        _ name: String, _ arguments: String..., with changes: [String: String?] = [:]
    ) async throws -> ChildProcess {
        try await ChildProcess.spawn(
            [BuiltExecutable.path] + arguments, environment: environment.merging(changes) { $1 },
            output: .discarded, errors: .appended(to: path(name + ".log")))
    }

    /// Starts a worker of all built-in groups.
    func worker(_ name: String, with changes: [String: String?] = [:]) async throws -> ChildProcess {
        try await start(name, "worker", "--name", name, with: changes)
    }

    /// Starts to submit orders for as long as the test goes on, in one process.
    func submitter(_ name: String, with changes: [String: String?] = [:]) async throws -> ChildProcess {
        let script = """
            n=0
            until [ -e "$0/stop" ]; do
                n=$((n + 1))
                echo "{\\"id\\":\\"$1-$n\\",\\"shop\\":\\"shop-$((n % 7))\\",\\"customer\\":\\"c\\",\\"lines\\":[{\\"sku\\":\\"TEA-250\\",\\"quantity\\":1}]}"
                sleep 0.02
            done | "$2" submit - --json > "$0/$1.receipts"
            """
        return try await ChildProcess.spawn(
            ["bash", "-o", "pipefail", "-c", script, directory.path, name, BuiltExecutable.path],
            environment: environment.merging(changes) { $1 }, output: .discarded,
            errors: .appended(to: path(name + ".log")))
    }

    /// Has the submitters end, behind what they have read.
    func stopSubmitters() throws { try Data().write(to: URL(filePath: path("stop"))) }

    /// The orders that a submitter was told to be accepted.
    func accepted(_ name: String) -> Int {
        text(name + ".receipts").split(separator: "\n").count { $0.contains(#""outcome":"accepted""#) }
    }

    /// What a process said.
    func said(_ name: String) -> String { text(name + ".log") }

    /// Writes a file, and returns its path.
    func file(_ name: String, _ lines: [String]) throws -> String {
        try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: URL(filePath: path(name)))
        return path(name)
    }

    private func path(_ name: String) -> String { "\(directory.path)/\(name)" }

    private func text(_ name: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path(name)) ?? Data(), as: UTF8.self)
    }

    // MARK: - Stores

    /// The log's format in Redis and in Postgres: `1 2`.
    func formats() async throws -> String {
        "\(try await redis("HGET", "onewrite:meta", "version")) \(try await psql("-c", "SELECT version FROM onewrite.meta"))"
    }

    /// Says in one of the stores, or in both, that the log has another format.
    func pretend(redis: Int? = nil, postgres: Int? = nil) async throws {
        if let redis { try await self.redis("HSET", "onewrite:meta", "version", "\(redis)") }
        if let postgres { try await psql("-c", "UPDATE onewrite.meta SET version = \(postgres)") }
    }

    @discardableResult
    func redis(_ words: String...) async throws -> String {
        try await output(["redis-cli", "-e", "-s", redis.socketPath] + words)
    }

    @discardableResult
    func psql(_ words: String...) async throws -> String {
        try await output(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database] + words)
    }

    private func output(_ words: [String]) async throws -> String {
        try await Ran(ChildProcess.run(words, within: .seconds(30))).succeeded().output
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    // MARK: - What it comes to

    func status() async throws -> [String: Any] { try await run("status", "--json").object() }

    /// The workers that hold a group's partitions.
    func owners(_ group: String) async throws -> Set<String> {
        let found = try await status().objects("groups").first { $0.text("name") == group }
        return Set(try #require(found).objects("partitions").compactMap { $0.text("owner") })
    }

    /// The hints of the warnings about formats.
    func formatWarnings() async throws -> [String] {
        try await status().objects("warnings").filter { $0.text("code") == "format" }.compactMap { $0.text("hint") }
    }

    /// Waits until all built-in groups have applied all that is there, then audits.
    func agrees(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await eventually(within: .seconds(60), "everything is applied", sourceLocation: sourceLocation) {
            try await self.status().objects("groups").filter { $0.text("name") != "search" }
                .allSatisfy { $0.int("lag") == 0 && $0.int("pending") == 0 }
        }
        let audit = try await run("audit")
        #expect(audit.code == 0, "\(audit.output)\(audit.errors)", sourceLocation: sourceLocation)
    }
}
