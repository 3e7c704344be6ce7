import Foundation
import PrivateServers
import Synchronization
import UnixSignals

/// Runs a command that works on private servers of its own.
///
/// Ctrl-C and SIGTERM cancel it, so that it removes everything; a second one ends the process at once, and what is left
/// is removed behind it.
enum PrivateRun {
    /// Runs the body.
    ///
    /// - Parameters:
    ///   - what: What is run, for messages: `the demo`.
    ///   - body: The command's work.
    /// - Returns: What the body returns.
    /// - Throws: ``Failure`` for servers that are missing or didn't start; ``Stopped`` after a signal; what the body throws.
    static func run<Result: Sendable>(
        _ what: String, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let first = FirstSignal()
        // Before the work begins: until then a signal ends the process without a word.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let work = Task { try await body() }
        let result = await withTaskGroup { tasks in
            tasks.addTask {
                for await signal in signals {
                    // The children die with this process, and the directory's sweeper removes the rest.
                    if first.number.exchange(signal.rawValue, ordering: .relaxed) != 0 {
                        Foundation.exit(128 + signal.rawValue)
                    }
                    Console.error("stopping, and removing everything (again: at once)")
                    work.cancel()
                }
            }
            defer { tasks.cancelAll() }
            return await work.result
        }
        do {
            return try result.get()
        } catch  where first.number.load(ordering: .relaxed) != 0 {
            // Whatever it was in the middle of. The shell's own code for an end by this signal.
            throw Stopped(status: 128 + first.number.load(ordering: .relaxed))
        } catch let error as ServerError {
            switch error {
            case .notInstalled, .notAt: throw Failure(.badConfiguration, "\(what) needs it: \(error)")
            case .didNotStart, .refused: throw Failure(.unreachable, "\(error)")
            }
        }
    }

    /// The signal that came, 0 for none.
    private final class FirstSignal: Sendable {
        let number = Atomic<Int32>(0)
    }
}
