import ChangeInput
import Connections
import OrderLog
import Submission
import ThreadedIO

/// Looks rows up in Postgres, many at once, before they go on: what was submitted before the idempotency window is known there.
final class LedgerStage {
    private static let rowsMax = 2000

    private var look: LedgerLook
    private let timeout: Duration
    private let stop: StopRequest
    private let notice: (String) -> Void
    private let take: (InputRow, RowReceipt.Outcome?) -> Void
    private var rows: [InputRow] = []
    private var bytes = 0

    /// Cancellations of orders that are over, which don't go on.
    private(set) var over = 0
    /// Why Postgres couldn't be asked; nothing goes on behind it.
    private(set) var failure: (any Error)?

    /// - Parameters:
    ///   - servers: Where Postgres is.
    ///   - identity: The log.
    ///   - stop: Ends its waiting.
    ///   - notice: Takes a line for people, about what is waited for.
    ///   - take: Takes the rows, in order, with the outcome of those that are known.
    init(
        _ servers: Servers, of identity: LogIdentity, _ stop: StopRequest, notice: @escaping (String) -> Void,
        take: @escaping (InputRow, RowReceipt.Outcome?) -> Void
    ) {
        look = LedgerLook(servers, of: identity)
        timeout = servers.configuration.timeout
        (self.stop, self.notice, self.take) = (stop, notice, take)
    }

    func add(_ row: InputRow) {
        rows.append(row)
        bytes += row.text.count
        if rows.count >= Self.rowsMax || bytes >= Limits.submitBytesMax { flush() }
    }

    /// Sends on what was held back.
    func flush() {
        guard failure == nil, !rows.isEmpty else { return }
        let looked = rows
        (rows, bytes) = ([], 0)
        do {
            var patience = Patience(timeout, for: .allServers, interrupt: stop.interrupt, notice: notice)
            let findings = try patience.attempt { try look.look(at: looked, until: .after(.seconds(30))) }
            for (row, finding) in zip(looked, findings) {
                switch finding {
                case .unknown: take(row, nil)
                case .known(let outcome): take(row, outcome)
                case .isOver: over += 1
                case .refused(let error): take(row.rejected(error), nil)
                }
            }
        } catch {
            failure =
                LogError(anyOf: error)?.adding(". Submit the same again; --no-ledger-check goes without Postgres")
                ?? error
        }
    }
}
