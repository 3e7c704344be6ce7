import Foundation
import PrivateServers
import RedisClient
import TestSupport
import Testing

/// A log on a Redis server of its own that has replicas.
struct Replicated {
    let shop: Shop
    let replicas: [PrivateRedis]

    var master: PrivateRedis { shop.servers.redis }

    /// How many replicas the master sends what is written to.
    func onlineReplicas() throws -> Int {
        let state = try shop.redis("INFO", "replication").requireString()
        return state.split(whereSeparator: \.isNewline).count { $0.contains("state=online") }
    }

    /// How often the master carried out a command.
    func calls(of command: String) async throws -> Int {
        let stats = try shop.redis("INFO", "commandstats").requireString()
        let line = stats.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_\(command):calls=") }
        return line?.split { "=,".contains($0) }.dropFirst().first.flatMap { Int($0) } ?? 0
    }

    /// Makes the master a replica of nobody, and a master again: another history, and the connections stay up.
    func swapRoles() async throws {
        try shop.redis("REPLICAOF", "127.0.0.1", "1")
        try shop.redis("REPLICAOF", "NO", "ONE")
    }

    /// Has the master go back to what a replica has, and be a master again: it loses what that one lacks.
    func rollBack(to replica: PrivateRedis) async throws {
        try shop.redis("REPLICAOF", "127.0.0.1", "\(try #require(replica.port))")
        try await eventually("the master has what the replica has") {
            try shop.redis("INFO", "replication").requireString().contains("master_link_status:up")
        }
        try shop.redis("REPLICAOF", "NO", "ONE")
    }

    /// Ends the connections of everybody but the replicas.
    func cutClients() async throws {
        try shop.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    }
}

/// Runs a test with a Redis server, its replicas, and a log.
///
/// - Parameters:
///   - count: How many replicas.
///   - body: The test.
/// - Throws: What the body throws; `ServerError` when a server did not start.
func withReplicas(_ count: Int, _ body: (Replicated) async throws -> Void) async throws {
    let directory = try await PrivateDirectory()
    let master = try await PrivateRedis.start(
        in: directory, name: "master", options: ["repl-diskless-sync-delay 0"], tcp: true)
    var replicas: [PrivateRedis] = []
    for number in 0..<count {
        let replica = try await PrivateRedis.start(
            in: directory, name: "replica-\(number)",
            options: ["replicaof 127.0.0.1 \(try #require(master.port))"], tcp: true)
        replicas.append(replica)
    }
    let servers = TestServers(redis: master, postgres: try await SharedServers.postgres())
    let result: Result<Void, any Error>
    do {
        let world = Replicated(shop: try await Shop(servers), replicas: replicas)
        try await eventually("the replicas follow") { try world.onlineReplicas() == count }
        let connection = try world.shop.redis()
        try connection.call(RedisCommand("SET", "\(servers.namespace):ready", 1), until: .soon)
        let ready = try connection.call(RedisCommand("WAIT", count, 10_000), until: .soon).requireInteger()
        try #require(ready == count, "the replicas have the empty log")
        result = .success(try await body(world))
    } catch {
        result = .failure(error)
    }
    for server in replicas + [master] {
        server.resume()
        await server.kill()
    }
    await directory.remove()
    try result.get()
}

extension Shop {
    /// Runs `onewrite submit` of one order.
    func submit(_ id: String, _ arguments: String...) async throws -> ChildProcess.Completed {
        try await ChildProcess.run(
            [BuiltExecutable.path, "submit", "--id", id, "--shop", "main", "--customer", "c", "--line", "TEA:1"]
                + arguments, environment: servers.environment, in: directory)
    }

    /// Starts `onewrite submit` of one order; its output goes to `out` and `errors`.
    func startSubmit(_ id: String, _ arguments: String, fault: String = "") async throws -> ChildProcess {
        for name in ["out", "errors"] { try? FileManager.default.removeItem(atPath: path(name)) }
        let environment = fault.isEmpty ? "" : "export ONEWRITE_FAULT=\(fault); "
        return try await start(
            "\(environment)exec $onewrite submit --id \(id) --shop main --customer c --line TEA:1 \(arguments) > out 2> errors"
        )
    }

    /// Whether a file has a line with a text.
    func has(_ text: String, in name: String) -> Bool {
        (try? lines(name))?.contains { $0.contains(text) } == true
    }
}
