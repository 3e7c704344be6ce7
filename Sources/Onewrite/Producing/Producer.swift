public import Connections
import Coordination
public import Logging
public import OrderLog
public import ServiceLifecycle
import Submission
import ThreadedIO
import Tracing

/// Appends changes to the log from an application's own process, each once, whatever breaks on the way.
///
/// Callers share calls to Redis: a partition has one under way, and what came meanwhile goes with the next. The waiting
/// is done by a thread of the producer's own, which begins with ``run()``; no caller's thread is ever blocked. Beyond a
/// bounded number of changes under way callers wait for their turn.
///
/// Where servers are away for longer than the configuration's `timeout`, what waits gets the outcome `unknown` or
/// `unsent`; the producer goes on with what comes later.
///
/// Each level of durability that is asked for has a thread and a connection of its own. Changes of one shop keep the order
/// in which they are submitted, level by level; across levels, wait for the receipt of one before you submit the next.
///
/// Counts what it does in `onewrite_submitted_total` and `onewrite_submit_seconds` of swift-metrics, and makes spans of
/// swift-distributed-tracing, with whatever backend the process has chosen.
public final class Producer: Service, ChangeSubmitting {
    let configuration: LogConfiguration
    private let logger: Logger
    let levels = ProducerLevels()
    private let waits = WaitBook()

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
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await serve()
            } onGracefulShutdown: {
                self.shutDown()
            }
        } onCancel: {
            shutDown()
        }
    }

    private func serve() async {
        levels.begin()
        let servers = Servers(configuration, name: "onewrite-producer")
        await withTaskGroup { threads in
            threads.addTask { [waits] in
                await CommandLane("wait").runWithoutThrowing {
                    var loop = WaitLoop(servers, waits)
                    loop.run()
                }
            }
            for await _ in levels.opened { serve(servers, in: &threads) }
            // Asked for while they were being closed.
            serve(servers, in: &threads)
        }
    }

    private func serve(_ servers: Servers, in threads: inout TaskGroup<Void>) {
        for (durability, inbox) in levels.takeUnserved() {
            let loop = ProducerLoop(
                servers: servers, durability: durability, inbox: inbox, metrics: ProducerMetrics(durability),
                logger: logger)
            threads.addTask { await CommandLane("producer").runWithoutThrowing { loop.run() } }
        }
    }

    /// Takes no more changes, and lets ``run()`` return when all have their receipts.
    public func shutDown() {
        levels.close()
        waits.close()
    }

    // MARK: - Submitting

    /// Submits a change, and waits for what became of it.
    ///
    /// A cancelled caller gets `CancellationError` only if its change was not handed over to be sent; else it gets its outcome.
    ///
    /// - Parameters:
    ///   - change: Whose ID makes submitting it again harmless.
    ///   - durability: What makes it accepted; nil for what the configuration says.
    /// - Returns: Its receipt.
    /// - Throws: `CancellationError`.
    public func submit(_ change: Change, durability: Durability? = nil) async throws(CancellationError) -> Receipt {
        let span = startSpan("onewrite submit", ofKind: .producer)
        defer { span.end() }
        if span.isRecording {
            span.attributes["onewrite.shop"] = change.shop
            span.attributes["onewrite.id"] = change.id
        }
        let inbox = inbox(durability)
        let ticket = inbox.ticket()
        let receipt = await withTaskCancellationHandler {
            await withCheckedContinuation { inbox.put(change, ticket, $0) }
        } onCancel: {
            inbox.withdraw(ticket)
        }
        guard let receipt else { throw CancellationError() }
        if span.isRecording { span.attributes["onewrite.outcome"] = receipt.outcome.name }
        return receipt
    }

    /// Submits changes together, and waits for what became of all of them.
    ///
    /// - Parameters:
    ///   - changes: In the order that they are to have within a shop.
    ///   - durability: What makes them accepted; nil for what the configuration says.
    /// - Returns: A receipt for each, in order.
    /// - Throws: `CancellationError` when none of them was handed over to be sent.
    public func submit(
        _ changes: [Change], durability: Durability? = nil
    ) async throws(CancellationError) -> [Receipt] {
        guard !changes.isEmpty else { return [] }
        let span = startSpan("onewrite submit", ofKind: .producer)
        defer { span.end() }
        span.attributes["onewrite.changes"] = changes.count
        let inbox = inbox(durability)
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

    /// Submits a sequence of changes, as fast as the log and whoever takes the receipts go along.
    ///
    /// - Parameters:
    ///   - changes: In the order that they are to have within a shop.
    ///   - durability: What makes them accepted; nil for what the configuration says.
    /// - Returns: The receipts, in the sequence's order; nothing is submitted before somebody iterates over them.
    public func submit<Changes: AsyncSequence & Sendable>(
        _ changes: Changes, durability: Durability? = nil
    ) -> Receipts<Changes> where Changes.Element == Change {
        Receipts(changes: changes, inbox: inbox(durability), capacity: Limits.submitChangesMax)
    }

    func inbox(_ durability: Durability?) -> Inbox {
        levels.inbox(durability ?? configuration.durability)
    }

    // MARK: - Waiting

    /// Waits until groups have applied what was submitted: for reading one's own writes.
    ///
    /// - Parameters:
    ///   - receipts: Of changes that are accepted, or duplicates; others have nothing to wait for, and are passed over.
    ///   - groups: Whose stores are to have them.
    ///   - limit: How long to wait; nil for the configuration's `timeout`.
    /// - Throws: ``LogError``: of the kind `tryAgain` when the time is over, with what lags, or when the log has lost a change; `no`
    ///   when a sink has set one aside. `CancellationError`.
    public func wait(
        for receipts: [Receipt], in groups: [Group] = Group.builtIn, within limit: Duration? = nil
    ) async throws {
        var targets = WaitTargets()
        for receipt in receipts where receipt.outcome == .accepted || receipt.outcome == .duplicate {
            guard let partition = receipt.partition, let epoch = receipt.epoch, let seq = receipt.seq else { continue }
            targets.add(seq, of: receipt.id, shop: receipt.shop, in: partition, epoch: epoch)
        }
        guard !targets.all.isEmpty, !groups.isEmpty else { return }
        if groups.contains(.postgres), configuration.postgres == nil {
            throw LogError(.badConfiguration, "no Postgres is configured to ask. Set DATABASE_URL, or wait for others")
        }
        try await waits.wait(for: targets.all, in: groups, within: limit ?? configuration.timeout)
    }

    /// Waits until groups have applied a change.
    ///
    /// - Parameters:
    ///   - receipt: The change's.
    ///   - groups: Whose stores are to have it.
    ///   - limit: How long to wait; nil for the configuration's `timeout`.
    /// - Throws: As for several.
    public func wait(
        for receipt: Receipt, in groups: [Group] = Group.builtIn, within limit: Duration? = nil
    ) async throws {
        try await wait(for: [receipt], in: groups, within: limit)
    }
}

extension CommandLane {
    fileprivate func runWithoutThrowing(_ body: @Sendable () -> Void) { body() }
}
