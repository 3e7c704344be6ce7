import Connections
import Harness
import PostgresClient
import RedisClient
import Testing
import TestSupport
import ThreadedIO

@testable import OnewriteCommand

/// A look at the servers from outside, over a new connection each time: tests kill servers and cut connections.
struct Outside: Sendable {
    let demo: Harness.Shop
    private let lane = CommandLane("outside")

    init(_ demo: Harness.Shop) {
        self.demo = demo
    }

    /// Calls Redis; nil for a reply that is no text.
    @discardableResult
    func redis(_ name: String, _ arguments: String...) async throws -> String? {
        try await lane.run { _ in
            var command = RedisCommand(name)
            command.append(contentsOf: arguments)
            return try demo.redis().call(command, until: .after(.seconds(10))).string
        }
    }

    /// The first column of what Postgres answers.
    @discardableResult
    func sql(_ statement: String) async throws -> [String] {
        try await lane.run { _ in
            try demo.postgres().query(statement, until: .after(.seconds(10))).map { $0.string(0) ?? "" }
        }
    }

    /// Who was given each partition's newest token, in the sink itself.
    func owners(of group: String) async throws -> [String] {
        if group == "postgres" { return try await sql("SELECT owner FROM partitions ORDER BY partition") }
        var owners: [String] = []
        for partition in 0..<Shop.partitions {
            owners.append(try await redis("HGET", "{onewrite:\(partition)}:position:\(group)", "owner") ?? "")
        }
        return owners
    }

    /// Waits until this many submitters are connected, and have appended something; or so much is appended that all have
    /// begun: on a busy machine the first may be done before the last has connected.
    func ordersFlow(from submitters: Int, of orders: Int) async throws {
        try await eventually(within: .seconds(60), "\(submitters) submitters are connected, and orders flow") {
            let clients = try await redis("CLIENT", "LIST") ?? ""
            let appended = try await appended()
            let connected = clients.split(separator: "name=onewrite-submit").count - 1
            return appended >= orders || appended > 0 && connected >= submitters
        }
    }

    /// How many entries the log has.
    func appended() async throws -> Int {
        var sum = 0
        for partition in 0..<Shop.partitions {
            sum += try await redis("HGET", "{onewrite:\(partition)}:head", "seq").flatMap { Int($0) } ?? 0
        }
        return sum
    }

    /// How many partitions' heads are of another history than the server's.
    func closedPartitions() async throws -> Int {
        let info = try await redis("INFO", "replication") ?? ""
        let line = try #require(info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("master_replid:") })
        var closed = 0
        for partition in 0..<Shop.partitions {
            let head = try await redis("HGET", "{onewrite:\(partition)}:head", "replid")
            if head != String(line.dropFirst("master_replid:".count)) { closed += 1 }
        }
        return closed
    }
}
