import Coordination
import OrderLog
package import PostgresClient
import RedisClient
import RedisLog
import Sinks
package import ThreadedIO

/// Tries again what passes by itself, with growing, jittered pauses, for a while.
///
/// For a lane, whose thread it blocks.
package struct Patience {
    /// What is waited for.
    package enum Awaited {
        /// A server that is there and does nothing just now: it loads or starts, runs somebody's script, has no room for
        /// another client. One that can't be reached is an answer too, for whoever looks.
        case busyServers
        /// Any server.
        case allServers
    }

    /// How long a command waits that only looks: somebody waits for it.
    package static let ofLooking: Duration = .seconds(10)

    private let limit: Duration
    private let awaited: Awaited
    private let interrupt: Interrupt
    private let notice: (String) -> Void
    private let deadline: Deadline
    private var backoff = Backoff(most: .seconds(1))
    private var told: String?

    /// Begins to count the time.
    ///
    /// - Parameters:
    ///   - limit: How long in all.
    ///   - awaited: What is waited for.
    ///   - interrupt: Ends the pauses, and with them the trying.
    ///   - notice: Takes a line for people, about what is waited for.
    package init(
        _ limit: Duration = Self.ofLooking, for awaited: Awaited = .busyServers, interrupt: Interrupt? = nil,
        notice: @escaping (String) -> Void
    ) {
        self.limit = limit
        self.awaited = awaited
        self.notice = notice
        self.interrupt = interrupt ?? Interrupt()
        deadline = .after(limit)
    }

    /// Does what is safe to repeat, until it goes well or fails for good.
    package mutating func attempt<Result>(_ body: () throws -> Result) throws -> Result {
        while true {
            do { return try body() } catch { try pause(after: error) }
        }
    }

    /// Does what is safe to repeat, until it goes well or fails for good.
    package mutating func attempt<Result>(_ body: () async throws -> Result) async throws -> Result {
        while true {
            do { return try await body() } catch { try pause(after: error) }
        }
    }

    /// Waits until the next try; throws when there is none, the server's own words first.
    private mutating func pause(after error: any Error) throws {
        guard passes(error), let failure = LogError(anyOf: error) else { throw error }
        guard !deadline.hasPassed else { throw failure.adding(" (tried for \(limit.text))") }
        if told != failure.message { notice("\(failure.message); trying again") }
        told = failure.message
        var generator = SystemRandomNumberGenerator()
        let next = Deadline.after(backoff.next(using: &generator))
        if interrupt.wait(until: min(next, deadline)) == .interrupted { throw error }
    }

    private func passes(_ error: any Error) -> Bool {
        // A script that runs for less than `busy-reply-threshold` is not told of: there is no answer at all.
        if case RedisError.timedOut = error { return true }
        guard let error = StoreError(anyOf: error) else { return false }
        switch awaited {
        // A part that is away is soon another server's.
        case .busyServers: return [.busy, .partUnavailable].contains(error.kind)
        case .allServers: return [.busy, .partUnavailable, .unavailable].contains(error.kind)
        }
    }
}

extension PostgresError {
    /// Whether the server is away, or refuses what is asked of it: not what passes soon, nor what a person has to put right.
    package var isAboutTheServer: Bool {
        switch StoreError(self).kind {
        case .unavailable, .refused: true
        default: false
        }
    }
}

extension Duration {
    /// `300ms`, `30s`: as in settings.
    fileprivate var text: String {
        let milliseconds = Int64(self / .milliseconds(1))
        return milliseconds.isMultiple(of: 1000) ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }
}
