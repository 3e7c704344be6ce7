import Glibc
package import PrivateServers

/// The `onewrite` executable of this build, for tests that run real processes.
package enum BuiltExecutable {
    /// Its path: SwiftPM puts it beside the tests' own executable.
    package static let path = folder + "/onewrite"

    /// Where SwiftPM puts what it builds.
    package static let folder: String = {
        let real = realpath("/proc/self/exe", nil)
        defer { free(real) }
        let tests = real.map { String(cString: $0) } ?? ""
        return tests.split(separator: "/").dropLast().map { "/\($0)" }.joined()
    }()

    /// Runs a command to its end with a test's servers.
    ///
    /// - Parameters:
    ///   - arguments: The command and its arguments.
    ///   - servers: What it works with.
    ///   - limit: How long it may take.
    /// - Returns: Its exit status and all that it wrote.
    /// - Throws: `ChildProcessError`, `CancellationError`; the process is killed.
    package static func run(
        _ arguments: String..., on servers: TestServers, within limit: Duration = .seconds(60)
    ) async throws -> ChildProcess.Completed {
        try await ChildProcess.run([path] + arguments, environment: servers.environment, within: limit)
    }

    package static func run(
        _ arguments: [String], on servers: TestServers, within limit: Duration = .seconds(60)
    ) async throws -> ChildProcess.Completed {
        try await ChildProcess.run([path] + arguments, environment: servers.environment, within: limit)
    }

    /// Starts a command, such as a worker, that runs until it is stopped or let go of.
    ///
    /// - Parameters:
    ///   - arguments: The command and its arguments.
    ///   - servers: What it works with.
    ///   - output: Where its stdout goes.
    ///   - errors: Where its stderr goes.
    /// - Returns: The running process.
    /// - Throws: `ChildProcessError`.
    package static func spawn(
        _ arguments: String..., on servers: TestServers, output: ChildProcess.Output = .discarded,
        errors: ChildProcess.Output = .inherited
    ) async throws -> ChildProcess {
        try await ChildProcess.spawn(
            [path] + arguments, environment: servers.environment, output: output, errors: errors)
    }
}
