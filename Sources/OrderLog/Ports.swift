// What a worker needs of the servers. Used from one lane only, so none of it is Sendable; the methods run on their
// caller's actor and may block its thread. Each throws a StoreError; what was delivered and not acknowledged stays pending.

/// The log's streams, as one worker of one consumer group uses them.
package protocol LogPort: AnyObject {
    /// One atomic look at a partition's head and the server.
    func look(at partition: Partition) async throws -> LogLook

    /// Takes over what other consumers have pending, in log order.
    ///
    /// - Parameters:
    ///   - partition: Where.
    ///   - cursor: Where to go on: ``EntryID/zero``, then the last answer's.
    ///   - limit: The most entries to return.
    /// - Returns: Entries in ID order.
    /// - Throws: ``StoreError``.
    func reclaim(from partition: Partition, cursor: EntryID, limit: Int) async throws -> Reclaimed

    /// Reads new entries of several partitions, in log order each.
    ///
    /// - Parameters:
    ///   - partitions: Where.
    ///   - limit: The most entries of each partition.
    ///   - wait: How long the server waits for a first one; `.zero` does not wait.
    /// - Returns: The partitions that have any; none when the wait passed, or somebody woke the reader.
    /// - Throws: ``StoreError``.
    func read(from partitions: [Partition], limit: Int, wait: Duration) async throws -> [Delivered]

    /// Begins a read that doesn't wait, to be received by ``receiveRead()``; other calls may be made in between.
    ///
    /// One at a time. Its entries are delivered to this worker whether they are received or not.
    ///
    /// - Parameters:
    ///   - partitions: Where.
    ///   - limit: The most entries of each partition.
    /// - Throws: ``StoreError``.
    func sendRead(from partitions: [Partition], limit: Int) async throws

    /// Ends the read that was begun.
    ///
    /// - Returns: As ``read(from:limit:wait:)``.
    /// - Throws: ``StoreError``.
    func receiveRead() async throws -> [Delivered]

    /// Reads entries, whoever they were delivered to, and without delivering them.
    ///
    /// - Parameters:
    ///   - partition: Where.
    ///   - start: The lowest ID.
    ///   - limit: The most entries to return.
    /// - Returns: Entries in ID order.
    /// - Throws: ``StoreError``.
    func range(in partition: Partition, from start: EntryID, limit: Int) async throws -> [Entry]

    /// Reads the last entries up to an ID, backwards.
    func lastEntries(in partition: Partition, through end: EntryID?, limit: Int) async throws -> [Entry]

    /// How long the log is, and what it begins and ends with.
    func extent(of partition: Partition) async throws -> LogExtent

    /// Makes the consumer group, if it is missing, so that it delivers what lies behind an entry.
    func createGroup(in partition: Partition, after entry: EntryID) async throws

    /// Removes the group's other consumers, those with nothing pending.
    func removeIdleConsumers(from partition: Partition) async throws

    /// Shuts an open log whose epoch is still the one read.
    ///
    /// - Parameters:
    ///   - partition: Where.
    ///   - epoch: The head's epoch as read.
    /// - Returns: false when the epoch is another by now.
    /// - Throws: ``StoreError``.
    func shut(_ partition: Partition, epoch: Epoch) async throws -> Bool

    /// Whether the server is the one to work with, as far as others can tell: asked before a log is opened on it.
    ///
    /// With one plain address the address is the authority; through Sentinels they are.
    ///
    /// - Returns: false when another server took its place: connect again.
    /// - Throws: ``StoreError``, also when they don't agree.
    func isAuthoritative() async throws -> Bool

    /// Sees to it that the server writes to a file that it has begun since it was started.
    ///
    /// Else half a transaction, which a power cut left at the end of its file, may be executed at a later start.
    ///
    /// - Returns: What keeps the log from being opened for now; nil when nothing does, also when the server refuses.
    /// - Throws: ``StoreError``.
    func beginNewFile() async throws -> String?

    /// Opens the log under a new epoch, if head and server are still as they were seen.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - seen: Head and server as compared with the ledger, or as the chunk before left them.
    ///   - epoch: The one that was reserved.
    ///   - identity: For a log that is created.
    ///   - healing: What the log lost: appended behind the head, with seq, ID and fields as they were.
    ///   - isLast: Whether the log is open then; before the last chunk it stays shut.
    /// - Returns: Whether it was done.
    /// - Throws: ``StoreError``.
    func open(
        _ partition: Partition, seen: LogLook, epoch: Epoch, identity: LogIdentity, healing: [LedgerEntry], isLast: Bool
    ) async throws -> OpenOutcome
}

extension LogPort {
    package func isAuthoritative() async throws -> Bool { true }
}

/// Pending entries that were taken over.
package struct Reclaimed: Sendable {
    package let entries: [Entry]
    /// Where to go on; ``EntryID/zero`` when all have been seen.
    package let cursor: EntryID
    /// IDs that were pending although the log no longer holds them.
    ///
    /// Their seqs show up as a gap.
    package let missing: [EntryID]

    package init(entries: [Entry], cursor: EntryID, missing: [EntryID]) {
        self.entries = entries
        self.cursor = cursor
        self.missing = missing
    }
}

/// New entries of one partition, decoded when they are asked for.
package struct Delivered {
    package let partition: Partition
    package let count: Int
    private let decode: () throws -> [Entry]

    package init(partition: Partition, count: Int, decode: @escaping () throws -> [Entry]) {
        self.partition = partition
        self.count = count
        self.decode = decode
    }

    /// The entries, in log order.
    ///
    /// - Throws: ``StoreError`` when the server sent something else.
    package func entries() throws -> [Entry] { try decode() }
}

