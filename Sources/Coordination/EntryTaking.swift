package import OrderLog

/// Sets aside, on a person's behalf, the entry on which a sink is stalled.
///
/// It acts as one more owner: it fences the partition as a worker does that takes it over, and moves the position over
/// the entry in the sink's own atomic step. The worker's next apply is refused by its old token; it takes over again,
/// behind the entry.
package struct EntryTaking {
    /// What came of looking at the sink.
    package enum Look: Sendable {
        /// The entry behind the position, which is the only one that can be taken.
        case found(Entry, Seq)
        /// The sink has applied all that the log holds.
        case nothing(Position)
        /// There is none, or none may be taken now, and why.
        case refused(String)
    }

    /// What came of taking.
    package enum Outcome: Sendable {
        case taken
        /// The sink went past the entry by itself.
        case moved(to: Position)
        /// The log is not in order, or a worker was faster each time: nothing was changed.
        case again(String)
    }

    /// A worker that fences in between does so once in a while: behind its pause for what stalls it.
    private static let attemptsMax = 20

    private let ports: SessionPorts
    private let partition: Partition

    /// - Parameters:
    ///   - ports: A group's log and sink, and who acts.
    ///   - partition: Where.
    package init(_ ports: SessionPorts, _ partition: Partition) {
        self.ports = ports
        self.partition = partition
    }

    /// Finds the entry behind a position.
    ///
    /// Changes nothing.
    ///
    /// - Parameter position: The sink's, as it was read.
    /// - Returns: The entry, or why there is none to take.
    /// - Throws: ``StoreError``.
    package func look(behind position: Position) async throws -> Look {
        guard let head = try await open()?.head else { return .refused(Self.closed) }
        guard head.seq > position.seq else { return .nothing(position) }
        guard let entry = try await entry(behind: position, head) else {
            return .refused("the log has no entry of its own at seq \(position.seq.next): there is nothing to take")
        }
        return .found(entry, position.seq.next)
    }

    /// Takes the entry at a place, if it still is the one behind the sink's position.
    ///
    /// - Parameters:
    ///   - seq: The place, as ``look(behind:)`` found it.
    ///   - why: For the dead letter: the person's own words.
    /// - Returns: What became of it; repeating it is safe.
    /// - Throws: ``StoreError``; when its outcome is unknown, look again.
    package func take(_ seq: Seq, why: String) async throws -> Outcome {
        var reason = Self.closed
        var backoff = Backoff(first: .milliseconds(10), most: .milliseconds(500))
        var generator = SystemRandomNumberGenerator()
        for attempt in 0..<Self.attemptsMax {
            if attempt > 0 {
                await ports.pacing.pause(until: ports.pacing.now + backoff.next(using: &generator))
            }
            guard let history = try await open()?.history,
                case .fenced(let permit, let position) = try await ports.sink.fence(
                    partition, under: history, owner: ports.owner)
            else {
                reason = Self.closed
                continue
            }
            guard position.seq.next == seq else { return .moved(to: position) }
            guard case .found(let entry, _) = try await look(behind: position) else {
                reason = "the log changed meanwhile"
                continue
            }
            var batch = Batch(permit, after: position)
            batch.quarantine(entry, Quarantine(.taken, why), at: seq)
            switch try await ports.sink.apply(batch) {
            case .applied:
                if ports.builtIn?.acknowledgesOnApply != true {
                    // When the log is closed meanwhile, the worker that takes over finds a duplicate.
                    _ = try await ports.log.acknowledge(
                        [Acknowledgement(seq: seq, entry: entry.id)], under: permit, heeding: .nothing)
                }
                return .taken
            case .fenced(let owner): reason = "worker \(owner) took the partition over each time"
            case .historyChanged: reason = Self.closed
            case .positionMoved: reason = "the sink's position moved meanwhile"
            }
        }
        return .again(reason)
    }

    private static let closed = "the log is closed or elsewhere: a worker of group postgres opens it"

    /// The look at an open log; nil when it is not open.
    private func open() async throws -> LogLook? {
        let row = try await ports.ledger?.row(of: partition)
        let look = try await ports.log.look(at: partition)
        return LogState(look, row: row, identity: ports.identity).isOpen ? look : nil
    }

    /// The first that a worker would apply or set aside there; others of that seq were added by hand.
    private func entry(behind position: Position, _ head: Head) async throws -> Entry? {
        let search = EntrySearch(log: ports.log, partition: partition)
        var start = try await search.start(behind: position)
        while true {
            let entries = try await ports.log.range(in: partition, from: start, limit: EntrySearch.chunk)
            let found = entries.first { entry in
                switch Verdict(
                    on: entry, after: position.seq, head: head.place, in: partition, ports.identity.partitioning)
                {
                case .apply, .quarantine: true
                case .duplicate, .gap, .beyondHead, .addedByHand: false
                }
            }
            if let found { return found }
            guard let last = entries.last else { return nil }
            start = last.id.successor
        }
    }
}
