import Connections
import Foundation
import OrderLog
import Submission
import Synchronization
import ThreadedIO
import UnixSignals

/// Asks a submission to stop: it reads no more, and waits a moment for the answers in flight.
///
/// Safe from every thread; only the first request counts.
final class StopRequest: Sendable {
    enum Reason: Int {
        case interrupted = 2
        case terminated = 15
        /// Whoever reads the receipts went away, as in `… | head -1`.
        case outputClosed = 13
    }

    private let first = Atomic(0)
    /// Ends the waits of the lane: for input, and between two attempts.
    let interrupt = Interrupt()

    func request(_ reason: Reason) {
        _ = first.compareExchange(expected: 0, desired: reason.rawValue, ordering: .relaxed)
        interrupt.signal()
    }

    var reason: Reason? { Reason(rawValue: first.load(ordering: .relaxed)) }
    var isRequested: Bool { first.load(ordering: .relaxed) != 0 }

    /// The code by which the shell knows an end by this signal.
    var exitStatus: Int32? { reason.map { 128 + Int32($0.rawValue) } }

    /// Runs a body; Ctrl-C and SIGTERM ask it to stop, and a second one ends the process at once.
    static func handlingSignals<Result>(
        saying notice: String, _ body: (StopRequest) async throws -> Result
    ) async throws -> Result {
        let stop = StopRequest()
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                for await signal in signals {
                    if stop.isRequested { Foundation.exit(128 + signal.rawValue) }
                    if Console.errorIsTerminal { Console.write("\n", to: STDERR_FILENO) }
                    Console.error("\(notice) (again stops at once)")
                    stop.request(signal == .sigint ? .interrupted : .terminated)
                }
            }
            defer { tasks.cancelAll() }
            return try await body(stop)
        }
    }
}

extension StopRequest {
    /// Runs what its interrupt ends, on a lane; Ctrl-C and SIGTERM stop it, with the code by which the shell knows that.
    ///
    /// - Parameters:
    ///   - notice: What is said then.
    ///   - body: Takes the interrupt.
    /// - Returns: What the body returns.
    /// - Throws: ``Stopped``; what the body throws.
    static func endingLane<Result: Sendable>(
        saying notice: String, _ body: @Sendable (Interrupt) async throws -> Result
    ) async throws -> Result {
        try await handlingSignals(saying: notice) { stop in
            do {
                return try await CommandLane().run { _ in try await body(stop.interrupt) }
            } catch {
                if let status = stop.exitStatus { throw Stopped(status: status) }
                throw error
            }
        }
    }

    /// A submitter that this can stop.
    ///
    /// - Throws: ``Failure``; ``Stopped`` when it was asked to stop before it was connected.
    func submitter(
        _ servers: Servers, keepsInput: Bool = false, notice: @escaping (String) -> Void,
        take: @escaping (RowReceipt) -> Void
    ) throws -> Submitter {
        do {
            return try Submitter(
                servers, interrupt: interrupt, isStopping: { self.isRequested }, keepsInput: keepsInput,
                notice: notice, take: take)
        } catch let error as CancellationError {
            throw exitStatus.map { Stopped(status: $0) } ?? error
        }
    }

    /// Waits until groups have applied what was submitted.
    ///
    /// - Throws: ``Failure``; ``Stopped`` when it was asked to stop meanwhile.
    func wait(for targets: WaitTargets, in groups: [Group], _ servers: Servers) throws {
        var wait = AppliedWait(
            for: targets, servers, within: servers.configuration.timeout, interrupt: interrupt,
            isStopping: { self.isRequested }, say: { ProgressLine.say($0) })
        defer { ProgressLine.clear() }
        do {
            try wait.run(groups)
        } catch let error as CancellationError {
            guard let exitStatus else { throw error }
            Console.error("stopped waiting; what was submitted is in the log")
            throw Stopped(status: exitStatus)
        }
    }
}