/// A log's ends and its length, of one moment while nobody appends.
package struct LogExtent: Sendable {
    package let first: Entry?
    package let last: Entry?
    package let count: Int

    package init(first: Entry?, last: Entry?, count: Int) {
        self.first = first
        self.last = last
        self.count = count
    }
}

package enum OpenOutcome: Hashable, Sendable {
    case opened
    /// Head or server are not as they were seen: start over.
    case changed
    /// There are entries without a head: somebody deleted it.
    case orphaned
}

/// A store that follows the log.
package protocol Sink: AnyObject {
    /// Takes a partition over: raises the token, and tells the position of the same moment.
    func fence(_ partition: Partition, under history: History, owner: WorkerName) async throws -> FenceOutcome

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

    /// Acknowledges entries that the sink has applied or set aside, under the permit's history.
    ///
    /// - Parameters:
    ///   - entries: Each with its seq, nil for one that was added by hand.
    ///   - permit: The right under which they were applied.
    /// - Returns: false when the history is another by now: nothing was acknowledged.
    /// - Throws: ``StoreError``.
    func acknowledge(_ entries: [Acknowledgement], under permit: Permit) async throws -> Bool

    /// Whether ``apply(_:meanwhile:)`` acknowledges too, in its atomic step.
    var acknowledgesOnApply: Bool { get }
}

extension Sink {
    package func check(_ permit: Permit) async throws -> CheckOutcome { .agrees }

    package func apply(_ batch: Batch) async throws -> ApplyOutcome { try await apply(batch) {} }
}

package struct Acknowledgement: Hashable, Sendable {
    package let seq: Seq?
    package let entry: EntryID

    package init(seq: Seq?, entry: EntryID) {
        self.seq = seq
        self.entry = entry
    }
}

package enum FenceOutcome: Hashable, Sendable {
    case fenced(Permit, Position)
    /// The log is no longer in that history.
    case historyChanged
}

package enum CheckOutcome: Hashable, Sendable {
    case agrees
    /// The store isn't what its sum says: a person has to decide.
    case differs(String)
    /// The log is in another history, or another worker took over meanwhile: nothing can be said.
    case moved
}

package enum ApplyOutcome: Hashable, Sendable {
    case applied
    /// The log is no longer in the permit's history.
    case historyChanged
    /// Another worker took over.
    case fenced(by: String)
    /// The sink's position is another than the batch's: it was applied already, or there is a gap.
    case positionMoved(to: Seq)
}

/// The sink `postgres`: the log's permanent copy, and the record of its epochs.
package protocol Ledger: Sink {
    /// A partition's row.
    func row(of partition: Partition) async throws -> LedgerRow

    /// Claims the next epoch for a server, and ends every older worker's right to commit.
    ///
    /// The row is not confirmed from here until ``confirm(_:epoch:entry:)``.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - row: The row as it was read: the reservation counts only if its epoch is still that one.
    ///   - headEpoch: The head's epoch; nil without a head.
    ///   - replid: The server that will be opened.
    ///   - owner: Who opens.
    /// - Returns: The new epoch; nil when somebody else was faster.
    /// - Throws: ``StoreError``.
    func reserve(
        _ partition: Partition, row: LedgerRow, headEpoch: Epoch?, replid: String, owner: WorkerName
    ) async throws -> Epoch?

    /// The change IDs that the ledger, or its dead letters, hold at places of a partition.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - seqs: The places.
    /// - Returns: An ID for each place that is accounted for; nil inside for a dead letter whose ID can't be read.
    /// - Throws: ``StoreError``.
    func changeIDs(in partition: Partition, at seqs: [Seq]) async throws -> [Seq: String?]

    /// What the ledger and its dead letters hold behind a place, for putting it back into the log.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - seq: The place.
    ///   - limit: The most entries to return.
    /// - Returns: Entries by seq.
    /// - Throws: ``StoreError``.
    func entries(in partition: Partition, after seq: Seq, limit: Int) async throws -> [LedgerEntry]

    /// The entries without a place that were set aside: those that somebody added by hand.
    ///
    /// - Parameters:
    ///   - partition: Where.
    ///   - limit: The most to return.
    /// - Returns: Their IDs, also of those that the log has lost since.
    /// - Throws: ``StoreError``.
    func entriesByHand(in partition: Partition, limit: Int) async throws -> Set<EntryID>

    /// Under which epoch and stream ID the ledger, or its dead letters, know entries.
    func locations(in partition: Partition, at seqs: [Seq]) async throws -> [Seq: EntryLocation]

    /// Records where healed entries lie in the log by now.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - epoch: The epoch that was reserved.
    ///   - locations: Re-read from the log.
    /// - Returns: false when the epoch is no longer the row's: nothing was changed.
    /// - Throws: ``StoreError``.
    func relocate(_ partition: Partition, epoch: Epoch, to locations: [EntryLocation]) async throws -> Bool

    /// Ends an opening: the position's entry ID is re-read from the log, since it may be of a lost history.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - epoch: The epoch that was reserved.
    ///   - entry: The ID of the entry at the position; nil before the first.
    /// - Returns: false when the epoch is no longer the row's.
    /// - Throws: ``StoreError``.
    func confirm(_ partition: Partition, epoch: Epoch, entry: EntryID?) async throws -> Bool
}

/// A partition's row in Postgres.
package struct LedgerRow: Hashable, Sendable {
    package let epoch: Epoch
    package let replid: String
    package let position: Position
    package let token: Token
    package let owner: String

    package init(epoch: Epoch, replid: String, position: Position, token: Token, owner: String) {
        self.epoch = epoch
        self.replid = replid
        self.position = position
        self.token = token
        self.owner = owner
    }

    /// Whether the last opening was confirmed: reserving takes the position's entry ID away, and confirming sets it again.
    package var isConfirmed: Bool { position.seq == .none || position.entry != nil }
}
