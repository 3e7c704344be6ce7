import Connections
import OrderLog
import Submission
import Synchronization
import ThreadedIO

/// Callers that wait until groups have applied what they submitted.
///
/// Safe from every thread.
final class WaitBook: Sendable {
    /// One caller's.
    struct Wait: Sendable {
        let number: Int
        let targets: [WaitTargets.Target]
        /// Those that have not applied everything, as far as is known.
        var missing: [Group]
        let deadline: Deadline
        let continuation: CheckedContinuation<Void, any Error>
        /// What a sink has set aside instead of applying it.
        var setAside: String?
    }

    private struct State {
        var waits: [Int: Wait] = [:]
        var next = 0
        /// Callers that were cancelled before their wait was written down.
        var withdrawn: Set<Int> = []
        var isClosed = false
    }

    private let state = Mutex(State())
    /// Wakes whoever looks at the stores.
    let bell = Interrupt()

    /// Returns when the groups have applied the targets.
    func wait(for targets: [WaitTargets.Target], in groups: [Group], within limit: Duration) async throws {
        let number = state.withLock { state in
            state.next += 1
            return state.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                put(
                    Wait(
                        number: number, targets: targets, missing: groups, deadline: .after(limit),
                        continuation: continuation))
            }
        } onCancel: {
            withdraw(number)
        }
    }

    private func put(_ wait: Wait) {
        let refusal = state.withLock { state -> (any Error)? in
            if state.withdrawn.remove(wait.number) != nil { return CancellationError() }
            if state.isClosed { return LogError(.tryAgain, "shut down") }
            state.waits[wait.number] = wait
            return nil
        }
        bell.signal()
        if let refusal { wait.continuation.resume(throwing: refusal) }
    }

    private func withdraw(_ number: Int) {
        let wait = state.withLock { state -> Wait? in
            guard let wait = state.waits.removeValue(forKey: number) else {
                state.withdrawn.insert(number)
                return nil
            }
            return wait
        }
        wait?.continuation.resume(throwing: CancellationError())
    }

    /// Nobody is waited for any more.
    func close() {
        let waits = state.withLock { state in
            state.isClosed = true
            defer { state.waits = [:] }
            return state.waits
        }
        bell.signal()
        for wait in waits.values { wait.continuation.resume(throwing: LogError(.tryAgain, "shut down")) }
    }

    // MARK: - Whoever looks at the stores

    var isClosed: Bool { state.withLock { $0.isClosed } }
    var all: [Wait] { state.withLock { Array($0.waits.values) } }

    /// A group has applied everything that a caller waits for, with what it has set aside.
    func applied(_ number: Int, by group: Group, setAside: String?) {
        let done = state.withLock { state -> Wait? in
            guard var wait = state.waits[number] else { return nil }
            wait.missing.removeAll { $0 == group }
            wait.setAside = wait.setAside ?? setAside
            state.waits[number] = wait.missing.isEmpty ? nil : wait
            return wait.missing.isEmpty ? wait : nil
        }
        guard let done else { return }
        guard let text = done.setAside else { return done.continuation.resume() }
        done.continuation.resume(throwing: LogError(.no, "\(text). See: onewrite dead list"))
    }

    func fail(_ number: Int, _ error: any Error) {
        let wait = state.withLock { $0.waits.removeValue(forKey: number) }
        wait?.continuation.resume(throwing: error)
    }
}
