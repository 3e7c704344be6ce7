public import Audit
public import Connections
public import Inspection
public import OrderLog
import PostgresClient
import RedisClient
import RedisLog
public import Reports
package import ThreadedIO

/// Asks the stores what the commands ask, and answers with the values that their `--json` prints.
///
/// Every question opens connections of its own, on a thread of its own, and never blocks the caller's. Cancelling the task
/// ends its waits. A server that does nothing just now is asked again, for ten seconds.
///
/// All methods throw ``LogError``, or `CancellationError` when the task was cancelled.
public final class Inspector: Sendable {
    private let servers: Servers

    /// Takes where the log is; connects when it is asked.
    ///
    /// - Parameters:
    ///   - configuration: Where.
    ///   - name: What the servers show of its connections.
    public init(_ configuration: LogConfiguration, name: String = "onewrite-inspector") {
        servers = Servers(configuration, name: name)
    }

    /// One look at groups, workers and warnings: `onewrite status`.
    ///
    /// - Returns: The snapshot; what can't be told, since Postgres is away say, is nil in it.
    /// - Throws: ``LogError``.
    public func status() async throws -> Snapshot {
        let configuration = servers.configuration
        let environment = Snapshot.Environment(
            label: nil, color: nil, redis: configuration.redis.address, postgres: configuration.postgres?.address,
            namespace: configuration.keys.namespace, schema: configuration.postgres?.schema ?? "onewrite")
        do {
            return try await StatusWatch(servers, environment: environment).snapshot(patiently: true)
        } catch {
            throw Self.told(error)
        }
    }

    /// One order's way through the log and every sink: `onewrite order`.
    ///
    /// - Parameters:
    ///   - id: The order's.
    ///   - shop: Whose it is.
    /// - Returns: Its way.
    /// - Throws: ``LogError``, of the kind `no` when there is no such order.
    public func order(_ id: String, shop: String) async throws -> OrderTrail {
        try await ask { servers, _ in try OrderReader(servers).trail(of: id, inShop: shop) }
    }

    /// A shop's stock in Redis and in Postgres: `onewrite stock show`.
    ///
    /// - Parameters:
    ///   - shop: Whose.
    ///   - skus: Which; all when there are none.
    /// - Returns: The stock of both.
    /// - Throws: ``LogError``.
    public func stock(shop: String, skus: [String] = []) async throws -> StockReport {
        try await ask { servers, _ in try StockReport(shop: shop, skus: skus, servers) }
    }

    /// Entries that were delivered and not acknowledged, the oldest first: `onewrite pending`.
    ///
    /// - Parameters:
    ///   - group: Whose; nil for every group's.
    ///   - limit: The most entries to return, 1 to 100 000.
    /// - Returns: The entries.
    /// - Throws: ``LogError``.
    public func pending(group: Group? = nil, limit: Int = 100) async throws -> PendingList {
        let limit = min(max(1, limit), 100_000)
        return try await ask { servers, _ in try PendingReader.answer(servers, group: group, limit: limit) }
    }

    /// Entries that were set aside instead of applied: `onewrite dead list`.
    ///
    /// - Parameters:
    ///   - group: Only what this group set aside.
    ///   - withResolved: Whether those that were retried or dropped are among them.
    ///   - limit: The most letters to return.
    /// - Returns: The letters, in the log's order.
    /// - Throws: ``LogError``.
    public func deadLetters(
        group: Group? = nil, withResolved: Bool = false, limit: Int = 1000
    ) async throws -> [DeadLetterRow] {
        try await ask { servers, _ in
            Array(
                try DeadLetterLook(servers).chosen(group: group, withResolved: withResolved).prefix(max(0, limit)))
        }
    }

    /// Compares every sink with the log, while everything goes on: `onewrite audit`.
    ///
    /// - Parameter limit: How many differences of each subject are told.
    /// - Returns: The verdict, and what differs.
    /// - Throws: ``LogError`` when it can't begin.
    public func audit(limit: Int = 10) async throws -> AuditReport {
        let limit = max(1, limit)
        return try await ask { servers, interrupt in
            try await Audit(servers: servers, limit: limit, interrupt: interrupt).run()
        }
    }

    /// Asks on a thread of its own, and again while a server is busy.
    ///
    /// - Parameter body: The question.
    /// - Returns: What it returns.
    /// - Throws: ``LogError``, `CancellationError`.
    package func ask<Answer: Sendable>(
        _ body: @escaping @Sendable (Servers, Interrupt) async throws -> Answer
    ) async throws -> Answer {
        let interrupt = Interrupt()
        do {
            return try await withTaskCancellationHandler {
                try await CommandLane("ask").run { [servers] _ in
                    var patience = Patience(interrupt: interrupt, notice: { _ in })
                    return try await patience.attempt { try await body(servers, interrupt) }
                }
            } onCancel: {
                interrupt.signal()
            }
        } catch {
            throw Self.told(error)
        }
    }

    /// The error in the words of this library.
    private static func told(_ error: any Error) -> any Error {
        if Task.isCancelled { return CancellationError() }
        if let error = error as? WrongQuestion { return LogError(.badConfiguration, error.message) }
        return LogError(anyOf: error) ?? LogError(.bug, "\(error)")
    }
}
