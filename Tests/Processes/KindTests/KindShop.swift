import Foundation
import PostgresClient
import PrivateServers
import RedisClient
import Synchronization
import Testing
import TestSupport
import ThreadedIO

/// A log, and groups of it that lead to stores without code.
final class KindShop: Sendable {
    static let partitions = 4
    static let shops = 6

    let servers: TestServers
    let directory: String
    /// What commands and workers have in their environment beside the servers.
    private let variables = Mutex<[String: String]>([:])
    private let submitted = Mutex(0)

    init(_ servers: TestServers, partitions: Int = partitions) async throws {
        self.servers = servers
        directory = FileManager.default.temporaryDirectory.appending(path: "ow-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        _ = try await run("init", "--partitions", "\(partitions)").succeeded()
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func set(_ variable: String, _ value: String) { variables.withLock { $0[variable] = value } }

    var environment: [String: String?] {
        servers.environment.merging(variables.withLock { $0 }.mapValues { $0 }) { $1 }
    }

    func run(_ arguments: String...) async throws -> Ran { try await run(arguments) }

    func run(_ arguments: [String]) async throws -> Ran {
        Ran(try await ChildProcess.run([BuiltExecutable.path] + arguments, environment: environment, in: directory))
    }

    func worker(_ arguments: String..., log: String = "worker.log") async throws -> ChildProcess {
        try await ChildProcess.spawn(
            [BuiltExecutable.path, "worker"] + arguments, environment: environment, in: directory, output: .discarded,
            errors: .appended(to: path(log)))
    }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    func log(_ name: String = "worker.log") -> String {
        String(decoding: FileManager.default.contents(atPath: path(name)) ?? Data(), as: UTF8.self)
    }

    /// Writes a file in the test's directory, and returns its path.
    func file(_ name: String, _ text: String) throws -> String {
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
        return path(name)
    }

    /// Submits so many changes of several shops: orders, every seventh of them cancelled, and a delivery and a count of stock now
    /// and then.
    func submit(_ count: Int) async throws {
        let first = submitted.withLock { submitted in
            defer { submitted += count }
            return submitted
        }
        let rows = (first..<first + count).map(Self.row)
        let file = try file("changes-\(first).ndjson", rows.joined(separator: "\n") + "\n")
        _ = try await run("submit", file).succeeded()
    }

    private static func row(_ number: Int) -> String {
        let shop = #""shop":"shop-\#(number % shops)""#
        let lines = #""lines":[{"sku":"TEA","quantity":\#(number % 5 + 1)},{"sku":"MUG-\#(number % 3)","quantity":1}]"#
        switch number % 50 {
        case 48: return #"{"type":"stock.received","id":"in-\#(number)",\#(shop),\#(lines)}"#
        case 49:
            return #"{"type":"stock.counted","id":"count-\#(number)",\#(shop),"lines":[{"sku":"TEA","quantity":900}]}"#
        // The order before it of the same shop.
        case let place where place % 7 == 6:
            let order = number - shops
            let old = #""lines":[{"sku":"TEA","quantity":\#(order % 5 + 1)},{"sku":"MUG-\#(order % 3)","quantity":1}]"#
            return #"{"type":"order.cancelled","order":"order-\#(order)",\#(shop),\#(old)}"#
        default:
            let note = number % 4 == 0 ? #","attributes":{"note":"no. \#(number) \"Zoë\""}"# : ""
            return #"{"id":"order-\#(number)",\#(shop),"customer":"customer \#(number % 9) Zoë",\#(lines)\#(note)}"#
        }
    }

    /// Submits one order; lines as `TEA:1`.
    func submit(id: String, shop: String, _ lines: String..., attributes: String = "{}") async throws {
        let items = lines.map { line in
            let parts = line.split(separator: ":")
            return #"{"sku":"\#(parts[0])","quantity":\#(parts[1])}"#
        }
        let row =
            #"{"id":"\#(id)","shop":"\#(shop)","customer":"c","lines":[\#(items.joined(separator: ","))],"#
            + #""attributes":\#(attributes)}"#
        _ = try await run("submit", try file("order-\(id).ndjson", row + "\n")).succeeded()
    }

    // MARK: - What the stores hold

    func redis(_ words: String...) throws -> RedisReply {
        let redis = try RedisConnection(
            connectingTo: RedisConfiguration(url: servers.redis.url), until: .soon, interrupt: nil)
        var command = RedisCommand(words[0])
        command.append(contentsOf: Array(words.dropFirst()))
        return try redis.call(command, until: .soon)
    }

    func key(_ partition: Int, _ rest: String) -> String { "{\(servers.namespace):\(partition)}:\(rest)" }

    /// A query's rows, columns parted by `|`, in the log's own Postgres or in another database.
    func rows(_ sql: String, in url: String? = nil) throws -> [String] {
        var configuration = try PostgresConfiguration(url: url ?? servers.postgres.url)
        if url == nil { configuration.schema = servers.namespace }
        let connection = try PostgresConnection(connectingTo: configuration, until: .soon, interrupt: nil)
        return try connection.query(sql, until: .soon).map { row in
            (0..<row.count).map { row.string($0) ?? "–" }.joined(separator: "|")
        }
    }

    func script(_ sql: String, in url: String) throws {
        let connection = try PostgresConnection(
            connectingTo: PostgresConfiguration(url: url), until: .soon, interrupt: nil)
        try connection.script(sql, until: .soon)
    }

    /// The changes of the ledger by partition, in log order: `seq type id`.
    func ledger() throws -> [Int: [String]] {
        var changes: [Int: [String]] = [:]
        for row in try rows("SELECT partition, seq || ' ' || type || ' ' || id FROM ledger ORDER BY partition, seq") {
            let parts = row.split(separator: "|", maxSplits: 1)
            changes[Int(parts[0]) ?? -1, default: []].append(String(parts[1]))
        }
        return changes
    }

    /// How far a group is, over all partitions, as Redis shows it.
    func position(_ group: String) throws -> Int {
        try (0..<Self.partitions).reduce(0) { sum, partition in
            sum + (Int(try redis("HGET", key(partition, "position:\(group)"), "seq").string ?? "0") ?? 0)
        }
    }

    /// The log's length, over all partitions.
    func head() throws -> Int {
        try (0..<Self.partitions).reduce(0) { sum, partition in
            sum + (Int(try redis("HGET", key(partition, "head"), "seq").string ?? "0") ?? 0)
        }
    }

    /// Waits until a group has applied all.
    func settled(_ group: String, within limit: Duration = .seconds(60)) async throws {
        let head = try head()
        try await eventually(within: limit, "\(group) is at \(head): \(log().suffix(2000))") {
            try self.position(group) >= head
        }
    }

    /// What status says of the group's partitions: the errors of its workers.
    func errors(of group: String) async throws -> String {
        try await run("status", "--json").output
    }

    func deadLetters(_ group: String) throws -> [String: String] {
        var letters: [String: String] = [:]
        for partition in 0..<Self.partitions {
            for letter in try redis("XRANGE", key(partition, "dead:\(group)"), "-", "+").elements {
                let fields = letter[1].elements.map { $0.string ?? "" }
                var byName: [String: String] = [:]
                for index in stride(from: 0, to: fields.count - 1, by: 2) { byName[fields[index]] = fields[index + 1] }
                letters[byName["id"] ?? ""] = "\(byName["reason"] ?? "") \(byName["error"] ?? "")"
            }
        }
        return letters
    }
}

/// Two workers of a group, one of which is killed, or stopped past its lease, again and again while changes come in.
struct KindFleet {
    let shop: KindShop
    let group: String
    var workers: [ChildProcess] = []

    init(_ shop: KindShop, _ group: String) async throws {
        self.shop = shop
        self.group = group
        shop.set("ONEWRITE_LEASE", "1s")
        for _ in 0..<2 { workers.append(try await start()) }
    }

    func start(_ more: [String: String] = [:]) async throws -> ChildProcess {
        try await ChildProcess.spawn(
            [BuiltExecutable.path, "worker", "--group", group], environment: shop.environment.merging(more) { $1 },
            in: shop.directory, output: .discarded, errors: .appended(to: shop.path("\(group).log")))
    }

    /// Kills so often, and stops so often, with changes coming in all the time; returns when the group has them all.
    mutating func torment(kills: Int, stops: Int, changes: Int) async throws {
        for step in 0..<kills + stops {
            let before = try shop.position(group)
            async let submitted: Void = shop.submit(changes)
            try await eventually(within: .seconds(30), "\(group) goes on: \(shop.log("\(group).log").suffix(1500))") {
                try shop.position(group) > before
            }
            let victim = workers.removeFirst()
            if step % (kills + stops) < kills {
                await victim.kill()
                workers.append(try await start())
            } else {
                victim.send(SIGSTOP)
                try await Task.sleep(for: .milliseconds(1500))
                victim.send(SIGCONT)
                workers.append(victim)
            }
            try await submitted
        }
        try await shop.settled(group)
        for worker in workers { _ = await worker.stop() }
    }
}

/// How often what is done to a group and its servers: `ONEWRITE_TEST_TORMENT=kills=200,stops=50,redis=10,postgres=10,store=20`.
struct Torment {
    var kills = 2
    var stops = 2
    var redis = 1
    var postgres = 1
    var store = 2

    /// What the environment asks for, or a little of each.
    static let asked: Torment = {
        var torment = Torment()
        for part in (ProcessInfo.processInfo.environment["ONEWRITE_TEST_TORMENT"] ?? "").split(separator: ",") {
            let words = part.split(separator: "=").map(String.init)
            guard words.count == 2, let count = Int(words[1]) else { continue }
            switch words[0] {
            case "kills": torment.kills = count
            case "stops": torment.stops = count
            case "redis": torment.redis = count
            case "postgres": torment.postgres = count
            default: torment.store = count
            }
        }
        return torment
    }()

    enum Step: Hashable { case kill, stop, redis, postgres, store }

    /// All of it, mixed.
    var steps: [Step] {
        let all: [(Step, Int)] = [
            (.kill, kills), (.stop, stops), (.redis, redis), (.postgres, postgres), (.store, store),
        ]
        return all.flatMap { Array(repeating: $0, count: $1) }.shuffled()
    }
}

extension KindFleet {
    /// Does all of it, with changes coming in all the time; returns when the group has them all.
    ///
    /// - Parameters:
    ///   - torment: How often what.
    ///   - point: Where a worker stops itself, with a batch in hand, until others have taken its partitions over.
    ///   - changes: How many come in at each step.
    ///   - outage: Has the store be gone for a moment.
    /// - Throws: What a step throws, or an issue when the group stands still.
    mutating func endure(
        _ torment: Torment, stoppingAt point: String, changes: Int, outage: () async throws -> Void
    ) async throws {
        for step in torment.steps {
            let before = try await position()
            async let submitted: Void = shop.submit(changes)
            try await eventually(within: .seconds(60), "\(group) goes on: \(shop.log("\(group).log").suffix(1500))") {
                try await position() > before
            }
            switch step {
            case .kill: try await replace(workers.removeFirst())
            case .stop: try await stopWithBatch(at: point)
            case .redis:
                await shop.servers.redis.kill()
                try await shop.servers.redis.restart()
            case .postgres: try await shop.servers.postgres.restart(.immediate)
            case .store: try await outage()
            }
            try await submitted
        }
        try await shop.settled(group, within: .seconds(120))
        for worker in workers { _ = await worker.stop() }
    }

    /// The position; a server that is just being started again has none.
    private func position() async throws -> Int {
        for _ in 0..<100 {
            if let position = try? shop.position(group) { return position }
            try await Task.sleep(for: .milliseconds(100))
        }
        return try shop.position(group)
    }

    private mutating func replace(_ worker: ChildProcess) async throws {
        await worker.kill()
        workers.append(try await start())
    }

    /// Has a worker stop itself with a batch in hand, and go on when its lease is long over.
    private mutating func stopWithBatch(at point: String) async throws {
        let zombie = try await start(["ONEWRITE_FAULT": "\(point):stop:1"])
        // It gets partitions when others have fewer.
        try await replace(workers.removeFirst())
        let deadline = ContinuousClock.now + .seconds(8)
        func isStopped() throws -> Bool {
            try String(contentsOfFile: "/proc/\(zombie.pid)/stat", encoding: .utf8).contains(") T ")
        }
        while try !isStopped(), ContinuousClock.now < deadline {
            try await shop.submit(12)
        }
        try await Task.sleep(for: .milliseconds(1300))
        zombie.send(SIGCONT)
        workers.append(zombie)
        await workers.removeFirst().kill()
    }
}

func withKindShop(_ body: (KindShop) async throws -> Void) async throws {
    try await withServers { servers in try await body(try await KindShop(servers)) }
}

/// The same on servers that may be killed.
func withOwnKindShop(_ body: (KindShop) async throws -> Void) async throws {
    try await withOwnServers { servers in try await body(try await KindShop(servers)) }
}

extension Deadline {
    static var soon: Deadline { .after(.seconds(10)) }
}
