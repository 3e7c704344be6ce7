package import OrderLog
import ThreadedIO

/// Keeps a store behind the ledger: it is given nothing that Postgres has not applied.
package struct LedgerPace {
    /// How long a batch waits for the ledger, before the partition stalls and its lane goes on with others.
    private static let patience: Duration = .seconds(1)
    private static let longestPause: Duration = .milliseconds(20)

    private let group: Group
    private let ledger: any LedgerPast

    /// - Parameters:
    ///   - group: Whose store.
    ///   - ledger: Tells how far Postgres is.
    package init(_ group: Group, _ ledger: any LedgerPast) {
        self.group = group
        self.ledger = ledger
    }

    /// Waits until Postgres has a batch.
    ///
    /// - Parameter batch: The batch.
    /// - Returns: false when the log was opened anew.
    /// - Throws: ``StoreError`` when Postgres is behind for too long, or can't be asked.
    package func reaches(_ batch: Batch) async throws -> Bool {
        let partition = batch.permit.partition
        let deadline = Deadline.after(Self.patience)
        var pause: Duration = .milliseconds(1)
        while true {
            let row = try await ledger.row(of: partition)
            guard row.epoch == batch.permit.history.epoch else { return false }
            if row.position.seq >= batch.last { return true }
            guard !deadline.hasPassed else {
                throw StoreError(
                    .postgres, .refused,
                    "\(group) waits for group postgres, which is at seq \(row.position.seq) of partition \(partition): a sink "
                        + "of one's own is never ahead of the ledger")
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, Self.longestPause)
        }
    }
}
