import Foundation
package import PostgresClient
package import PrivateServers
package import RedisClient
import ThreadedIO

/// Where a run happens: two servers that nobody else can reach, and the executable that is run against them.
package struct Shop: Sendable {
    /// What children find Redis and Postgres by; never in their arguments.
    package var redisURL: String
    package var postgresURL: String
    /// What Redis's keys begin with, and the schema's name.
    package var namespace: String
    /// The path of `onewrite`.
    package var executable: String
    /// The children's working directory, and where their logs go.
    package var directory: String
    /// The workers' lease, short so that a stopped worker is soon replaced.
    package var lease = "3s"
    /// What else the children's environment holds.
    package var variables: [String: String] = [:]

    package init(
        redisURL: String, postgresURL: String, namespace: String = "onewrite", executable: String = "",
        directory: String = "/"
    ) {
        self.redisURL = redisURL
        self.postgresURL = postgresURL
        self.namespace = namespace
        self.executable = executable
        self.directory = directory
    }

    /// The path of the file that this process runs; not `/proc/self/exe`, which is the child's own.
    ///
    /// - Throws: Foundation's error, where there is no `/proc`.
    package static func ownExecutable() throws -> String {
        try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    }

    /// What a child's environment differs in: these servers, and nothing that the user has set.
    package var environment: [String: String?] {
        var changes: [String: String?] = [
            "REDIS_URL": redisURL, "DATABASE_URL": postgresURL, "ONEWRITE_NAMESPACE": namespace,
            "ONEWRITE_SCHEMA": namespace, "NO_COLOR": "1",
            // A server that has just started is given a third of this before a silent worker counts as gone.
            "ONEWRITE_LEASE": lease,
        ]
        for (name, value) in variables { changes[name] = value }
        for name in ProcessInfo.processInfo.environment.keys where name.hasPrefix("PG") || name.hasPrefix("ONEWRITE_") {
            if changes[name] == nil { changes.updateValue(nil, forKey: name) }
        }
        return changes
    }

    /// Opens a connection on the lane that will use it.
    package func redis() throws -> RedisConnection {
        var configuration = try RedisConfiguration(url: redisURL)
        configuration.clientName = "onewrite-harness"
        return try RedisConnection(connectingTo: configuration, until: .after(.seconds(5)), interrupt: nil)
    }

    /// Opens a connection on the lane that will use it.
    ///
    /// Unqualified names are looked up in `schema`; nil stands for the log's own.
    package func postgres(schema: String? = nil) throws -> PostgresConnection {
        var configuration = try PostgresConfiguration(url: postgresURL)
        configuration.applicationName = "onewrite-harness"
        configuration.schema = schema ?? namespace
        return try PostgresConnection(connectingTo: configuration, until: .after(.seconds(5)), interrupt: nil)
    }

    /// Starts `onewrite` with these arguments.
    ///
    /// - Parameters:
    ///   - arguments: The command and its arguments.
    ///   - changes: What differs from ``environment``, such as `ONEWRITE_FAULT`.
    ///   - input: Its stdin.
    ///   - output: Its stdout.
    ///   - errors: Its stderr.
    /// - Returns: The running process.
    /// - Throws: `ChildProcessError`.
    package func spawn(
        _ arguments: [String], environment changes: [String: String?] = [:], input: ChildProcess.Input = .empty,
        output: ChildProcess.Output = .discarded, errors: ChildProcess.Output
    ) async throws -> ChildProcess {
        try await ChildProcess.spawn(
            [executable] + arguments, environment: environment.merging(changes) { $1 }, in: directory, input: input,
            output: output, errors: errors)
    }

    /// Starts a worker, which says what it has to say at the end of the file `<name>.log`.
    ///
    /// - Parameters:
    ///   - group: Its group.
    ///   - name: Its name.
    ///   - changes: What differs from ``environment``, such as `ONEWRITE_FAULT`.
    /// - Returns: The running process.
    /// - Throws: `ChildProcessError`.
    package func startWorker(
        group: String, name: String, environment changes: [String: String?] = [:]
    ) async throws -> ChildProcess {
        try await spawn(
            ["worker", "--group", group, "--name", name], environment: changes, errors: .appended(to: logPath(name)))
    }

    /// Where a worker's log is.
    package func logPath(_ worker: String) -> String { "\(directory)/\(worker).log" }

    /// Runs `onewrite` to its end.
    ///
    /// - Parameters:
    ///   - arguments: The command and its arguments.
    ///   - input: Its stdin.
    ///   - codes: The exit codes that are right.
    /// - Returns: Its stdout.
    /// - Throws: ``HarnessError`` with what it said, when it ends with another status.
    @discardableResult
    package func run(
        _ arguments: [String], input: ChildProcess.Input = .empty, endingWith codes: Set<Int32> = [0]
    ) async throws -> String {
        let done = try await ChildProcess.run(
            [executable] + arguments, environment: environment, in: directory, input: input)
        guard codes.contains(where: { done.status == .exited($0) }) else {
            throw HarnessError.ended("onewrite \(arguments.first ?? "")", with: done.status, saying: done.errors)
        }
        return done.output
    }

    /// Reads all that the stores hold; nothing may be written meanwhile.
    package func contents() async throws -> StoreContents {
        try await BlockingLane(name: "read").run {
            try StoreContents(redis: redis(), postgres: postgres(), namespace: namespace)
        }
    }
}
