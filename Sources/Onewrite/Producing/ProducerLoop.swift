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
    private let servers: Servers
    private let inbox: Inbox
    private let logger: Logger

    init(_ servers: Servers, _ inbox: Inbox, _ logger: Logger) {
        self.servers = servers
        self.inbox = inbox
        self.logger = logger
    }

    /// Returns once the inbox is closed, and everything has its receipt.
    func run() {
        var backoff = Backoff(most: .seconds(1))
        while waitForWork() {
            do {
                let waiting = Waiting()
                let submitter = try Submitter(
                    servers, interrupt: inbox.bell, isStopping: { false }, triesAgain: false, inOrder: false,
                    notice: { logger.notice("\($0)") }, take: { waiting.settle($0) })
                backoff.reset()
                submit(by: submitter, waiting)
            } catch {
                refuse(after: error, &backoff)
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
            } else if inbox.isEmpty {
                if inbox.isClosed { break }
                inbox.bell.wait(until: .after(.seconds(3600)))
            }
        }
        submitter.finish()
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
    private func refuse(after error: any Error, _ backoff: inout Backoff) {
        let failure = LogError(anyOf: error) ?? LogError(.bug, "\(error)")
        logger.warning("can't submit", metadata: ["error": "\(failure.message)"])
        let isPassing = [.unreachable, .tryAgain].contains(failure.kind)
        let since = isPassing && !inbox.isClosed ? ContinuousClock.now - servers.configuration.timeout : .now
        for item in inbox.take(since: since) { item.waiter.take(Receipt(unsent: item.change, failure.message)) }
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
    private var next = 0
    private var items: [Int: Inbox.Item] = [:]

    func expect(_ item: Inbox.Item) {
        items[next] = item
        next += 1
    }

    func settle(_ row: RowReceipt) {
        guard let item = items.removeValue(forKey: row.number) else { return }
        item.waiter.take(Receipt(row, of: item.change))
    }
}
