/// The log's streams, as one worker of one consumer group uses them.
///
/// Used from one lane only, so it isn't Sendable; the methods run on their caller's actor and may block its thread. Each
/// throws a ``StoreError``; what was delivered and not acknowledged stays pending.
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

    /// Acknowledges entries that the sink has applied or set aside, under the permit's history.
    ///
    /// - Parameters:
    ///   - entries: Each with its seq, nil for one that was added by hand.
    ///   - permit: The right under which they were applied.
    ///   - heed: What acknowledging heeds beside the history.
    /// - Returns: false when the history is another by now: nothing was acknowledged.
    /// - Throws: ``StoreError``.
    func acknowledge(
        _ entries: [Acknowledgement], under permit: Permit, heeding heed: AcknowledgementHeed
    ) async throws -> Bool

    /// Shuts an open log whose epoch is still the one read.
    ///
    /// - Parameters:
    ///   - partition: Where.
    ///   - epoch: The head's epoch as read.
    /// - Returns: false when the epoch is another by now.
    /// - Throws: ``StoreError``.
    func shut(_ partition: Partition, epoch: Epoch) async throws -> Bool

    /// Whether a partition's server is the one to work with, as far as others can tell: asked before a log is opened on it.
    ///
    /// With one plain address the address is the authority; through Sentinels they are, and in a cluster its masters.
    ///
    /// - Returns: false when another server took its place: connect again.
    /// - Throws: ``StoreError``, also when they don't agree.
    func isAuthoritative(for partition: Partition) async throws -> Bool

    /// Sees to it that a partition's server writes to a file that it has begun since it was started.
    ///
    /// Else half a transaction, which a power cut left at the end of its file, may be executed at a later start.
    ///
    /// - Returns: What keeps the log from being opened for now; nil when nothing does, also when the server refuses.
    /// - Throws: ``StoreError``.
    func beginNewFile(for partition: Partition) async throws -> String?

    /// Opens the log under a new epoch, if head and server are still as they were seen.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - seen: Head and server as compared with the ledger, or as the chunk before left them.
    ///   - epoch: The one that was reserved.
    ///   - identity: For a log that is created.
    ///   - admitted: The shops that want admission: what Redis lost of that is counted anew.
    ///   - healing: What the log lost: appended behind the head, with seq, ID and fields as they were.
    ///   - isLast: Whether the log is open then; before the last chunk it stays shut.
    /// - Returns: Whether it was done.
    /// - Throws: ``StoreError``.
    func open(
        _ partition: Partition, seen: LogLook, epoch: Epoch, identity: LogIdentity, admitted: [String],
        healing: [LedgerEntry], isLast: Bool
    ) async throws -> OpenOutcome
}

/// A log whose beginning can be dropped.
package protocol TrimmableLog: LogPort {
    /// How far each group is, but for `postgres`, whose position is the ledger's; and what each has pending.
    ///
    /// - Parameter partition: Where.
    /// - Returns: One for each group of the log.
    /// - Throws: ``StoreError``.
    func standings(in partition: Partition) async throws -> [GroupStanding]

    /// Drops what lies before an entry, unless a group could still need it.
    ///
    /// - Parameters:
    ///   - partition: Where.
    ///   - keep: The first entry to be kept.
    ///   - history: The log's when the positions were read.
    ///   - standings: As they were read: whom to ask again.
    /// - Returns: What came of it.
    /// - Throws: ``StoreError``.
    func trim(
        _ partition: Partition, before keep: EntryLocation, under history: History, heeding standings: [GroupStanding]
    ) async throws -> TrimOutcome
}

extension LogPort {
    package func isAuthoritative(for partition: Partition) async throws -> Bool { true }
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

/// How far a group is in a partition.
package struct GroupStanding: Hashable, Sendable {
    package let group: Group
    /// The last seq that its sink has; nil for `postgres`, whose position the ledger knows.
    package let seq: Seq?
    /// That entry's ID, a hint.
    package let entry: EntryID?
    /// Where the group begins: it needs nothing up to there.
    package let began: Seq
    /// The lowest of its pending entries.
    package let oldestPending: EntryID?

    package init(group: Group, seq: Seq?, entry: EntryID?, began: Seq, oldestPending: EntryID?) {
        self.group = group
        self.seq = seq
        self.entry = entry
        self.began = began
        self.oldestPending = oldestPending
    }
}

/// What came of trimming.
package enum TrimOutcome: Hashable, Sendable {
    /// So many entries were dropped.
    case trimmed(Int)
    /// The log is in another history, or closed.
    case historyChanged
    /// A group isn't as far as it was thought to be, or has one of these entries pending.
    case held(Group)
    /// The entry to be kept is not where it was thought to be.
    case elsewhere
}

package enum OpenOutcome: Hashable, Sendable {
    case opened
    /// Head or server are not as they were seen: start over.
    case changed
    /// There are entries without a head: somebody deleted it.
    case orphaned
}

/// An entry to be acknowledged.
package struct Acknowledgement: Hashable, Sendable {
    package let seq: Seq?
    package let entry: EntryID

    package init(seq: Seq?, entry: EntryID) {
        self.seq = seq
        self.entry = entry
    }
}

/// What acknowledging heeds beside the history.
package enum AcknowledgementHeed: Hashable, Sendable {
    /// Nothing: the position is in Postgres.
    case nothing
    /// The position in Redis: nothing above it is acknowledged.
    case position
    /// The position is in a store of the user's: Redis shows it too, for whoever asks how far the group is.
    case showing(Position)
}
