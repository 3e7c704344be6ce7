import Coordination
package import OrderLog
package import RedisLog

/// A sink of the user's, kept behind the ledger.
///
/// Its store is given nothing that Postgres has not applied: so whatever it has can be put back into a log that lost its
/// tail, and what the log lost for good it never had. Dead letters are recorded in Redis before it passes over them.
package final class LedgerFollower: Sink {
    private let sink: any Sink
    private let group: Group
    private let pace: LedgerPace
    private let scripts: SinkScripts

    /// - Parameters:
    ///   - sink: The user's.
    ///   - group: Its group.
    ///   - ledger: Tells how far Postgres is.
    ///   - scripts: For the group's dead letters.
    package init(_ sink: any Sink, _ group: Group, behind ledger: any LedgerPast, scripts: SinkScripts) {
        self.sink = sink
        self.group = group
        pace = LedgerPace(group, ledger)
        self.scripts = scripts
    }

    package func fence(
        _ partition: Partition, under history: History, owner: WorkerName
    ) async throws -> FenceOutcome {
        try await calling { try await sink.fence(partition, under: history, owner: owner) }
    }

    package func apply(_ batch: Batch) async throws -> ApplyOutcome {
        guard try await pace.reaches(batch) else { return .historyChanged }
        if !batch.deadLetters.isEmpty, try !scripts.setAside(batch) { return .historyChanged }
        // Nothing but entries that were added by hand: the position stays.
        if batch.last < batch.first { return .applied }
        return try await applySettingAside(batch)
    }

    /// Applies a batch; what its store refuses for its content is set aside first.
    private func applySettingAside(_ batch: Batch) async throws -> ApplyOutcome {
        var rest = batch
        while true {
            do {
                return try await calling { try await sink.apply(rest) }
            } catch let refusal as RefusedChange {
                // What comes before it is applied, and the position is there.
                rest = rest.part(from: refusal.seq, through: rest.last)
                guard let smaller = rest.settingAside(refusal.seq, Quarantine(.refused, refusal.reason)) else {
                    throw StoreError(
                        .own, .malformed, "the sink \(group) refused seq \(refusal.seq), which it was not given")
                }
                rest = smaller
                let letter = rest.part(from: refusal.seq, through: refusal.seq)
                if try !scripts.setAside(letter) { return .historyChanged }
            }
        }
    }

    /// What the user's code throws, in the session's terms: nothing is assumed.
    private func calling<Outcome>(_ body: () async throws -> Outcome) async throws -> Outcome {
        do {
            return try await body()
        } catch let error as StoreError {
            throw error
        } catch let error as SessionStop {
            throw error
        } catch let error as RefusedChange {
            throw error
        } catch {
            throw StoreError(.own, .refused, "the sink \(group): \(error)", outcomeIsUnknown: true)
        }
    }
}

/// A change that a store refuses for what it holds, and that its group's settings say to set aside.
package struct RefusedChange: Error {
    package let seq: Seq
    /// What the store said.
    package let reason: String

    /// - Parameters:
    ///   - seq: Its place; all before it in the batch is applied.
    ///   - reason: What the store said.
    package init(seq: Seq, reason: String) {
        self.seq = seq
        self.reason = reason
    }
}
