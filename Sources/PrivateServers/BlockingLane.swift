import ThreadedIO

/// Runs blocking calls on a thread of its own, so that Swift's shared pool never waits in one.
///
/// All calls of one lane run on the same thread, one after another.
package actor BlockingLane {
    private let executor: ThreadExecutor

    nonisolated package var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    package init(name: String) {
        executor = ThreadExecutor(name: name)
    }

    /// Runs a body on the thread; connections that it opens stay inside.
    package func run<Result: Sendable, Failure: Error>(
        _ body: @Sendable () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body()
    }
}
