package import OrderLog

extension Batch {
    /// The batch in two pieces, each with half of its changes; nil where it has fewer than two.
    package var halves: (Batch, Batch)? {
        guard applied.count > 1 else { return nil }
        let middle = applied[applied.count / 2 - 1].place.seq
        return (part(from: first, through: middle), part(from: middle.next, through: last))
    }

    /// What comes before a place of the batch; nil where nothing does.
    package func part(before seq: Seq) -> Batch? { seq > first ? part(from: first, through: seq.previous) : nil }

    /// The batch in pieces that can be applied one after the other.
    ///
    /// - Parameters:
    ///   - changes: The most changes of a piece.
    ///   - bytes: About the most bytes that the changes of a piece hold; one change may be larger.
    /// - Returns: At least one piece; the batch itself where it is small enough.
    package func parts(changes: Int, bytes: Int) -> [Batch] {
        var ends: [Seq] = []
        var (count, size) = (0, 0)
        var before: Seq?
        for entry in applied {
            let own = entry.change.size
            if let before, count == changes || size + own > bytes {
                ends.append(before)
                (count, size) = (0, 0)
            }
            count += 1
            size += own
            before = entry.place.seq
        }
        guard !ends.isEmpty else { return [self] }
        var parts: [Batch] = []
        var start = first
        for end in ends + [last] {
            parts.append(part(from: start, through: end))
            start = end.next
        }
        return parts
    }
}

extension Change {
    /// About how many bytes it has as JSON.
    fileprivate var size: Int {
        300 + lines.text.utf8.count * 3 + (attributes?.utf8.count ?? 0) + (customer?.utf8.count ?? 0)
    }
}
