package import OrderLog
package import RedisLog
import ThreadedIO

/// A sink of the user's, kept behind the ledger.
///
/// Its store is given nothing that Postgres has not applied: so whatever it has can be put back into a log that lost its
/// tail, and what the log lost for good it never had. Dead letters are recorded in Redis before it passes over them.
package final class LedgerFollower: Sink {
    /// How long a batch waits for the ledger, before the partition stalls and its lane goes on with others.
    private static let patience: Duration = .seconds(1)
    private static let longestPause: Duration = .milliseconds(20)

    private let sink: any Sink
    private let group: Group
    private let ledger: any LedgerPast
    private let scripts: SinkScripts

    /// - Parameters:
    ///   - sink: The user's.
    ///   - group: Its group.
    ///   - ledger: Tells how far Postgres is.
    ///   - scripts: For the group's dead letters.
    package init(_ sink: any Sink, _ group: Group, behind ledger: any LedgerPast, scripts: SinkScripts) {
        self.sink = sink
        self.group = group
        self.ledger = ledger
        self.scripts = scripts
    }

    package func fence(
        _ partition: Partition, under history: History, owner: WorkerName
    ) async throws -> FenceOutcome {
        try await calling { try await sink.fence(partition, under: history, owner: owner) }
    }

    package func apply(_ batch: Batch) async throws -> ApplyOutcome {
        guard try await ledgerReaches(batch) else { return .historyChanged }
        if !batch.deadLetters.isEmpty, try !scripts.setAside(batch) { return .historyChanged }
        // Nothing but entries that were added by hand: the position stays.
        if batch.last < batch.first { return .applied }
        return try await calling { try await sink.apply(batch) }
    }

    /// Waits until Postgres has the batch; false when the log was opened anew.
    private func ledgerReaches(_ batch: Batch) async throws -> Bool {
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

    /// What the user's code throws, in the session's terms: nothing is assumed.
    private func calling<Outcome>(_ body: () async throws -> Outcome) async throws -> Outcome {
        do {
            return try await body()
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError(.own, .refused, "the sink \(group): \(error)", outcomeIsUnknown: true)
        }
    }
}
