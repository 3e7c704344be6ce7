/// A store that follows the log: it has one consumer group's effects, once each, in log order.
///
/// A worker calls it, for one partition at a time, from one thread of control; several workers, in several processes, may
/// call their own sinks for the same store at the same time. So whatever must hold, the **store** has to hold:
///
/// - For each partition it keeps a ``SinkRecord`` beside its data: epoch, seq and entry of the last change that it has, and
///   the token and owner of the worker that may write. A store that was never asked has ``SinkRecord/none``.
/// - ``fence(_:under:owner:)`` raises the token. From the moment when it has returned, whoever holds an older token, or
///   another owner's, changes nothing any more: a transaction that such a worker has begun must fail or be over.
/// - ``apply(_:)`` checks the record, makes the batch's effects and moves the record **in one atomic step** of the store.
///   Nothing of a batch may be seen without its record, and no record without its batch.
///
/// ``SinkRecord`` makes both decisions; a store has to read and write it in the same transaction as its data:
///
/// ```swift
/// func apply(_ batch: Batch) async throws -> ApplyOutcome {
///     try await database.write { db in
///         var record = try SinkRecord.load(batch.permit.partition, from: db)
///         let outcome = record.advance(over: batch)
///         if outcome == .applied {
///             for entry in batch.applied { try index(entry.change, in: db) }
///             try record.save(batch.permit.partition, to: db)
///         }
///         return outcome
///     }
/// }
/// ```
///
/// What is applied was applied by Postgres before: the ledger is the log's permanent copy, and no other store gets ahead of
/// it. So a log that lost its tail is healed with everything that a sink has, and no sink has what the log lost for good.
///
/// **After a throw** nothing is assumed: it may have been applied or not. The worker pauses (50 ms to 5 s, longer each
/// time), takes the partition over anew, reads the record by fencing, and goes on behind it, for ever; nothing is skipped.
/// Meanwhile the partition shows as *stalled* with the error's description in `onewrite status`. A throw of
/// `CancellationError` counts the same. An entry is never refused because of what it holds: whether it is applied depends
/// on its content alone, by the same rule in every sink.
///
/// A call that doesn't return holds up the partitions that share its lane: give every wait a deadline.
public protocol Sink: AnyObject {
    /// Takes a partition over: raises the token, and tells the position of the same moment.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - history: The log's. A store that was taken over under a later epoch refuses an earlier one.
    ///   - owner: The worker that takes over; a name may come back, so a token is raised for the same owner too.
    /// - Returns: The right to write, and where to go on.
    /// - Throws: Anything: it is tried again.
    func fence(_ partition: Partition, under history: History, owner: WorkerName) async throws -> FenceOutcome

    /// Applies a batch and moves the position, in one atomic step.
    ///
    /// - Parameter batch: What to apply. It may have no effect at all, and still moves the position: over entries that were
    ///   set aside, or over those before the group's beginning.
    /// - Returns: ``ApplyOutcome/applied``, or why nothing was changed.
    /// - Throws: Anything: the partition is taken over anew.
    func apply(_ batch: Batch) async throws -> ApplyOutcome
}

/// What came of taking a partition over.
public enum FenceOutcome: Hashable, Sendable {
    /// The right to write, and how far the store is.
    case fenced(Permit, Position)
    /// The log is no longer in that history.
    case historyChanged
}

/// What came of a batch.
public enum ApplyOutcome: Hashable, Sendable {
    /// The store has it, and the position behind it.
    case applied
    /// The log is no longer in the permit's history.
    case historyChanged
    /// Another worker took over.
    case fenced(by: String)
    /// The sink's position is another than the batch's: it was applied already, or there is a gap.
    case positionMoved(to: Seq)
}

/// A sink in one of the log's own stores.
package protocol BuiltInSink: Sink {
    /// Compares what the store holds with sums that don't share its damage, when that was not done in this epoch.
    ///
    /// - Parameter permit: The right under which the partition was just taken over.
    /// - Returns: Whether they agree; a store that can't be damaged so always does.
    /// - Throws: ``StoreError``.
    func check(_ permit: Permit) async throws -> CheckOutcome

    /// Applies a batch, sets its dead letters aside and moves the position, in one atomic step.
    ///
    /// - Parameters:
    ///   - batch: Not empty.
    ///   - meanwhile: What else there is to do while the store works: called at most once, and never fails.
    /// - Returns: ``ApplyOutcome/applied``, or why nothing was changed.
    /// - Throws: ``StoreError``.
    func apply(_ batch: Batch, meanwhile: () async -> Void) async throws -> ApplyOutcome

    /// Whether ``apply(_:meanwhile:)`` acknowledges too, in its atomic step.
    var acknowledgesOnApply: Bool { get }
}

extension BuiltInSink {
    package func check(_ permit: Permit) async throws -> CheckOutcome { .agrees }

    package func apply(_ batch: Batch) async throws -> ApplyOutcome { try await apply(batch) {} }
}

/// What came of comparing a store with its sums.
package enum CheckOutcome: Hashable, Sendable {
    case agrees
    /// The store isn't what its sum says: a person has to decide.
    case differs(String)
    /// The log is in another history, or another worker took over meanwhile: nothing can be said.
    case moved
}
