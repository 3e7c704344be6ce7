import ChangeInput
import Connections
import OrderLog
import Submission
import ThreadedIO

/// Looks rows up in Postgres, many at once, before they go on: what was submitted before the idempotency window is known there.
final class LedgerStage {
    private static let rowsMax = 2000

    private var look: LedgerLook
    private let patience: () -> Patience
    private let goesOnUnasked: Bool
    private let take: (InputRow, RowReceipt.Outcome?) -> Void
    private var rows: [InputRow] = []
    private var bytes = 0

    /// Cancellations of orders that are over, which don't go on.
    private(set) var over = 0
    /// Why Postgres couldn't be asked; it isn't asked again.
    private(set) var failure: (any Error)?

    /// - Parameters:
    ///   - servers: Where Postgres is.
    ///   - identity: The log; nil for whichever Postgres's is.
    ///   - patience: How long Postgres is waited for.
    ///   - goesOnUnasked: Whether rows go on when it couldn't be asked.
    ///   - take: Takes the rows, in order, with the outcome of those that are known.
    init(
        _ servers: Servers, of identity: LogIdentity?, patience: @escaping () -> Patience, goesOnUnasked: Bool = false,
        take: @escaping (InputRow, RowReceipt.Outcome?) -> Void
    ) {
        look = LedgerLook(servers, of: identity)
        (self.patience, self.goesOnUnasked, self.take) = (patience, goesOnUnasked, take)
    }

    func add(_ row: InputRow) {
        rows.append(row)
        bytes += row.text.count
        if rows.count >= Self.rowsMax || bytes >= Limits.submitBytesMax { flush() }
    }

    /// Sends on what was held back.
    func flush() {
        let looked = rows
        (rows, bytes) = ([], 0)
        if failure == nil, !looked.isEmpty { look(at: looked) }
        if failure != nil, goesOnUnasked { for row in looked { take(row, nil) } }
    }

    private func look(at looked: [InputRow]) {
        do {
            var patience = patience()
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
            failure = error
        }
    }
}
