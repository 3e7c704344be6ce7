import Foundation
import Harness
import PostgresClient
import PrivateServers
import RedisClient
import TestSupport
import Testing
import ThreadedIO

/// A log of one partition on real servers, real processes that work on it, and a test that does harm.
///
/// What the test does to the servers goes over connections of its own, a new one each time: servers end, and cut them.
actor Trial {
    static let shop = "main"
    static let groups = StoreContents.groups

    private let executor = ThreadExecutor(name: "trial")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    nonisolated let demo: Harness.Shop
    /// What all keys of the partition begin with.
    nonisolated let tag: String
    private var submissions: [Submission] = []
    private var workers: [Worker] = []
    private var calls = 0

    private init(_ demo: Harness.Shop) {
        self.demo = demo
        tag = "{\(demo.namespace):0}"
    }

    /// Runs `body` with a log that was just made; the processes end with it.
    static func open(_ servers: TestServers, _ body: @Sendable (Trial) async throws -> Void) async throws {
        let directory = try await PrivateDirectory()
        let trial = Trial(
            Harness.Shop(
                redisURL: servers.redis.url, postgresURL: servers.postgres.url, namespace: servers.namespace,
                executable: BuiltExecutable.path, directory: directory.path))
        do {
            try await trial.demo.run(["init", "--partitions", "1"])
            try await body(trial)
        } catch {
            Issue.record("\(error)\n\(await trial.logs)")
        }
        await trial.end()
        await directory.remove()
    }

    /// With servers that all tests share.
    static func open(_ body: @Sendable (Trial) async throws -> Void) async throws {
        try await withServers { try await open($0, body) }
    }

    private func end() async {
        for worker in workers { await worker.process.kill() }
    }

    private var logs: String { workers.map { "--- \($0.name)\n\($0.log)" }.joined() }

    // MARK: - Workers

    /// Starts a worker; a fault is what `ONEWRITE_FAULT` asks of it.
    ///
    /// - Parameters:
    ///   - group: Its group.
    ///   - name: Its name within the group.
    ///   - fault: `point:action:nth`.
    ///   - environment: What else its environment differs in.
    /// - Returns: The running worker.
    /// - Throws: `ChildProcessError`.
    @discardableResult
    func worker(
        _ group: String, _ name: String = "a", fault: String? = nil, environment: [String: String] = [:]
    ) async throws -> Worker {
        var variables = demo.environment
        variables["ONEWRITE_LEASE"] = "2s"
        if let fault { variables["ONEWRITE_FAULT"] = fault }
        for (name, value) in environment { variables[name] = value }
        let path = "\(demo.directory)/\(group)-\(name).log"
        let unique = "\(demo.namespace)-\(group)-\(name)"
        let process = try await ChildProcess.spawn(
            [demo.executable, "worker", "--group", group, "--name", unique], environment: variables,
            in: demo.directory, output: .discarded, errors: .appended(to: path))
        let worker = Worker(name: unique, process: process, logPath: path)
        workers.append(worker)
        return worker
    }

    /// Starts a worker for each group.
    func allWorkers() async throws {
        for group in Self.groups { try await worker(group) }
    }

    // MARK: - Submitting

    /// Submits orders with the real command, and keeps the receipts.
    func submit(_ count: Int, environment: [String: String] = [:]) async throws {
        calls += 1
        let call = calls
        let changes = (0..<count).map { number in
            PlannedChange(
                kind: .placed, id: "ord-\(call)-\(number)", shop: Self.shop, customer: "c-1",
                lines: [PlannedChange.Line(sku: "TEA", quantity: 1), PlannedChange.Line(sku: "MUG", quantity: 2)])
        }
        submissions += try await Submitters(servers: demo, pace: .zero).submit(changes, named: "orders-\(call)")
    }

    /// Submits one order that may be refused.
    nonisolated func attempt(
        _ id: String, timeout: String = "300ms", environment: [String: String] = [:]
    ) async throws -> ChildProcess.Completed {
        var variables = demo.environment
        for (name, value) in environment { variables[name] = value }
        return try await ChildProcess.run(
            [
                demo.executable, "submit", "--id", id, "--shop", Self.shop, "--customer", "c-1", "--line", "TEA:1",
                "--timeout", timeout, "--json",
            ], environment: variables)
    }

    /// Counts an order that ``attempt(_:timeout:environment:)`` got in among those that the stores must hold.
    func accepted(_ id: String, _ receipt: String) throws {
        submissions.append(
            Submission(
                change: PlannedChange(
                    kind: .placed, id: id, shop: Self.shop, customer: "c-1",
                    lines: [PlannedChange.Line(sku: "TEA", quantity: 1)]),
                receipt: try JSONDecoder().decode(ReceiptLine.self, from: Data(receipt.utf8))))
    }

    // MARK: - Harm, and its mending

    /// Puts something of another type in the place of a key.
    func spoil(_ key: String) throws {
        if try redis("EXISTS", key) == "1" { try redis("RENAME", key, "\(key):aside") }
        if key.contains(":lease:") { try redis("RPUSH", key, "x") } else { try redis("SET", key, "x") }
    }

    /// Undoes ``spoil(_:)``.
    func mend(_ key: String) throws {
        // In one step: a worker must not find nothing at the key.
        if try redis("EXISTS", "\(key):aside") == "1" {
            try redis("RENAME", "\(key):aside", key)
        } else {
            try redis("DEL", key)
        }
    }

    /// Deletes entries from the log by their fields.
    func deleteEntries(where isWanted: @Sendable ([String: String]) -> Bool) throws {
        for entry in try call(RedisCommand("XRANGE", "\(tag):log", "-", "+")).elements {
            var fields: [String: String] = [:]
            for index in stride(from: 0, to: entry[1].count, by: 2) {
                guard let name = entry[1][index].string else { continue }
                fields[name] = entry[1][index + 1].string ?? ""
            }
            if isWanted(fields) { try redis("XDEL", "\(tag):log", try entry[0].requireString()) }
        }
    }

    // MARK: - What the stores say

    /// Calls Redis; nil for a reply that is neither text nor a number.
    @discardableResult
    func redis(_ name: String, _ arguments: String...) throws -> String? {
        var command = RedisCommand(name)
        command.append(contentsOf: arguments)
        let reply = try call(command)
        return reply.string ?? reply.integer.map { "\($0)" }
    }

    /// Calls Redis with bytes that are no text.
    func redis(_ name: String, bytes arguments: [[UInt8]]) throws {
        var command = RedisCommand(name)
        for argument in arguments { command.append(argument) }
        _ = try call(command)
    }

    /// The ID of a client whose read of a group the server holds back until there is something; nil when there is none.
    ///
    /// Redis: <https://redis.io/docs/latest/commands/client-list/>
    func parkedRead(of client: String) throws -> String? {
        let clients = try redis("CLIENT", "LIST")?.split(separator: "\n") ?? []
        let parked = clients.first {
            $0.contains(client) && $0.contains(" cmd=xreadgroup ") && $0.contains(/\ flags=\w*b/)
        }
        return parked?.split(separator: " ").first { $0.hasPrefix("id=") }.map { String($0.dropFirst(3)) }
    }

    private func call(_ command: RedisCommand) throws -> RedisReply {
        try demo.redis().call(command, until: .after(.seconds(30)))
    }

    /// The first column of what Postgres answers.
    @discardableResult
    func sql(_ statement: String) throws -> [String] {
        try demo.postgres().query(statement, until: .after(.seconds(30))).map { $0.string(0) ?? "" }
    }

    /// Has Postgres do what it does outside transactions only, such as ALTER SYSTEM.
    nonisolated func psql(_ statement: String) async throws {
        let done = try await ChildProcess.run(
            ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, demo.postgresURL], within: .seconds(30))
        try #require(done.status == .exited(0), "\(done.errors)")
    }

    func position(_ group: String) throws -> Int64 {
        if group == "postgres" { return try sql("SELECT seq FROM partitions").first.flatMap { Int64($0) } ?? -1 }
        return Int64(try redis("HGET", "\(tag):position:\(group)", "seq") ?? "0") ?? -1
    }

    func owner(_ group: String) throws -> String? {
        if group == "postgres" { return try sql("SELECT owner FROM partitions").first }
        return try redis("HGET", "\(tag):position:\(group)", "owner")
    }

    /// How many batches the sink refused by their token.
    func refused(_ group: String) throws -> Int {
        if group == "postgres" { return try sql("SELECT refused FROM partitions").first.flatMap { Int($0) } ?? -1 }
        return Int(try redis("HGET", "\(tag):position:\(group)", "refused") ?? "0") ?? -1
    }

    func pending(_ group: String, of consumer: String? = nil) throws -> Int {
        if let consumer {
            return try call(RedisCommand("XPENDING", "\(tag):log", group, "-", "+", 1000, consumer)).elements.count
        }
        return Int(try call(RedisCommand("XPENDING", "\(tag):log", group))[0].integer ?? -1)
    }

    func dead(_ group: String) throws -> Int {
        if group == "postgres" {
            return try sql("SELECT count(*)::text FROM dead_letters").first.flatMap { Int($0) } ?? -1
        }
        return try redis("XLEN", "\(tag):dead:\(group)").flatMap { Int($0) } ?? -1
    }

    /// What `onewrite status --json` says of the partition in a group.
    nonisolated func status(_ group: String) async throws -> Status {
        try Status(try await demo.run(["status", "--json"]), group)
    }

    /// Waits until these groups have applied and acknowledged all that the head counts.
    func drained(_ groups: [String] = Trial.groups, within limit: Duration = .seconds(30)) async throws {
        try await eventually(within: limit, "\(groups) have applied and acknowledged everything") {
            let head = Int64(try redis("HGET", "\(tag):head", "seq") ?? "")
            return try groups.allSatisfy { try position($0) == head && pending($0) == 0 }
        }
    }

    func arePositions(_ seq: Int64) throws -> Bool { try Self.groups.allSatisfy { try position($0) == seq } }

    /// What the sinks hold of TEA, of which every order has one: orders in Postgres, jobs, and stock sold in both stores.
    func effects() throws -> [Int] {
        [
            try sql("SELECT count(*)::text FROM orders")[0], try redis("LLEN", "\(tag):deliveries") ?? "",
            try redis("HGET", "\(tag):stock:\(Self.shop)", "TEA") ?? "0",
            try sql("SELECT coalesce(sum(on_hand), 0)::text FROM stock WHERE sku = 'TEA'")[0],
        ].map { abs(Int($0) ?? .max) }
    }

    /// Expects that so many orders took effect, once in each sink: for a log that lacks entries.
    func expectEffects(of orders: Int) throws {
        #expect(try effects() == Array(repeating: orders, count: 4))
    }

    /// Waits until all is applied, and expects that every store holds what the receipts say, once and in order.
    ///
    /// Groups that have no worker in this trial get one.
    func expectAgreement(answersMayBeLost: Bool = false) async throws {
        for group in Self.groups where !workers.contains(where: { $0.serves(group) }) {
            try await worker(group, "late")
        }
        try await drained()
        let check = StoreCheck(try await demo.contents(), submissions, answersMayBeLost: answersMayBeLost)
        for finding in check.findings {
            #expect(finding.differences.isEmpty, "\(finding.subject): \(finding.differences.prefix(5))")
        }
        #expect(check.findings.contains { $0.subject == .ledger && $0.compared >= submissions.count })
    }
}

