package import Reports

extension Snapshot.Environment {
    /// One line: `production · 10.0.0.1:6379/0 · db.internal:5432/shop · onewrite`.
    package var text: String { ([label].compactMap(\.self) + places).map { sanitized($0) }.joined(separator: " · ") }

    /// What follows the label.
    private var places: [String] {
        [redis, postgres ?? "no postgres", namespace == schema ? namespace : "\(namespace) / \(schema)"]
    }

    /// The places in so many columns; long ones are cut in their middle, where hosts differ least.
    func places(columns: Int) -> String {
        let separator = " · "
        var parts = places.map { sanitized($0) }
        var excess = parts.map(\.columns).reduce(0, +) + separator.columns * (parts.count - 1) - columns
        while excess > 0, let longest = parts.indices.max(by: { parts[$0].columns < parts[$1].columns }) {
            let cut = parts[longest].cutInside(to: parts[longest].columns - 1)
            guard cut.columns < parts[longest].columns else { break }
            excess -= parts[longest].columns - cut.columns
            parts[longest] = cut
        }
        let text = parts.joined(separator: separator)
        return text.fitted(to: min(max(0, columns), text.columns))
    }
}

extension String {
    /// The text in so many columns, with `…` for what its middle loses; its first and last letter stay.
    fileprivate func cutInside(to columns: Int) -> String {
        let middle = index(startIndex, offsetBy: count / 2)
        var (head, tail) = (self[..<middle], self[middle...])
        if head.last == "…" { head.removeLast() }
        if tail.first == "…" { tail.removeFirst() }
        while String(head).columns + 1 + String(tail).columns > columns, head.count > 1 || tail.count > 1 {
            if head.count > tail.count { head.removeLast() } else { tail.removeFirst() }
        }
        return head + "…" + tail
    }
}
