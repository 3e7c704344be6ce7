import Foundation
import OrderLog
import PostgresClient
import PrivateServers
import RedisClient
import RedisLog
import Testing
import TestSupport
import ThreadedIO

/// A log with real workers, and connections by which a test changes the stores behind their back.
actor AuditedShop {
    private let executor = ThreadExecutor(name: "test")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    nonisolated let servers: TestServers
    nonisolated let keys: Keys
    nonisolated let partitioning: Partitioning
    private let directory: PrivateDirectory
    private let redis: RedisConnection
    private let postgres: PostgresConnection
    private var workers: [Group: ChildProcess] = [:]
    private var files = 0

    /// Runs a test with a log of its own and a worker of each group.
    static func open<Result>(
        partitions: Int = 4, _ body: (AuditedShop) async throws -> Result
    ) async throws -> Result {
        try await withServers { servers in
            let created = try await BuiltExecutable.run("init", "--partitions", "\(partitions)", on: servers)
            try #require(created.status == .exited(0), "\(created.errors)")
            let directory = try await PrivateDirectory()
            let shop = try AuditedShop(servers, directory)
            do {
                try await shop.startWorkers()
                let result = try await body(shop)
                await shop.stopWorkers()
                await directory.remove()
                return result
            } catch {
                await shop.stopWorkers()
                await directory.remove()
                throw error
            }
        }
    }

    private init(_ servers: TestServers, _ directory: PrivateDirectory) throws {
        self.servers = servers
        self.directory = directory
        keys = try #require(Keys(namespace: servers.namespace))
        redis = try RedisConnection(
            connectingTo: try RedisConfiguration(url: servers.redis.url), until: .after(.seconds(5)), interrupt: nil)
        var database = try PostgresConfiguration(url: servers.postgres.url)
        database.schema = servers.namespace
        postgres = try PostgresConnection(connectingTo: database, until: .after(.seconds(5)), interrupt: nil)
        partitioning = try #require(try redis.identity(keys)).partitioning
    }

    func startWorkers(_ groups: [Group] = Group.builtIn) async throws {
        for group in groups {
            workers[group] = try await BuiltExecutable.spawn(
                "worker", "--group", group.name, on: servers, errors: .discarded)
        }
    }

    func stopWorkers(_ groups: [Group] = Group.builtIn) async {
        for group in groups { await workers.removeValue(forKey: group)?.stop() }
    }

    /// Kills a group's worker and starts another.
    func replaceWorker(_ group: Group) async throws {
        await workers[group]?.kill()
        try await startWorkers([group])
    }

    /// Submits changes, each a line of NDJSON.
    func submit(_ lines: [String]) async throws {
        files += 1
        let path = "\(directory.path)/changes-\(files).ndjson"
        try lines.joined(separator: "\n").write(toFile: path, atomically: false, encoding: .utf8)
        let done = try await BuiltExecutable.run("submit", path, on: servers)
        try #require(done.status == .exited(0), "\(done.errors)")
    }

    func drained() async throws {
        try await eventually("everything is applied") {
            let done = try await BuiltExecutable.run("status", "--json", on: servers)
            let status = try #require(
                try JSONSerialization.jsonObject(with: Data(done.output.utf8)) as? [String: Any])
            return try #require(status["groups"] as? [[String: Any]]).allSatisfy { ($0["lag"] as? NSNumber) == 0 }
        }
    }

    /// Waits until a group has applied up to a seq of the shop `main`.
    nonisolated func reaches(_ seq: Int, _ group: Group) async throws {
        try await eventually(within: .seconds(30), "\(group) has applied \(seq)") {
            try await self.state(group).int("position") == seq
        }
    }

    /// Waits until a group's partition of the shop `main` is in a state, with such an error.
    nonisolated func becomes(_ wanted: String, _ group: Group, _ error: String = "") async throws {
        try await eventually(within: .seconds(30), "\(group) is \(wanted)") {
            let state = try await self.state(group)
            return state.text("state") == wanted && (error == "" || state.text("error")?.contains(error) == true)
        }
    }

    private nonisolated func state(_ group: Group) async throws -> [String: Any] {
        let groups = try await run("status", "--json").object().objects("groups")
        let found = try #require(groups.first { $0.text("name") == group.name })
        return try #require(
            try found.objects("partitions").first { $0.int("partition") == partition(of: "main").number })
    }

    nonisolated func run(_ arguments: String...) async throws -> Ran { try await run(arguments) }

    nonisolated func run(_ arguments: [String], _ environment: [String: String?] = [:]) async throws -> Ran {
        Ran(
            try await ChildProcess.run(
                [BuiltExecutable.path] + arguments, environment: servers.environment.merging(environment) { $1 },
                within: .seconds(60)))
    }

    nonisolated func audit(_ arguments: String...) async throws -> Audited {
        Audited(
            try await ChildProcess.run(
                [BuiltExecutable.path, "audit"] + arguments, environment: servers.environment, within: .seconds(60)))
    }

    nonisolated func partition(of shop: String) -> Partition { partitioning.partition(ofShop: shop) }

    @discardableResult
    func redis(_ name: String, _ arguments: String...) throws -> RedisReply.Kind {
        try redis.call(RedisCommand(name, arguments: RedisArguments(arguments)), until: .after(.seconds(5))).kind
    }

    func text(_ name: String, _ arguments: String...) throws -> String {
        try redis.call(RedisCommand(name, arguments: RedisArguments(arguments)), until: .after(.seconds(5)))
            .requireString()
    }

    /// The list's jobs, from left to right.
    func jobs(in partition: Partition) throws -> [String] {
        try redis.call(RedisCommand("LRANGE", keys.deliveries(partition), 0, -1), until: .after(.seconds(5)))
            .requireArray().map { try $0.requireString() }
    }

    /// Puts other jobs into the list.
    func setJobs(_ jobs: [String], in partition: Partition) throws {
        try redis("DEL", keys.deliveries(partition))
        if jobs.isEmpty { return }
        _ = try redis.call(
            RedisCommand("RPUSH", arguments: RedisArguments([keys.deliveries(partition)] + jobs)),
            until: .after(.seconds(5)))
    }

    /// The stream ID of the entry at `seq`.
    func entry(_ seq: Int, in partition: Partition) throws -> String {
        let entries = try redis.call(
            RedisCommand("XRANGE", keys.log(partition), "-", "+"), until: .after(.seconds(5))
        ).requireArray()
        return try #require(entries.first { $0[1][3].string == "\(seq)" })[0].requireString()
    }

    /// Redis loses every key of the log.
    func deleteEverything() throws {
        try redis("EVAL", Self.deleting, "0", "*\(keys.namespace):*")
    }

    private static let deleting = """
        local cursor = '0'
        repeat
          local found = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
          cursor = found[1]
          for _, key in ipairs(found[2]) do redis.call('DEL', key) end
        until cursor == '0'
        """

    func sql(_ text: String) throws {
        try postgres.script(text, until: .after(.seconds(5)))
    }

    /// How many connections wait for a lock that this one holds, and how many for those.
    func waiting() throws -> (rebuild: Int64, worker: Int64) {
        let row = try postgres.query(
            """
            WITH first AS (
                SELECT pid FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))
            )
            SELECT (SELECT count(*) FROM first), (
                SELECT count(*) FROM pg_locks
                WHERE NOT granted AND pg_blocking_pids(pid) && ARRAY(SELECT pid FROM first))
            """, until: .after(.seconds(5))
        ).first
        let found = try #require(row)
        return (try found.requireInt64(0), try found.requireInt64(1))
    }
}

