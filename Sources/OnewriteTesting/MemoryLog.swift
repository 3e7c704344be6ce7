import Connections
public import Onewrite
public import OrderLog

/// A log in this process's memory, for an application's unit tests: no server, no thread, and gone with the test.
///
/// Submits as a `Producer` does, with its outcomes. The sinks that are attached have each change when its receipt comes.
///
/// ```swift
/// let log = MemoryLog()
/// try await log.attach(search) { SearchIndex(inMemory: ()) }
/// let shop = Shop(log)
/// try await shop.order("ord-1")
/// #expect(await log.changes.map(\.id) == ["ord-1"])
/// ```
public actor MemoryLog: ChangeSubmitting {
    /// What goes wrong with a change.
    public enum Trouble: Sendable {
        /// The log takes it, and its answer is lost: the receipt is `unknown`.
        case lostAnswer
        /// Nobody can be reached: the receipt is `unsent`.
        case unreachable
    }

    private struct Key: Hashable {
        let shop: Name
        let id: Name
    }

    private struct Follower {
        let group: Group
        let sink: any Sink
        /// By partition, where it goes on.
        var permits: [Partition: (permit: Permit, position: Position)] = [:]
    }

    private static let history = History(epoch: Epoch(1), replid: String(repeating: "0", count: 40))

    private let partitioning: Partitioning
    private var entries: [[Change]]
    private var places: [Key: Seq] = [:]
    private var followers: [Follower] = []
    private var troubles: [Trouble] = []
    /// Whether somebody is at it: a sink may suspend, and the next change waits.
    private var isBusy = false
    private var turns: [CheckedContinuation<Void, Never>] = []
    /// All changes, in the order in which they were accepted.
    public private(set) var changes: [Change] = []

    /// Makes an empty log.
    ///
    /// - Parameter partitions: How many, 1 to 1024.
    public init(partitions: Int = 8) {
        guard let partitioning = Partitioning(count: partitions) else {
            preconditionFailure("a log has 1 to 1024 partitions, not \(partitions)")
        }
        self.partitioning = partitioning
        entries = Array(repeating: [], count: partitions)
    }

    /// Makes a sink follow the log, from its beginning on.
    ///
    /// - Parameters:
    ///   - group: The sink's name.
    ///   - sink: Makes it.
    /// - Throws: What the sink throws.
    public func attach(_ group: Group, _ sink: @Sendable () async throws -> sending any Sink) async throws {
        await beginTurn()
        defer { endTurn() }
        followers.append(Follower(group: group, sink: try await sink()))
        for partition in partitioning.all { try await follow(partition) }
    }

    /// Makes the next changes fail.
    ///
    /// - Parameters:
    ///   - count: How many.
    ///   - trouble: What goes wrong.
    public func fail(next count: Int, _ trouble: Trouble) {
        troubles += Array(repeating: trouble, count: max(0, count))
    }

    // MARK: - As a producer does

    /// Submits a change; a sink that throws makes it `unknown`.
    ///
    /// - Parameters:
    ///   - change: Whose ID makes submitting it again harmless.
    ///   - durability: What the receipt says that it has reached.
    /// - Returns: Its receipt.
    public func submit(_ change: Change, durability: Durability?) async -> Receipt {
        await beginTurn()
        defer { endTurn() }
        let trouble = troubles.isEmpty ? nil : troubles.removeFirst()
        if case .unreachable = trouble { return Receipt(unsent: change, "nobody can be reached") }
        let partition = partitioning.partition(ofShop: change.shop)
        let key = Key(shop: Name(change.shop), id: Name(change.id))
        let outcome: Receipt.Outcome
        let seq: Seq
        if let known = places[key] {
            seq = known
            outcome = entries[partition.number][Int(known.number) - 1] == change ? .duplicate : .conflict
        } else {
            entries[partition.number].append(change)
            changes.append(change)
            seq = Seq(Int64(entries[partition.number].count))
            places[key] = seq
            outcome = .accepted
        }
        do {
            try await follow(partition)
        } catch {
            return Receipt(unknown: change, "\(error)")
        }
        if case .lostAnswer = trouble { return Receipt(unknown: change, "the answer was lost") }
        let level = outcome == .conflict || durability == .server ? nil : durability
        return Receipt(
            outcome, of: change, partition: partition, epoch: Self.history.epoch, seq: seq, entry: Self.entry(seq),
            durability: level)
    }

    /// Submits changes, one after another.
    public func submit(_ changes: [Change], durability: Durability?) async -> [Receipt] {
        var receipts: [Receipt] = []
        for change in changes { receipts.append(await submit(change, durability: durability)) }
        return receipts
    }

    /// Returns at once: what was accepted was applied.
    ///
    /// - Parameters:
    ///   - receipts: Whose changes are waited for.
    ///   - groups: Of sinks that are attached; nobody waits for built-in ones.
    ///   - limit: Not needed.
    /// - Throws: `LogError` when a group has no sink here.
    public func wait(for receipts: [Receipt], in groups: [Group], within limit: Duration?) async throws {
        let known = Set(Group.builtIn + followers.map(\.group))
        guard let missing = groups.first(where: { !known.contains($0) }) else { return }
        throw LogError(.badConfiguration, "no sink is attached for group \(missing)")
    }

    private func beginTurn() async {
        guard isBusy else {
            isBusy = true
            return
        }
        await withCheckedContinuation { turns.append($0) }
    }

    private func endTurn() {
        if turns.isEmpty { isBusy = false } else { turns.removeFirst().resume() }
    }

    // MARK: - As a worker does

    /// Applies what a partition has to the sinks that don't have it yet.
    private func follow(_ partition: Partition) async throws {
        for index in followers.indices {
            let sink = followers[index].sink
            if followers[index].permits[partition] == nil {
                guard
                    case .fenced(let permit, let position) = try await sink.fence(
                        partition, under: Self.history, owner: .opener)
                else { throw LogError(.no, "group \(followers[index].group) follows a later log than this one") }
                followers[index].permits[partition] = (permit, position)
            }
            guard let (permit, position) = followers[index].permits[partition] else { continue }
            let behind = entries[partition.number].dropFirst(Int(position.seq.number))
            guard !behind.isEmpty else { continue }
            var batch = Batch(permit, after: position)
            for (change, number) in zip(behind, (position.seq.number + 1)...) {
                let place = Place(epoch: Self.history.epoch, seq: Seq(number))
                batch.apply(
                    change, of: Entry(id: Self.entry(place.seq), place: place, content: .change(change)), at: place)
            }
            // After a throw, or a refusal, it is taken over anew.
            followers[index].permits[partition] = nil
            let outcome = try await sink.apply(batch)
            guard outcome == .applied else {
                throw LogError(.no, "group \(followers[index].group) has not applied it: \(outcome)")
            }
            followers[index].permits[partition] = (permit, batch.position)
        }
    }

    private static func entry(_ seq: Seq) -> EntryID { EntryID(milliseconds: UInt64(seq.number), counter: 0) }
}
