import Coordination
import Foundation
import OrderLog
import Synchronization

/// Keeps a worker from asking a receiver again and again that is down, or that wants to be left alone.
///
/// Closed, requests go. After a failure it is open for a while, 500 ms to 1 min, longer each time, or as long as the receiver
/// said; then one request is let through, and decides.
final class WebhookCircuit: Sendable {
    private struct State {
        var failures = 0
        /// Why it is open.
        var reason = ""
        var isHalted = false
        var until: ContinuousClock.Instant?
        var isTrying = false
    }

    private static let least: Duration = .milliseconds(500)
    private static let most: Duration = .seconds(60)
    /// The longest that a receiver is obeyed.
    private static let longestWish: Duration = .seconds(3600)

    private let host: String
    private let state = Mutex(State())

    init(host: String) { self.host = host }

    /// Lets a request go, or not.
    ///
    /// - Throws: ``StoreError`` while it is open; ``SessionStop/halt(_:)`` while a person has to decide.
    func admit() throws {
        try state.withLock { state in
            guard let until = state.until else { return }
            let left = ContinuousClock.now.duration(to: until)
            guard left > .zero || state.isTrying else {
                state.isTrying = true
                return
            }
            if state.isHalted { throw SessionStop.halt(state.reason) }
            let seconds = max(1, Int((left / .seconds(1)).rounded(.up)))
            throw StoreError(
                .own, .refused,
                "\(host): \(state.reason). Circuit open for \(seconds) s, after \(state.failures) "
                    + "failure\(state.failures == 1 ? "" : "s") in a row")
        }
    }

    /// Notes that a request was taken.
    func succeed() { state.withLock { $0 = State() } }

    /// Notes that one was not, and opens.
    ///
    /// - Parameters:
    ///   - reason: What the receiver, or the way to it, said.
    ///   - wish: How long the receiver wants to be left alone.
    /// - Returns: What to throw.
    func fail(_ reason: String, wish: Duration? = nil) -> StoreError {
        state.withLock { state in
            state.failures += 1
            state.reason = reason
            state.isTrying = false
            state.isHalted = false
            let backoff = min(Self.most, Self.least * (1 << min(state.failures - 1, 10)))
            let pause = min(max(backoff * Double.random(in: 0.8...1), wish ?? .zero), Self.longestWish)
            state.until = .now.advanced(by: pause)
        }
        return StoreError(.own, .refused, "\(host): \(reason)", outcomeIsUnknown: true)
    }

    /// Notes that a person has to decide; it is tried again in a minute.
    ///
    /// - Parameter reason: What the receiver said.
    /// - Returns: What to throw.
    func halt(_ reason: String) -> SessionStop {
        let reason = "\(host): \(reason)"
        state.withLock { state in
            state.failures += 1
            state.reason = reason
            state.isTrying = false
            state.isHalted = true
            state.until = .now.advanced(by: Self.most)
        }
        return .halt(reason)
    }
}
