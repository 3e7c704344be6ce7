import OrderLog
import Synchronization
import ThreadedIO

/// Changes on their way from callers to a producer's thread, all for one level of durability.
///
/// Safe from every thread. Each item belongs to a caller that waits, so it holds no more than there are callers; a
/// sequence's items are bounded by its window.
final class Inbox: Sendable {
    /// Takes a receipt; nil when the change was withdrawn before it was sent.
    enum Waiter: Sendable {
        case one(CheckedContinuation<Receipt?, Never>)
        case batch(ReceiptBatch, index: Int)
        case window(ReceiptWindow, number: Int)

        func take(_ receipt: Receipt?) {
            switch self {
            case .one(let continuation): continuation.resume(returning: receipt)
            case .batch(let batch, let index): batch.take(receipt, at: index)
            case .window(let window, let number): window.take(receipt.map { [(number, $0)] } ?? [])
            }
        }
    }

    struct Item: Sendable {
        let change: Change
        let ticket: Int
        let waiter: Waiter
        let since: ContinuousClock.Instant

        var bytes: Int { change.lines.text.utf8.count + (change.attributes?.utf8.count ?? 0) }
    }

    private struct State {
        var items: [Item] = []
        /// How many at the front were taken.
        var taken = 0
        /// Tickets whose caller was cancelled before its change came.
        var withdrawn: Set<Int> = []
        /// Tickets of callers whose changes have not come yet.
        var open: Set<Int> = []
        var next = 0
        var isClosed = false

        mutating func drop(_ count: Int) {
            taken += count
            // Now and then, so that each item is moved at most twice.
            if taken == items.count {
                items.removeAll(keepingCapacity: items.count < 100_000)
                taken = 0
            } else if taken >= 1024, taken * 2 >= items.count {
                items.removeFirst(taken)
                taken = 0
            }
        }
    }

    private let state = Mutex(State())
    /// Wakes the producer's thread.
    let bell = Interrupt()

    /// A name for a change that is about to be put.
    func ticket() -> Int {
        state.withLock { state in
            state.next += 1
            state.open.insert(state.next)
            return state.next
        }
    }

    func put(_ change: Change, _ ticket: Int, _ continuation: CheckedContinuation<Receipt?, Never>) {
        put([Item(change: change, ticket: ticket, waiter: .one(continuation), since: .now)])
    }

    func put(_ changes: [Change], _ tickets: [Int], _ batch: ReceiptBatch) {
        let now = ContinuousClock.now
        put(
            changes.indices.map {
                Item(change: changes[$0], ticket: tickets[$0], waiter: .batch(batch, index: $0), since: now)
            })
    }

    /// Puts a change of a sequence, with its number in the window.
    func put(_ change: Change, _ window: ReceiptWindow, _ number: Int) {
        // Nobody withdraws it.
        let item = Item(change: change, ticket: 0, waiter: .window(window, number: number), since: .now)
        let (isClosed, isFirst) = state.withLock { state in
            if state.isClosed { return (true, false) }
            state.items.append(item)
            return (false, state.items.count - state.taken == 1)
        }
        // Behind others it is taken with them.
        if isFirst { bell.signal() }
        if isClosed { item.waiter.take(Receipt(unsent: change, "shut down")) }
    }

    private func put(_ items: [Item]) {
        let (refused, isClosed, isFirst) = state.withLock { state -> ([Item], Bool, Bool) in
            for item in items { state.open.remove(item.ticket) }
            if state.isClosed { return (items, true, false) }
            let isFirst = state.items.count == state.taken
            guard !state.withdrawn.isEmpty else {
                state.items += items
                return ([], false, isFirst)
            }
            var refused: [Item] = []
            for item in items {
                if state.withdrawn.remove(item.ticket) != nil { refused.append(item) } else { state.items.append(item) }
            }
            return (refused, false, isFirst)
        }
        // Behind others they are taken with them.
        if isFirst { bell.signal() }
        for item in refused { item.waiter.take(isClosed ? Receipt(unsent: item.change, "shut down") : nil) }
    }

    /// A caller was cancelled: what was not taken yet is not sent.
    func withdraw(_ ticket: Int) {
        let item = state.withLock { state -> Item? in
            if let index = state.items[state.taken...].firstIndex(where: { $0.ticket == ticket }) {
                return state.items.remove(at: index)
            }
            if state.open.contains(ticket) { state.withdrawn.insert(ticket) }
            return nil
        }
        item?.waiter.take(nil)
    }

    func close() {
        state.withLock { $0.isClosed = true }
        bell.signal()
    }

    /// Tells everyone who waits that nothing is sent any more; behind ``close()``.
    func refuse() {
        for item in take(since: .now) { item.waiter.take(Receipt(unsent: item.change, "shut down")) }
    }

    // MARK: - The producer's thread

    var isClosed: Bool { state.withLock { $0.isClosed } }
    var isEmpty: Bool { state.withLock { $0.items.count == $0.taken } }

    func take(atMost count: Int) -> [Item] {
        state.withLock { state in
            let items = Array(state.items[state.taken...].prefix(count))
            state.drop(items.count)
            return items
        }
    }

    /// Takes what has waited since then, or longer.
    func take(since moment: ContinuousClock.Instant) -> [Item] {
        state.withLock { state in
            let waiting = state.items[state.taken...]
            let items = waiting.filter { $0.since <= moment }
            (state.items, state.taken) = (waiting.filter { $0.since > moment }, 0)
            return Array(items)
        }
    }
}

/// The receipts of changes that were submitted together.
final class ReceiptBatch: Sendable {
    private struct State {
        var receipts: [Receipt?]
        var missing: Int
        var continuation: CheckedContinuation<[Receipt?], Never>?
    }

    private let state: Mutex<State>

    init(count: Int) {
        state = Mutex(State(receipts: Array(repeating: nil, count: count), missing: count))
    }

    func wait(_ continuation: CheckedContinuation<[Receipt?], Never>) {
        state.withLock { $0.continuation = continuation }
    }

    func take(_ receipt: Receipt?, at index: Int) {
        let done = state.withLock { state -> (CheckedContinuation<[Receipt?], Never>, [Receipt?])? in
            state.receipts[index] = receipt
            state.missing -= 1
            guard state.missing == 0, let continuation = state.continuation else { return nil }
            return (continuation, state.receipts)
        }
        done?.0.resume(returning: done?.1 ?? [])
    }
}
