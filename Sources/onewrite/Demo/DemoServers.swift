import Foundation
import PostgresClient
import PrivateServers
import RedisClient
import ThreadedIO

/// Where the demo happens: two servers that nobody else can reach, and the executable that is run against them.
struct DemoServers: Sendable {
    /// What children find Redis and Postgres by; never in their arguments.
    let redisURL: String
    let postgresURL: String
    var namespace = "onewrite"
    /// The path of `onewrite`.
    var executable = ""
    /// The children's working directory, and where their logs go.
    var directory = "/"

    /// What a child's environment differs in: these servers, and nothing that the user has set.
    var environment: [String: String?] {
        var changes: [String: String?] = [
            "REDIS_URL": redisURL, "DATABASE_URL": postgresURL, "ONEWRITE_NAMESPACE": namespace,
            "ONEWRITE_SCHEMA": namespace, "NO_COLOR": "1",
            // A server that has just started is given a third of this before a silent worker counts as gone.
            "ONEWRITE_LEASE": "3s",
        ]
        for name in ProcessInfo.processInfo.environment.keys where name.hasPrefix("PG") || name.hasPrefix("ONEWRITE_") {
            if changes[name] == nil { changes.updateValue(nil, forKey: name) }
        }
        return changes
    }

    /// Opens a connection on the lane that will use it.
    func redis() throws -> RedisConnection {
        var configuration = try RedisConfiguration(url: redisURL)
        configuration.clientName = "onewrite-demo"
        return try RedisConnection(connectingTo: configuration, until: .after(.seconds(5)), interrupt: nil)
    }

    /// Opens a connection on the lane that will use it.
    ///
    /// Unqualified names are looked up in `schema`; nil stands for the log's own.
    func postgres(schema: String? = nil) throws -> PostgresConnection {
        var configuration = try PostgresConfiguration(url: postgresURL)
        configuration.applicationName = "onewrite-demo"
        configuration.schema = schema ?? namespace
        return try PostgresConnection(connectingTo: configuration, until: .after(.seconds(5)), interrupt: nil)
    }

    /// Starts `onewrite` with these arguments.
    func spawn(
        _ arguments: [String], output: ChildProcess.Output = .discarded, errors: ChildProcess.Output
    ) async throws -> ChildProcess {
        try await ChildProcess.spawn(
            [executable] + arguments, environment: environment, in: directory, output: output, errors: errors)
    }

    /// Runs `onewrite` to its end.
    ///
    /// - Throws: ``Failure`` with what it said, when it ends with another status than 0.
    @discardableResult
    func run(_ arguments: [String], input: ChildProcess.Input = .empty) async throws -> String {
        let done = try await ChildProcess.run(
            [executable] + arguments, environment: environment, in: directory, input: input)
        guard done.status == .exited(0) else {
            throw Failure(.bug, "onewrite \(arguments.first ?? "") ended with \(done.status): \(done.errors)")
        }
        return done.output
    }

    /// Reads all that the stores hold; nothing may be written meanwhile.
    func contents() async throws -> StoreContents {
        try await CommandLane("read").run { _ in
            try StoreContents(redis: redis(), postgres: postgres(), namespace: namespace)
        }
    }
}
