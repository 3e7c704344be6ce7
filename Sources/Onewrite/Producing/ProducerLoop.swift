import Connections
import Coordination
import Logging
import OrderLog
import Submission
import ThreadedIO

/// What a producer's thread does: hands changes to a ``Submitter``, and receipts to callers.
///
/// A submitter that gave up has given every change its receipt; another takes its place for what comes later.
struct ProducerLoop: Sendable {
    let servers: Servers
    let durability: Durability
    let inbox: Inbox
    let metrics: ProducerMetrics
    let logger: Logger

    /// Returns once the inbox is closed, and everything has its receipt.
    func run() {
        var backoff = Backoff(most: .seconds(1))
        var trouble: String?
        while waitForWork() {
            do {
                let waiting = Waiting(metrics)
                let submitter = try Submitter(
                    servers, durability: durability, interrupt: inbox.bell, isStopping: { false }, triesAgain: false,
                    inOrder: false, notice: { logger.notice("\($0)") }, take: { waiting.settle($0) })
                backoff.reset()
                if trouble != nil { logger.info("submitting again") }
                trouble = nil
                submit(by: submitter, waiting)
            } catch {
                refuse(after: error, &backoff, &trouble)
            }
        }
    }

    /// Waits for a first change; false when none comes any more.
    private func waitForWork() -> Bool {
        while inbox.isEmpty {
            if inbox.isClosed { return false }
            inbox.bell.wait(until: .after(.seconds(3600)))
            inbox.bell.clear()
        }
        return true
    }

    /// Until the inbox is closed and empty, or the submitter gave up.
    private func submit(by submitter: Submitter, _ waiting: Waiting) {
        while submitter.canGoOn {
            inbox.bell.clear()
            // What waits while there is no connection can still be cancelled.
            if submitter.isConnected || submitter.isEmpty { take(for: submitter, waiting) }
            if !submitter.isEmpty {
                submitter.advance()
                waiting.flush()
            } else if inbox.isEmpty {
                if inbox.isClosed { break }
                inbox.bell.wait(until: .after(.seconds(3600)))
            }
        }
        submitter.finish()
        waiting.flush()
    }

    private func take(for submitter: Submitter, _ waiting: Waiting) {
        while submitter.canGoOn, !submitter.isFull {
            let items = inbox.take(atMost: Limits.appendChangesMax)
            if items.isEmpty { return }
            for item in items {
                waiting.expect(item)
                submitter.add(item.change, bytes: item.bytes)
            }
        }
    }

    /// There is no connection: what has waited too long, or can't be helped by waiting, is not sent.
    private func refuse(after error: any Error, _ backoff: inout Backoff, _ trouble: inout String?) {
        let failure = LogError(anyOf: error) ?? LogError(.bug, "\(error)")
        // Told once, however often it is tried.
        if trouble != failure.message { logger.warning("can't submit", metadata: ["error": "\(failure.message)"]) }
        trouble = failure.message
        let isPassing = [.unreachable, .tryAgain].contains(failure.kind)
        let since = isPassing && !inbox.isClosed ? ContinuousClock.now - servers.configuration.timeout : .now
        let waiting = Waiting(metrics)
        for item in inbox.take(since: since) { waiting.give(item, Receipt(unsent: item.change, failure.message)) }
        waiting.flush()
        var generator = SystemRandomNumberGenerator()
        let next = ContinuousClock.now + backoff.next(using: &generator)
        while ContinuousClock.now < next, !inbox.isClosed {
            inbox.bell.clear()
            if inbox.isClosed { break }
            inbox.bell.wait(until: Deadline(next))
        }
    }
}

/// Who waits for the receipts of one submitter, by the numbers that it gave.
private final class Waiting {
    private let metrics: ProducerMetrics
    /// Items from the number `first` on; nil for those that have their receipt.
    private var items: [Inbox.Item?] = []
    private var first = 0
    /// How many at the front have theirs.
    private var settled = 0
    /// Receipts for sequences, that go together.
    private var windows: [(window: ReceiptWindow, receipts: [(number: Int, receipt: Receipt)])] = []

    init(_ metrics: ProducerMetrics) {
        self.metrics = metrics
    }

    func expect(_ item: Inbox.Item) { items.append(item) }

    func settle(_ row: RowReceipt) {
        guard let item = items[row.number - first] else { return }
        items[row.number - first] = nil
        while settled < items.count, items[settled] == nil { settled += 1 }
        // Now and then, so that each item is moved at most twice.
        if settled == items.count || (settled >= 1024 && settled * 2 >= items.count) {
            items.removeFirst(settled)
            first += settled
            settled = 0
        }
        give(item, Receipt(row, of: item.change))
    }

    func give(_ item: Inbox.Item, _ receipt: Receipt) {
        metrics.note(receipt, since: item.since)
        guard case .window(let window, let number) = item.waiter else { return item.waiter.take(receipt) }
        if let index = windows.firstIndex(where: { $0.window === window }) {
            windows[index].receipts.append((number, receipt))
        } else {
            windows.append((window, [(number, receipt)]))
        }
    }

    /// Hands over what was held back.
    func flush() {
        for (window, receipts) in windows { window.take(receipts) }
        windows = []
    }
}
