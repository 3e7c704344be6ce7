package import Glibc
import ThreadedIO

/// A process that this one started, and that never outlives it.
///
/// The kernel signals the child when this process ends, however it ends (`kill -9` included). Letting go of the last
/// reference has the same effect. The child runs in a process group of its own, so that a Ctrl-C in the terminal
/// reaches it only through us; it starts with default signal handling and with no descriptor but its three.
///
/// prctl(2), `PR_SET_PDEATHSIG`: <https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html>
package final class ChildProcess: Sendable {
    /// How a process ended.
    package enum ExitStatus: Sendable, Equatable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    /// What a child gets from the kernel when its parent ends.
    package enum DeathSignal: String, Sendable {
        case kill = "KILL"
        case quit = "QUIT"
        case terminate = "TERM"

        var number: Int32 {
            switch self {
            case .kill: SIGKILL
            case .quit: SIGQUIT
            case .terminate: SIGTERM
            }
        }
    }

    /// The program's name, for messages.
    package let name: String
    /// The process ID; it belongs to nobody else before ``exitStatus`` is set.
    package let pid: pid_t
    /// What the child writes to stdout, when it was spawned with ``Output/piped``.
    package let output: OutputPipe?
    /// What the child writes to stderr, when it was spawned with ``Output/piped``.
    package let errors: OutputPipe?

    private let end = Promise<ExitStatus>()
    private let parentDeathSignal: DeathSignal?
    private let heldInput: Descriptor?

    /// Starts a program, and returns when the kernel has started it.
    ///
    /// - Parameters:
    ///   - arguments: The program, found in `PATH` when it has no slash, and its arguments.
    ///   - environment: What differs from our own environment; nil removes a variable.
    ///   - directory: Where it runs; nil for our own working directory.
    ///   - user: Whom it runs as, which only root may choose; nil for ourselves.
    ///   - input: Its stdin.
    ///   - output: Its stdout.
    ///   - errors: Its stderr.
    ///   - parentDeathSignal: What it gets when we end; nil lets it live on.
    /// - Returns: The running child.
    /// - Throws: ``ChildProcessError/notFound(_:)`` or ``ChildProcessError/spawn(_:errno:)``.
    package static func spawn(
        _ arguments: [String], environment: [String: String?] = [:], in directory: String? = nil,
        as user: String? = nil,
        input: Input = .empty, output: Output = .inherited, errors: Output = .inherited,
        parentDeathSignal: DeathSignal? = .kill
    ) async throws(ChildProcessError) -> ChildProcess {
        let launch = try Launch(
            arguments, environment: environment, directory: directory, user: user, parentDeathSignal: parentDeathSignal)
        let (input, output, errors) = (try input.open(), try output.open(), try errors.open())
        // PR_SET_PDEATHSIG goes off when the *thread* that forked ends. This one forks and then waits for the child.
        let lane = BlockingLane(name: "child")
        let pid = try await lane.run { () throws(ChildProcessError) in
            try launch.spawn(input: input.child, output: output.child, errors: errors.child)
        }
        let child = ChildProcess(
            name: launch.name, pid: pid, output: output.pipe, errors: errors.pipe,
            parentDeathSignal: parentDeathSignal, heldInput: input.held)
        let end = child.end
        Task { await lane.run { reap(pid, into: end) } }
        return child
    }

    private init(
        name: String, pid: pid_t, output: OutputPipe?, errors: OutputPipe?, parentDeathSignal: DeathSignal?,
        heldInput: Descriptor?
    ) {
        self.name = name
        self.pid = pid
        self.output = output
        self.errors = errors
        self.parentDeathSignal = parentDeathSignal
        self.heldInput = heldInput
    }

    deinit {
        if let parentDeathSignal { send(parentDeathSignal.number) }
    }

    private static func reap(_ pid: pid_t, into end: Promise<ExitStatus>) {
        // First only look, then reap under the lock: a signal sent meanwhile still finds the child's own process ID.
        var info = siginfo_t()
        while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) < 0, errno == EINTR {}
        end.set {
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            let signal = status & 0x7f
            return signal == 0 ? .exited(status >> 8 & 0xff) : .killed(signal: signal)
        }
    }

    // MARK: Its end

    /// How the process ended; nil while it runs.
    package var exitStatus: ExitStatus? { end.value }

    /// Whether the process has not ended yet.
    package var isRunning: Bool { end.value == nil }

    /// Sends a signal; does nothing when the process has ended.
    package func send(_ signal: Int32) {
        _ = end.ifUnset { Glibc.kill(pid, signal) }
    }

    /// Closes the stdin of a child that was spawned with ``Input/held``.
    package func closeInput() {
        heldInput?.close()
    }

    /// Waits until the process has ended.
    ///
    /// - Throws: ``ChildProcessError/stillRunning(_:pid:)`` when the time is up, `CancellationError` when the task is
    ///   cancelled. The process runs on.
    package func exit(within limit: Duration) async throws -> ExitStatus {
        if let status = await end.value(until: .after(limit)) { return status }
        try Task.checkCancellation()
        throw ChildProcessError.stillRunning(name, pid: pid)
    }

    /// Kills the process and returns when it is gone, even in a cancelled task.
    @discardableResult
    package func kill() async -> ExitStatus {
        await stop(with: SIGKILL, within: .zero)
    }

    /// Asks the process to end, and kills it when it has not done so in time.
    ///
    /// Works in a cancelled task.
    ///
    /// - Parameters:
    ///   - signal: How to ask.
    ///   - limit: How long it may take.
    /// - Returns: How it ended.
    @discardableResult
    package func stop(with signal: Int32 = SIGTERM, within limit: Duration = .seconds(10)) async -> ExitStatus {
        // A task of its own isn't cancelled with ours: what is being cleaned up must end all the same.
        await Task { [self] in
            send(signal)
            // A stopped process would never see a signal that it may handle.
            send(SIGCONT)
            if let status = await end.value(until: .after(limit)) { return status }
            send(SIGKILL)
            while true {
                if let status = await end.value(until: .after(.seconds(3600))) { return status }
            }
        }.value
    }
}

/// Why a child process could not be started or waited for.
package enum ChildProcessError: Error, Equatable, CustomStringConvertible {
    /// There is no such program, or it may not be executed.
    case notFound(String)
    /// The kernel refused, with this `errno`.
    case spawn(String, errno: Int32)
    /// It had not ended in time.
    case stillRunning(String, pid: pid_t)

    package var description: String {
        switch self {
        case .notFound(let program): "no program \(program) that may be executed"
        case .spawn(let what, let code): "can't start \(what): \(String(cString: strerror(code)))"
        case .stillRunning(let name, let pid): "\(name) (process \(pid)) had not ended in time"
        }
    }
}
