import Coordination
import ThreadedIO

/// The thread on which a command uses its connections, which may block it.
actor CommandLane {
    private let executor: ThreadExecutor
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ name: String = "command") {
        executor = ThreadExecutor(name: name)
    }

    /// Runs a body on the lane; connections that it opens stay inside.
    func run<Result: Sendable>(
        _ body: @Sendable (isolated CommandLane) async throws -> Result
    ) async throws -> Result {
        try await body(self)
    }
}

/// A lane's clock: the machine's, with sleeps that the bell ends.
final class ThreadPacing: Pacing, LaneBell, Sendable {
    private let interrupt = Interrupt()

    var now: ContinuousClock.Instant { .now }

    func pause(until moment: ContinuousClock.Instant) async {
        interrupt.wait(until: Deadline(moment))
        interrupt.clear()
    }

    func ring() { interrupt.signal() }
}
