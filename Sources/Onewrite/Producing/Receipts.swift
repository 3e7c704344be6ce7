public import OrderLog
import Synchronization

/// The receipts of a sequence of changes, in its order.
///
/// ``Producer/submit(_:durability:)->Receipts<Changes>`` returns them.
///
/// The changes are read, and submitted, once somebody iterates over the receipts; each iteration reads them anew. At most
/// some thousands of them are under way: while their receipts aren't taken, no more are read. Ending the iteration early, or
/// cancelling its task, ends the reading; what was handed over by then is in the log or not, as if its receipt had been lost.
public struct Receipts<Changes: AsyncSequence & Sendable>: AsyncSequence, Sendable where Changes.Element == Change {
    /// Receipts of one reading of the changes.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let reading: Reading
        private var receipts: [Receipt] = []
        private var next = 0

        fileprivate init(_ reading: Reading) {
            self.reading = reading
        }

        /// The next receipt; nil behind the last.
        ///
        /// - Throws: What the sequence of changes threw, behind the receipts of those before; `CancellationError`.
        public mutating func next() async throws -> Receipt? {
            if next == receipts.count {
                guard let more = try await reading.next() else { return nil }
                (receipts, next) = (more, 0)
            }
            defer { next += 1 }
            return receipts[next]
        }
    }

    let changes: Changes
    let inbox: Inbox
    let capacity: Int

    /// Begins to read the changes.
    public func makeAsyncIterator() -> AsyncIterator {
        let window = ReceiptWindow(capacity: capacity)
        let task = Task { [changes, inbox] in
            do {
                for try await change in changes {
                    guard await Self.put(change, window, inbox) else { return }
                }
                window.end(nil)
            } catch {
                window.end(error)
            }
        }
        return AsyncIterator(Reading(window, task))
    }

    /// Hands a change over as soon as there is room; false when nobody wants its receipt any more.
    private static func put(_ change: Change, _ window: ReceiptWindow, _ inbox: Inbox) async -> Bool {
        while true {
            switch window.admit() {
            case .number(let number):
                inbox.put(change, window, number)
                return true
            case .full: await window.waitForRoom()
            case .abandoned: return false
            }
        }
    }
}

/// One reading of a sequence of changes; ends with the iterator that holds it.
final class Reading: Sendable {
    private let window: ReceiptWindow
    private let task: Task<Void, Never>

    init(_ window: ReceiptWindow, _ task: Task<Void, Never>) {
        (self.window, self.task) = (window, task)
    }

    deinit { end() }

    func next() async throws -> [Receipt]? {
        let taken = await withTaskCancellationHandler {
            await window.next()
        } onCancel: {
            end()
        }
        switch taken {
        case .receipts(let receipts): return receipts
        case .end(let failure?): throw failure
        case .end(nil):
            try Task.checkCancellation()
            return nil
        }
    }

    private func end() {
        window.abandon()
        task.cancel()
    }
}
