public import Connections
import Coordination
public import Logging
public import OrderLog
public import ServiceLifecycle
import Submission
import ThreadedIO

/// Appends changes to the log from an application's own process, each once, whatever breaks on the way.
///
/// Callers share calls to Redis: a partition has one under way, and what came meanwhile goes with the next. The waiting
/// is done by a thread of the producer's own, which begins with ``run()``; no caller's thread is ever blocked. Beyond a
/// bounded number of changes under way callers wait for their turn.
///
/// Where servers are away for longer than the configuration's `timeout`, what waits gets the outcome `unknown` or
/// `unsent`; the producer goes on with what comes later.
public final class Producer: Service, Sendable {
    private let configuration: LogConfiguration
    private let logger: Logger
    private let inbox = Inbox()

    /// Makes a producer; it connects once it runs and something is submitted.
    ///
    /// - Parameters:
    ///   - configuration: Where the log is, and what makes a change accepted.
    ///   - logger: Takes what it waits for.
    public init(_ configuration: LogConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Submits until graceful shutdown, ``shutDown()`` or cancellation; then settles what was submitted, and returns.
    public func run() async throws {
        let loop = ProducerLoop(Servers(configuration, name: "onewrite-producer"), inbox, logger)
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await CommandLane("producer").runWithoutThrowing(loop)
            } onGracefulShutdown: {
                self.shutDown()
            }
        } onCancel: {
            shutDown()
        }
    }

    /// Takes no more changes, and lets ``run()`` return when all have their receipts.
    public func shutDown() {
        inbox.close()
    }

    /// Submits a change, and waits for what became of it.
    ///
    /// A cancelled caller gets `CancellationError` only if its change was not handed over to be sent; else it gets its outcome.
    ///
    /// - Parameter change: Whose ID makes submitting it again harmless.
    /// - Returns: Its receipt.
    /// - Throws: `CancellationError`.
    public func submit(_ change: Change) async throws(CancellationError) -> Receipt {
        let ticket = inbox.ticket()
        let receipt = await withTaskCancellationHandler {
            await withCheckedContinuation { inbox.put(change, ticket, $0) }
        } onCancel: {
            inbox.withdraw(ticket)
        }
        guard let receipt else { throw CancellationError() }
        return receipt
    }

    /// Submits changes together, and waits for what became of all of them.
    ///
    /// - Parameter changes: In the order that they are to have within a shop.
    /// - Returns: A receipt for each, in order.
    /// - Throws: `CancellationError` when none of them was handed over to be sent.
    public func submit(_ changes: [Change]) async throws(CancellationError) -> [Receipt] {
        guard !changes.isEmpty else { return [] }
        let tickets = changes.map { _ in inbox.ticket() }
        let batch = ReceiptBatch(count: changes.count)
        let receipts = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                batch.wait(continuation)
                inbox.put(changes, tickets, batch)
            }
        } onCancel: {
            for ticket in tickets { inbox.withdraw(ticket) }
        }
        guard receipts.contains(where: { $0 != nil }) else { throw CancellationError() }
        return zip(changes, receipts).map { $1 ?? Receipt(unsent: $0, "cancelled") }
    }
}

extension CommandLane {
    fileprivate func runWithoutThrowing(_ loop: ProducerLoop) { loop.run() }
}