/// A worker's process.
struct Worker: Sendable {
    let name: String
    let process: ChildProcess
    let logPath: String

    var log: String { String(decoding: FileManager.default.contents(atPath: logPath) ?? Data(), as: UTF8.self) }

    func serves(_ group: String) -> Bool { name.hasPrefix(group) && process.isRunning }

    /// Waits until a fault has stopped it where it stands.
    func stands() async throws {
        try await eventually("\(name) is stopped: \(log)") { ProcessTable.isStopped(process.pid) }
    }

    /// Stops it from outside (SIGSTOP).
    func freeze() async throws {
        process.send(SIGSTOP)
        try await stands()
    }

    func resume() { process.send(SIGCONT) }

    func says(_ text: String, within limit: Duration = .seconds(10)) async throws {
        try await eventually(within: limit, "\(name) says: \(text)") { log.contains(text) }
    }
}

/// The partition in a group, as `status` tells it.
struct Status: Sendable {
    let state: String?
    let error: String?
    let refused: Int?
    let warnings: [String]

    init(_ json: String, _ group: String) throws {
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        let groups = try #require(object["groups"] as? [[String: Any]])
        let found = try #require(groups.first { $0["name"] as? String == group })
        let partition = try #require((found["partitions"] as? [[String: Any]])?.first)
        state = partition["state"] as? String
        error = partition["error"] as? String
        refused = partition["refused"] as? Int
        warnings = (object["warnings"] as? [[String: Any]] ?? []).compactMap { $0["hint"] as? String }
    }
}