/// What an audit said.
struct Audited {
    struct Report: Decodable {
        struct Subject: Decodable {
            let subject: String
            let compared: Int
            let different: Int
        }

        struct Difference: Decodable {
            let subject: String
            let partition: Int?
            let seq: Int64?
            let name: String
            let expected: String
            let found: String
        }

        struct Explanation: Decodable {
            let partition: Int
            let seq: Int64
            let name: String
            let groups: [String]
        }

        let schema: String
        let verdict: String
        let inconclusive: [String]
        let subjects: [Subject]
        let differences: [Difference]
        let explained: [Explanation]
        let settledTotal: Int

        private enum CodingKeys: String, CodingKey {
            case schema, verdict, inconclusive, subjects, differences, explained
            case settledTotal = "settled_total"
        }

        func compared(_ subject: String) -> Int { subjects.first { $0.subject == subject }?.compared ?? -1 }
    }

    private let ran: Ran
    var code: Int32? { ran.code }
    var output: String { ran.output }
    var errors: String { ran.errors }

    init(_ completed: ChildProcess.Completed) {
        ran = Ran(completed)
    }

    func report() throws -> Report {
        let report = try JSONDecoder().decode(Report.self, from: Data(output.utf8))
        #expect(report.schema == "onewrite/audit/v1")
        return report
    }
}

/// An order as a line of NDJSON.
func order(_ id: String, _ shop: String = "main", _ lines: String = "TEA:2 MUG:1", attributes: String = "{}") -> String
{
    #"{"id":"\#(id)","shop":"\#(shop)","customer":"c-1","lines":[\#(items(lines))],"attributes":\#(attributes)}"#
}

func cancellation(_ order: String, _ shop: String = "main", _ lines: String = "TEA:2 MUG:1") -> String {
    #"{"type":"order.cancelled","order":"\#(order)","shop":"\#(shop)","lines":[\#(items(lines))]}"#
}

func stock(_ kind: String, _ id: String, _ shop: String = "main", _ lines: String) -> String {
    #"{"type":"stock.\#(kind)","id":"\#(id)","shop":"\#(shop)","lines":[\#(items(lines))]}"#
}

private func items(_ lines: String) -> String {
    lines.split(separator: " ").map { word in
        let parts = word.split(separator: ":")
        return #"{"sku":"\#(parts[0])","quantity":\#(parts[1])}"#
    }.joined(separator: ",")
}
