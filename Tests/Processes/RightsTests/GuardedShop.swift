import Foundation
import PostgresClient
import PrivateServers
import RedisClient
import Testing
import TestSupport
import ThreadedIO

/// A log on servers that let in the users that `onewrite grants` makes, and an administrator; the user `default` is off.
actor GuardedShop {
    private let executor = ThreadExecutor(name: "test")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// The roles that tests are about, with what else `grants` is told.
    static let roles = ["submit", "worker:stock", "worker:postgres", "read", "operate", "admin"]

    nonisolated let servers: TestServers
    nonisolated let directory: PrivateDirectory
    private let redis: RedisConnection
    private let postgres: PostgresConnection

    /// Runs a test on servers of its own, with a log of one partition that the role `admin` has made.
    static func open(_ body: (GuardedShop) async throws -> Void) async throws {
        try await withOwnServers { servers in
            let directory = try await PrivateDirectory()
            try await servers.redis.ask("ACL", "SETUSER", "root", "on", ">root", "~*", "&*", "+@all")
            let shop = try GuardedShop(servers, directory)
            try "first\n".write(toFile: shop.passwordFile, atomically: false, encoding: .utf8)
            _ = try await shop.ask("ACL", "SETUSER", "default", "off")
            try await shop.grant("admin")
            _ = try await shop.run("admin", "init --partitions 1").succeeded()
            do { try await body(shop) } catch {
                await directory.remove()
                throw error
            }
            await directory.remove()
        }
    }

    private init(_ servers: TestServers, _ directory: PrivateDirectory) throws {
        (self.servers, self.directory) = (servers, directory)
        redis = try RedisConnection(
            connectingTo: try RedisConfiguration(
                url: "unix://\(servers.redis.socketPath)?username=root&password=root"),
            until: .after(.seconds(5)), interrupt: nil)
        var database = try PostgresConfiguration(url: servers.postgres.url)
        database.schema = servers.namespace
        postgres = try PostgresConnection(connectingTo: database, until: .after(.seconds(5)), interrupt: nil)
    }

    nonisolated var namespace: String { servers.namespace }
    nonisolated var passwordFile: String { "\(directory.path)/password" }

    nonisolated func user(_ role: String) -> String { "\(namespace)-\(role.replacing(":", with: "-"))" }

    /// What a program of a role has in its environment.
    nonisolated func environment(_ role: String) -> [String: String?] {
        servers.environment.merging([
            "ONEWRITE_REDIS_URL": "unix://\(servers.redis.socketPath)?username=\(user(role))",
            "REDIS_PASSWORD_FILE": passwordFile, "DATABASE_PASSWORD_FILE": passwordFile, "ONEWRITE_LEASE": "2s",
            "DATABASE_URL": servers.postgres.url.replacing("user=postgres", with: "user=\(user(role))"),
        ]) { $1 }
    }

    /// Makes the users of a role, by what `onewrite grants` prints.
    func grant(_ role: String, _ more: String...) async throws {
        let printed = try await run(role, ["grants", "redis", "--role", role, "--password-file", passwordFile] + more)
        let words = try printed.succeeded().output.split(whereSeparator: \.isWhitespace).map(String.init)
        #expect(try ask(words) == "OK")
        let sql = try await run(role, ["grants", "postgres", "--role", role] + more).succeeded().output
        try postgres.script(sql, until: .after(.seconds(5)))
    }

    /// Runs a command as a role.
    nonisolated func run(_ role: String, _ arguments: String) async throws -> Ran {
        try await run(role, arguments.split(separator: " ").map(String.init))
    }

    nonisolated func run(_ role: String, _ arguments: [String]) async throws -> Ran {
        Ran(
            try await ChildProcess.run(
                [BuiltExecutable.path] + arguments, environment: environment(role), within: .seconds(60)))
    }

    nonisolated func startWorker(
        _ role: String, _ arguments: String..., output: ChildProcess.Output = .discarded
    ) async throws -> ChildProcess {
        try await ChildProcess.spawn(
            [BuiltExecutable.path, "worker"] + arguments, environment: environment(role), output: .discarded,
            errors: output)
    }

    /// Waits until every group has applied everything.
    nonisolated func drained() async throws {
        try await eventually(within: .seconds(30), "everything is applied") {
            let groups = try await self.run("read", "status --json").object().objects("groups")
            return groups.allSatisfy { $0.int("lag") == 0 }
        }
    }

    /// Asks Redis as the administrator; an error's text is an answer, too.
    func ask(_ words: String...) throws -> String { try ask(words) }

    func ask(_ words: [String]) throws -> String { try answers([words])[0] }

    func answers(_ commands: [[String]]) throws -> [String] {
        let sent = commands.map { RedisCommand($0[0], arguments: RedisArguments(Array($0.dropFirst()))) }
        return try redis.pipeline(sent, until: .after(.seconds(20))).map { reply in
            reply.error.map { "\($0)" } ?? reply.string ?? "\(reply)"
        }
    }

    /// A list's texts.
    func list(_ words: String...) throws -> [String] {
        let command = RedisCommand(words[0], arguments: RedisArguments(Array(words.dropFirst())))
        return try redis.call(command, until: .after(.seconds(5))).requireArray().compactMap(\.string)
    }

    func sql(_ text: String) throws { try postgres.script(text, until: .after(.seconds(5))) }

    /// Has Postgres ask a role for its password from now on.
    func requirePassword(of role: String, _ password: String) throws {
        let path = "\(servers.postgres.directory)/data/pg_hba.conf"
        let rules = try String(contentsOfFile: path, encoding: .utf8)
        try "local all \(user(role)) scram-sha-256\n\(rules)".write(toFile: path, atomically: false, encoding: .utf8)
        try sql("ALTER ROLE \"\(user(role))\" PASSWORD '\(password)'; SELECT pg_reload_conf()")
    }

    /// What changes with every write, in either store.
    func state() throws -> String {
        let info = try redis.call(RedisCommand("INFO", "persistence"), until: .after(.seconds(5))).requireInfo()
        let tables = ["meta", "partitions", "ledger", "orders", "order_lines", "stock", "dead_letters", "incidents"]
        let rows = tables.map { "SELECT '\($0)' || t::text AS row FROM \($0) AS t" }.joined(separator: " UNION ALL ")
        let digest = try postgres.query(
            "SELECT md5(coalesce(string_agg(row, ' ' ORDER BY row), '')) FROM (\(rows)) AS r",
            until: .after(.seconds(5)))
        return "\(info["rdb_changes_since_last_save"] ?? "?") \(digest.first?.string(0) ?? "?")"
    }
}
