/// What to do with an entry, told by its seq against the sink's position.
///
/// Stored stream IDs play no part: they are used again after the log lost its tail.
package enum Verdict: Hashable, Sendable {
    /// The next one, and applicable.
    case apply(Change)
    /// The next one, but its fields are no change: set it aside in the step that advances the position.
    case quarantine(Quarantine)
    /// Not above the position: acknowledge it without effect.
    case duplicate
    /// Entries between the position and this one have not been seen: look for them in the log.
    case gap
    /// It claims a place that the head, as last read, has not given yet: read the head again, then it is by hand.
    case beyondHead
    /// Added by hand: set it aside; the position stays.
    case addedByHand

    /// Judges an entry.
    ///
    /// - Parameters:
    ///   - entry: The entry.
    ///   - last: The last seq that the sink applied or set aside.
    ///   - head: The head's place. Final only when it was read after the entry.
    ///   - partition: Where the entry was read.
    ///   - partitioning: How shops are spread.
    package init(on entry: Entry, after last: Seq, head: Place, in partition: Partition, _ partitioning: Partitioning) {
        guard let place = entry.place else {
            self = .addedByHand
            return
        }
        guard place.seq <= head.seq, place.epoch <= head.epoch else {
            self = .beyondHead
            return
        }
        if case .change(let change) = entry.content, partitioning.partition(ofShop: change.shop) != partition {
            self = .addedByHand
        } else if place.seq <= last {
            self = .duplicate
        } else if place.seq > last.next {
            self = .gap
        } else {
            self =
                switch entry.content {
                case .change(let change): .apply(change)
                case .unusable(let quarantine, _): .quarantine(quarantine)
                }
        }
    }
}
