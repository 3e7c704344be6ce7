import OrderLog
import Synchronization

/// An inbox for each level of durability that somebody has asked for: each has a thread and a connection of its own.
///
/// Safe from every thread.
final class ProducerLevels: Sendable {
    private struct State {
        var inboxes: [Durability: Inbox] = [:]
        /// Those that have no thread yet.
        var unserved: [Durability] = []
        /// Whether somebody opens threads.
        var isServed = false
        var isClosed = false
    }

    private let state = Mutex(State())
    private let opening: AsyncStream<Void>.Continuation
    /// Tells that a level was asked for; ends when they are closed.
    let opened: AsyncStream<Void>

    init() {
        (opened, opening) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// The inbox of a level.
    func inbox(_ durability: Durability) -> Inbox {
        state.withLock { state in
            if let inbox = state.inboxes[durability] { return inbox }
            let inbox = Inbox()
            if state.isClosed { inbox.close() }
            state.inboxes[durability] = inbox
            state.unserved.append(durability)
            opening.yield()
            return inbox
        }
    }

    /// The levels that were asked for since the last time.
    func takeUnserved() -> [(Durability, Inbox)] {
        state.withLock { state in
            defer { state.unserved = [] }
            return state.unserved.compactMap { level in state.inboxes[level].map { (level, $0) } }
        }
    }

    /// From here on somebody opens a thread for each level that is asked for, and settles what is put.
    func begin() { state.withLock { $0.isServed = true } }

    /// Takes no more changes; refuses those that nobody would settle.
    func close() {
        let unserved = state.withLock { state -> [Inbox] in
            state.isClosed = true
            for inbox in state.inboxes.values { inbox.close() }
            return state.isServed ? [] : Array(state.inboxes.values)
        }
        opening.finish()
        for inbox in unserved { inbox.refuse() }
    }
}
