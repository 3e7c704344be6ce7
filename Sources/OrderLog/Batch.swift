/// Entries that a sink applies in one atomic step, together with its new position.
public struct Batch: Sendable {
    /// An entry whose change takes effect.
    public struct Applied: Sendable {
        /// The entry's stream ID.
        public let id: EntryID
        /// Its place in the log.
        public let place: Place
        /// What was submitted.
        public let change: Change

        package init(id: EntryID, place: Place, change: Change) {
            self.id = id
            self.place = place
            self.change = change
        }
    }

    /// An entry that is set aside.
    package struct DeadLetter: Sendable {
        package let entry: Entry
        package let quarantine: Quarantine
        /// Its seq, over which the position advances; nil for an entry that was added by hand.
        package let seq: Seq?
    }

    /// The right under which it is applied.
    public let permit: Permit
    /// The seq after the position that the sink has.
    public private(set) var first: Seq
    /// The position's seq once the batch is applied.
    public private(set) var last: Seq
    /// The stream ID of the entry at ``last``; nil where no entry is meant.
    public private(set) var lastEntry: EntryID?
    /// The changes that take effect, in log order.
    public private(set) var applied: [Applied] = []
    package private(set) var deadLetters: [DeadLetter] = []

    /// An empty batch.
    ///
    /// - Parameters:
    ///   - permit: The right under which it will be applied.
    ///   - position: The sink's position.
    package init(_ permit: Permit, after position: Position) {
        self.permit = permit
        first = position.seq.next
        last = position.seq
        lastEntry = position.entry
    }

    /// A batch without entries, that moves a position over those before a group's beginning.
    ///
    /// - Parameters:
    ///   - permit: The right under which it will be applied.
    ///   - position: The sink's position.
    ///   - end: The last seq that is skipped.
    ///   - entry: That entry's stream ID.
    package init(_ permit: Permit, after position: Position, skippingThrough end: Seq, _ entry: EntryID?) {
        self.init(permit, after: position)
        last = max(end, last)
        lastEntry = entry
    }

    package var isEmpty: Bool { applied.isEmpty && deadLetters.isEmpty }

    /// How many entries it holds.
    package var count: Int { applied.count + deadLetters.count }

    /// The position once it is applied.
    package var position: Position { Position(epoch: permit.history.epoch, seq: last, entry: lastEntry) }

    /// The entries with a place, in log order: acknowledged in the step that applies them, or after it.
    package var placedIDs: [(seq: Seq, id: EntryID)] {
        let placed =
            applied.map { ($0.place.seq, $0.id) }
            + deadLetters.compactMap { letter in letter.seq.map { ($0, letter.entry.id) } }
        return deadLetters.isEmpty ? placed : placed.sorted { $0.0 < $1.0 }
    }

    /// Adds the entry behind ``last``.
    package mutating func apply(_ change: Change, of entry: Entry, at place: Place) {
        advance(to: place.seq, entry.id)
        applied.append(Applied(id: entry.id, place: place, change: change))
    }

    /// Sets the entry behind ``last`` aside.
    package mutating func quarantine(_ entry: Entry, _ quarantine: Quarantine, at seq: Seq) {
        advance(to: seq, entry.id)
        deadLetters.append(DeadLetter(entry: entry, quarantine: quarantine, seq: seq))
    }

    /// Sets an entry aside that was added by hand; the position stays.
    package mutating func setAside(_ entry: Entry) {
        let quarantine =
            if case .unusable(let own, _) = entry.content, entry.place == nil, own.reason != .addedByHand {
                Quarantine(.addedByHand, "\(Quarantine.addedByHand.error); \(own.error)")
            } else { Quarantine.addedByHand }
        deadLetters.append(DeadLetter(entry: entry, quarantine: quarantine, seq: nil))
    }

    /// The same with one of its changes set aside instead.
    ///
    /// - Parameters:
    ///   - seq: Whose change.
    ///   - quarantine: Why.
    /// - Returns: The batch; nil when there is no such change in it.
    package func settingAside(_ seq: Seq, _ quarantine: Quarantine) -> Batch? {
        guard let index = applied.firstIndex(where: { $0.place.seq == seq }) else { return nil }
        var batch = self
        let one = batch.applied.remove(at: index)
        let entry = Entry(id: one.id, place: one.place, content: .change(one.change))
        batch.deadLetters.append(DeadLetter(entry: entry, quarantine: quarantine, seq: seq))
        return batch
    }

    /// A part of it that can be applied by itself, once what comes before is.
    ///
    /// What was added by hand goes with the first part.
    ///
    /// - Parameters:
    ///   - start: The first seq, of this batch.
    ///   - end: The last one, of this batch.
    /// - Returns: The part.
    package func part(from start: Seq, through end: Seq) -> Batch {
        var batch = self
        let range = start...end
        batch.first = start
        batch.last = end
        batch.applied = applied.filter { range.contains($0.place.seq) }
        batch.deadLetters = deadLetters.filter { letter in
            letter.seq.map(range.contains) ?? (start == first)
        }
        if end != last {
            batch.lastEntry = batch.placedIDs.last { $0.seq == end }?.id
        }
        return batch
    }

    private mutating func advance(to seq: Seq, _ entry: EntryID) {
        precondition(seq == last.next, "a batch grows in the log's order")
        last = seq
        lastEntry = entry
    }
}
