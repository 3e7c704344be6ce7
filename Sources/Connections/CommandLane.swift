import Coordination
package import ThreadedIO

/// The thread on which a command uses its connections, which may block it.
package actor CommandLane {
    private let executor: ThreadExecutor
    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    package init(_ name: String = "command") {
        executor = ThreadExecutor(name: name)
    }

    /// Runs a body on the lane; connections that it opens stay inside.
    package func run<Result: Sendable>(
        _ body: @Sendable (isolated CommandLane) async throws -> Result
    ) async throws -> Result {
        try await body(self)
    }
}

/// A lane's clock: the machine's, with sleeps that the bell ends.
package final class ThreadPacing: Pacing, LaneBell, Sendable {
    /// Ends the sleep, and whatever else waits with it.
    package let interrupt = Interrupt()

    package init() {}

    package var now: ContinuousClock.Instant { .now }

    package func pause(until moment: ContinuousClock.Instant) async {
        interrupt.wait(until: Deadline(moment))
        interrupt.clear()
    }

    package func ring() { interrupt.signal() }
}
