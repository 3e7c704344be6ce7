import Synchronization
import ThreadedIO

/// A value that is set once, and that many tasks may wait for, each with its own deadline.
final class Promise<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var waiters: [Int: CheckedContinuation<Value?, Never>] = [:]
        var waitersEver = 0
    }

    private let state = Mutex(State())

    /// The value, or nil while there is none.
    var value: Value? { state.withLock { $0.value } }

    /// Sets the value under the lock that ``ifUnset(_:)`` holds; later calls are ignored.
    func set(_ make: () -> Value) {
        let (value, waiters) = state.withLock { state in
            let value = state.value ?? make()
            state.value = value
            defer { state.waiters = [:] }
            return (value, state.waiters)
        }
        waiters.values.forEach { $0.resume(returning: value) }
    }

    /// Runs the body only while there is no value, and keeps it from being set meanwhile.
    func ifUnset<Result>(_ body: () -> Result) -> Result? {
        state.withLock { $0.value == nil ? body() : nil }
    }

    /// Waits for the value.
    ///
    /// - Returns: nil when the deadline passed, or the waiting task was cancelled.
    func value(until deadline: Deadline) async -> Value? {
        let waiter = state.withLock { state in
            state.waitersEver += 1
            return state.waitersEver
        }
        let timer = Task {
            // Cancelled as soon as the wait is over; waking the waiter then does nothing.
            do { try await Task.sleep(until: deadline.instant, clock: .continuous) } catch is CancellationError {}
            wake(waiter)
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.value != nil || Task.isCancelled || deadline.hasPassed { return true }
                    state.waiters[waiter] = continuation
                    return false
                }
                if isOver { continuation.resume(returning: value) }
            }
        } onCancel: {
            wake(waiter)
        }
    }

    private func wake(_ waiter: Int) {
        state.withLock { $0.waiters.removeValue(forKey: waiter) }?.resume(returning: nil)
    }
}
