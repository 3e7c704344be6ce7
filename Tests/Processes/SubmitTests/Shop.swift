import Foundation
import OrderLog
import PostgresClient
import PrivateServers
import RedisClient
import RedisLog
import Testing
import TestSupport
import ThreadedIO

/// A log that was made for one test, a directory for its files, and the commands run on it.
final class Shop: Sendable {
    let servers: TestServers
    let directory: String

    /// Makes the log.
    init(_ servers: TestServers) async throws {
        self.servers = servers
        directory = FileManager.default.temporaryDirectory.appending(path: "ow-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let made = try await BuiltExecutable.run("init", on: servers)
        try #require(made.status == .exited(0), "\(made.errors)")
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory)
    }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    /// Writes a file, and returns its path.
    func file(_ name: String, _ lines: some Sequence<String>) throws -> String {
        let text = lines.joined(separator: "\n") + "\n"
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
        return path(name)
    }

    func lines(_ name: String) throws -> [String] {
        try String(contentsOfFile: path(name), encoding: .utf8).split(separator: "\n").map(String.init)
    }

    /// Runs `onewrite` in this directory.
    func run(_ arguments: String..., input: ChildProcess.Input = .empty) async throws -> ChildProcess.Completed {
        try await ChildProcess.run(
            [BuiltExecutable.path] + arguments, environment: servers.environment, in: directory, input: input)
    }

    /// Runs a shell script in this directory; `$onewrite` is the command.
    func shell(_ script: String, within limit: Duration = .seconds(60)) async throws -> ChildProcess.Completed {
        try await ChildProcess.run(
            ["/bin/sh", "-c", script], environment: shellEnvironment, in: directory, within: limit)
    }

    /// Starts a shell script in this directory.
    func start(_ script: String) async throws -> ChildProcess {
        try await ChildProcess.spawn(
            ["/bin/sh", "-c", script], environment: shellEnvironment, in: directory, output: .discarded,
            errors: .discarded)
    }

    private var shellEnvironment: [String: String?] {
        servers.environment.merging(["onewrite": BuiltExecutable.path]) { $1 }
    }

    func worker(_ group: Group) async throws -> ChildProcess {
        try await BuiltExecutable.spawn(
            "worker", "--group", group.name, on: servers, errors: .appended(to: path("\(group.name).log")))
    }

    // MARK: - What the stores hold

    /// The log's entries, partition after partition, each as its fields.
    func entries() throws -> [[String: String]] {
        let redis = try redis()
        var entries: [[String: String]] = []
        for partition in 0..<8 {
            let log = "{\(servers.namespace):\(partition)}:log"
            for entry in try redis.call(RedisCommand("XRANGE", log, "-", "+"), until: .soon).requireArray() {
                let fields = try entry.requireArray()[1].requireArray().map { $0.string ?? "" }
                entries.append(
                    Dictionary(
                        uniqueKeysWithValues: stride(from: 0, to: fields.count, by: 2).map {
                            (fields[$0], fields[$0 + 1])
                        }
                    ).merging(["partition": "\(partition)"]) { $1 })
            }
        }
        return entries
    }

    func ids() throws -> [String] { try entries().map { $0["id"] ?? "?" } }

    func length() throws -> Int {
        let redis = try redis()
        return try (0..<8).reduce(0) { sum, partition in
            sum
                + Int(
                    try redis.call(
                        RedisCommand("XLEN", "{\(servers.namespace):\(partition)}:log"), until: .soon
                    ).requireInteger())
        }
    }

    func redis() throws -> RedisConnection {
        try RedisConnection(
            connectingTo: try RedisConfiguration(url: servers.redis.url), until: .soon, interrupt: nil)
    }

    @discardableResult
    func redis(_ command: String...) throws -> RedisReply {
        var arguments = RedisArguments()
        arguments.append(contentsOf: command.dropFirst())
        return try redis().call(RedisCommand(command[0], arguments: arguments), until: .soon)
    }

    /// The first column of a query's rows.
    func postgres(_ sql: String) throws -> [String] {
        var configuration = try PostgresConfiguration(url: servers.postgres.url)
        configuration.schema = servers.namespace
        let connection = try PostgresConnection(connectingTo: configuration, until: .soon, interrupt: nil)
        return try connection.query(sql, until: .soon).map { $0.string(0) ?? "" }
    }
}

extension Deadline {
    /// Longer than anything in these tests takes.
    static var soon: Deadline { .after(.seconds(20)) }
}

/// A receipt of `--json`.
struct ReceiptLine: Decodable, Equatable {
    let schema: String
    let id: String?
    let outcome: String
    let partition: Int?
    let seq: Int64?
    let entry: String?
    let line: Int?
    let field: String?
    let error: String?

    static func all(_ text: String) throws -> [ReceiptLine] {
        try text.split(separator: "\n").map { try JSONDecoder().decode(ReceiptLine.self, from: Data($0.utf8)) }
    }
}

/// An order as a line of NDJSON.
func order(_ id: String, shop: String = "main", quantity: Int = 2) -> String {
    #"{"id":"\#(id)","shop":"\#(shop)","customer":"c-17","lines":[{"sku":"TEA-250","quantity":\#(quantity)}]}"#
}

/// Orders `from-0`, `from-1` … of fifty shops.
func orders(_ name: String, _ range: Range<Int>) -> [String] {
    range.map { order("\(name)-\($0)", shop: "shop-\($0 % 50)") }
}

func withShop(_ body: (Shop) async throws -> Void) async throws {
    try await withServers { try await body(try await Shop($0)) }
}
