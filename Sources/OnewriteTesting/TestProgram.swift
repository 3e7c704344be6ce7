import PrivateServers

/// A program that a test has started, and that never outlives it.
///
/// It ends (SIGKILL) with the test's process, however that ends, and when nobody holds this any more.
public final class TestProgram: Sendable {
    private let child: ChildProcess

    init(_ child: ChildProcess) { self.child = child }

    /// Its process ID.
    public var pid: Int32 { child.pid }
    /// Whether it has not ended yet.
    public var isRunning: Bool { child.isRunning }

    /// Sends a signal; does nothing when it has ended.
    public func send(_ signal: Int32) { child.send(signal) }

    /// Kills it (SIGKILL), and returns when it is gone, even in a cancelled task.
    public func kill() async { await child.kill() }

    /// Waits for its end.
    ///
    /// - Parameter limit: How long; it runs on when the time is up.
    /// - Returns: Its exit code; 128 and the signal's number when a signal ended it, as in a shell.
    /// - Throws: An error when the time is up; `CancellationError`.
    public func exit(within limit: Duration = .seconds(60)) async throws -> Int32 {
        switch try await child.exit(within: limit) {
        case .exited(let code): code
        case .killed(let signal): 128 + signal
        }
    }
}

/// A program ended with another exit code than 0.
public struct ProgramFailed: Error, CustomStringConvertible {
    /// The program and its arguments.
    public let arguments: [String]
    /// Its exit code; 128 and the signal's number when a signal ended it.
    public let code: Int32
    /// What it wrote to stdout.
    public let output: String
    /// What it wrote to stderr.
    public let errors: String

    /// The program, its exit code and what it wrote.
    public var description: String { "\(arguments.joined(separator: " ")): exit \(code)\n\(errors)\(output)" }
}

extension PrivateServers {
    /// Runs a program to its end, such as `onewrite init`, with these servers in its ``environment``.
    ///
    /// - Parameters:
    ///   - arguments: The program and its arguments. One that is built beside the tests goes first, then `PATH`; the tests'
    ///     target has to depend on the product to have it built.
    ///   - directory: Where it runs; nil for the test's own directory.
    ///   - limit: How long it may take; it is killed then.
    /// - Returns: What it wrote to stdout.
    /// - Throws: ``ProgramFailed``; an error when it can't be started, or the time is up; `CancellationError`.
    @discardableResult
    public func run(
        _ arguments: [String], in directory: String? = nil, within limit: Duration = .seconds(60)
    ) async throws -> String {
        let done = try await ChildProcess.run(
            Self.resolved(arguments), environment: environment, in: directory, within: limit)
        switch done.status {
        case .exited(0): return done.output
        case .exited(let code), .killed(let code):
            let isSignal = if case .killed = done.status { true } else { false }
            throw ProgramFailed(
                arguments: arguments, code: isSignal ? 128 + code : code, output: done.output, errors: done.errors)
        }
    }

    /// Starts a program, such as `onewrite worker`, with these servers in its ``environment``.
    ///
    /// - Parameters:
    ///   - arguments: As for ``run(_:in:within:)``.
    ///   - directory: Where it runs; nil for the test's own directory.
    ///   - log: The file that what it writes is added to; nil for nowhere.
    /// - Returns: The program, which ends when it is let go of.
    /// - Throws: An error when it can't be started.
    public func start(
        _ arguments: [String], in directory: String? = nil, log: String? = nil
    ) async throws -> TestProgram {
        let output = log.map { ChildProcess.Output.appended(to: $0) } ?? .discarded
        return TestProgram(
            try await ChildProcess.spawn(
                Self.resolved(arguments), environment: environment, in: directory, output: output, errors: output))
    }

    /// The arguments with a path of the program, when it was built beside the tests.
    private static func resolved(_ arguments: [String]) -> [String] {
        guard let name = arguments.first, let path = builtProgram(name) else { return arguments }
        return [path] + arguments.dropFirst()
    }
}
