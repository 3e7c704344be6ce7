extension ChildProcess {
    /// What a program did that ran to its end.
    package struct Completed: Sendable {
        /// How it ended.
        package let status: ExitStatus
        /// What it wrote to stdout.
        package let output: String
        /// What it wrote to stderr.
        package let errors: String
    }

    /// Runs a program to its end and returns what it wrote.
    ///
    /// - Parameters:
    ///   - arguments: The program, found in `PATH` when it has no slash, and its arguments.
    ///   - environment: What differs from our own environment; nil removes a variable.
    ///   - directory: Where it runs; nil for our own working directory.
    ///   - user: Whom it runs as, which only root may choose; nil for ourselves.
    ///   - input: Its stdin.
    ///   - limit: How long it may take.
    /// - Returns: Its exit status and all that it wrote.
    /// - Throws: ``ChildProcessError``, `CancellationError`; the program is killed.
    package static func run(
        _ arguments: [String], environment: [String: String?] = [:], in directory: String? = nil,
        as user: String? = nil,
        input: Input = .empty, within limit: Duration = .seconds(60)
    ) async throws -> Completed {
        let child = try await spawn(
            arguments, environment: environment, in: directory, as: user, input: input, output: .piped, errors: .piped)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    _ = try await child.exit(within: limit)
                } catch {
                    await child.kill()
                    throw error
                }
            }
            async let output = child.output?.rest() ?? ""
            async let errors = child.errors?.rest() ?? ""
            try await group.waitForAll()
            return Completed(
                status: try await child.exit(within: limit), output: try await output, errors: try await errors)
        }
    }
}
