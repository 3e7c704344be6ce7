import OrderLog
import Synchronization

/// The changes of a sequence that are under way, and their receipts on the way back, in the sequence's order.
///
/// Bounded: who reads the sequence waits while it is full, and it empties as the receipts are taken. Safe from every
/// thread; one task waits for room, another for receipts.
final class ReceiptWindow: Sendable {
    /// What whoever takes receipts gets.
    enum Taken: Sendable {
        case receipts([Receipt])
        /// There are no more; with what the sequence threw.
        case end((any Error)?)
    }

    enum Admission {
        /// The change's number.
        case number(Int)
        case full
        /// Nobody takes receipts any more.
        case abandoned
    }

    private struct State {
        /// Of the changes from the number `first` on; `taken` of them at the front were taken, and those before `ready`
        /// can be.
        var receipts: [Receipt?] = []
        var first = 0
        var taken = 0
        var ready = 0
        var isEnded = false
        var failure: (any Error)?
        var isAbandoned = false
        var room: CheckedContinuation<Void, Never>?
        var taker: CheckedContinuation<Taken, Never>?

        /// What can be taken now; nil while nothing can.
        mutating func take() -> Taken? {
            if isAbandoned { return .end(nil) }
            guard ready > taken else { return isEnded && taken == receipts.count ? .end(failure) : nil }
            let found = receipts[taken..<ready].compactMap { $0 }
            taken = ready
            // Now and then, so that each receipt is moved at most twice.
            if taken == receipts.count || (taken >= 1024 && taken * 2 >= receipts.count) {
                receipts.removeFirst(taken)
                first += taken
                (taken, ready) = (0, 0)
            }
            return .receipts(found)
        }

        /// Who waits for receipts, and what it gets; nil when nobody does, or there is nothing.
        mutating func wake() -> (CheckedContinuation<Taken, Never>, Taken)? {
            guard let taker, let taken = take() else { return nil }
            self.taker = nil
            return (taker, taken)
        }
    }

    private let capacity: Int
    private let state = Mutex(State())

    /// - Parameter capacity: The most changes whose receipts nobody has taken.
    init(capacity: Int) {
        self.capacity = capacity
    }

    // MARK: - Who reads the sequence

    /// Makes room for a change that is put now.
    func admit() -> Admission {
        state.withLock { state in
            if state.isAbandoned { return .abandoned }
            guard state.receipts.count - state.taken < capacity else { return .full }
            state.receipts.append(nil)
            return .number(state.first + state.receipts.count - 1)
        }
    }

    /// Returns when there may be room.
    func waitForRoom() async {
        await withCheckedContinuation { continuation in
            let isRoom = state.withLock { state in
                if state.isAbandoned || state.receipts.count - state.taken < capacity { return true }
                state.room = continuation
                return false
            }
            if isRoom { continuation.resume() }
        }
    }

    /// The sequence has ended.
    func end(_ failure: (any Error)?) {
        wake { state in (state.isEnded, state.failure) = (true, failure) }
    }

    // MARK: - The producer's thread

    /// Takes receipts by their changes' numbers.
    func take(_ receipts: [(number: Int, receipt: Receipt)]) {
        wake { state in
            for (number, receipt) in receipts { state.receipts[number - state.first] = receipt }
            while state.ready < state.receipts.count, state.receipts[state.ready] != nil { state.ready += 1 }
        }
    }

    private func wake(_ change: (inout State) -> Void) {
        let woken = state.withLock { state -> (CheckedContinuation<Taken, Never>, Taken)? in
            guard !state.isAbandoned else { return nil }
            change(&state)
            return state.wake()
        }
        guard let (taker, taken) = woken else { return }
        taker.resume(returning: taken)
        makeRoom()
    }

    // MARK: - Who takes receipts

    /// The receipts that have come by now, at least one; or the end.
    func next() async -> Taken {
        let taken = await withCheckedContinuation { continuation in
            let taken = state.withLock { state -> Taken? in
                if let taken = state.take() { return taken }
                state.taker = continuation
                return nil
            }
            if let taken { continuation.resume(returning: taken) }
        }
        makeRoom()
        return taken
    }

    private func makeRoom() {
        let room = state.withLock { state -> CheckedContinuation<Void, Never>? in
            // Not for one alone: who reads is woken for half the window.
            guard state.receipts.count - state.taken <= capacity / 2 else { return nil }
            defer { state.room = nil }
            return state.room
        }
        room?.resume()
    }

    /// Nobody takes receipts any more: the sequence is read no further.
    func abandon() {
        let (room, taker) = state.withLock { state in
            state.isAbandoned = true
            defer { (state.room, state.taker) = (nil, nil) }
            return (state.room, state.taker)
        }
        room?.resume()
        taker?.resume(returning: .end(nil))
    }
}
