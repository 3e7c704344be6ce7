package import OrderLog

extension Batch {
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
