import Reports

// The first two lines and the last.

extension DashboardModel {
    /// Draws ` onewrite · 8 partitions   redis ● 7.0.15   postgres ● 15.20   14:02:31Z`, shorter where it is narrow.
    func drawTitle(on screen: inout Screen) {
        let clock = snapshot.map { Readable.clock($0.at) } ?? ""
        let right = isPaused ? "paused  " + clock : clock
        let rightColumn = size.width - right.columns - 1
        screen.put(right, row: 0, column: rightColumn, isPaused ? Style.waiting.emphasized : .dim)

        let count = snapshot?.partitions
        let partitions = snapshot.map { _ in " · \(Readable.count(count)) partition\(count == 1 ? "" : "s")" } ?? ""
        for (partitions, versions) in [(partitions, true), (partitions, false), ("", false)] {
            let servers = serverMarks(versions: versions)
            let serversWidth = servers.reduce(0) { $0 + $1.text.columns }
            let left = " onewrite".columns + partitions.columns
            guard left + 2 + serversWidth + 2 <= rightColumn || partitions.isEmpty else { continue }
            let end = screen.put(" onewrite", row: 0, column: 0, .bold)
            screen.put(partitions, row: 0, column: end)
            // Apart from both sides, but not wider than a glance.
            let space = rightColumn - left - serversWidth
            var column = left + min(6, max(2, space / 2))
            for mark in servers where column + mark.text.columns < rightColumn {
                column = screen.put(mark.text, row: 0, column: column, mark.style)
            }
            return
        }
    }

    /// Draws which stores these are: ` production  10.0.0.1:6379/0 · db.internal:5432/shop · onewrite`.
    func drawStores(on screen: inout Screen) {
        var column = 1
        if let label = stores.label {
            // In reverse, so that it can't be overlooked where there is no colour.
            let style = Style(color: stores.color, isBold: true, isReversed: true)
            column = screen.put(" \(label) ", row: 1, column: column, style) + 1
        }
        screen.put(stores.places(columns: size.width - column - 1), row: 1, column: column)
    }

    private func serverMarks(versions: Bool) -> [Cell] {
        guard snapshot != nil || failure != nil else { return [] }
        return serverMark("redis", servers.redis, versions) + [Cell("   ")]
            + serverMark("postgres", servers.postgres, versions)
    }

    /// `●` answered this time, `○` didn't, `?` nobody knows.
    private func serverMark(_ name: String, _ server: Snapshot.Server?, _ versions: Bool) -> [Cell] {
        switch server {
        case nil:
            [Cell("\(name) "), Cell(Readable.unknown, .waiting)]
        case .notConfigured:
            [Cell("\(name) – not configured", .dim)]
        case .unreachable:
            [Cell("\(name) "), Cell("!○ unreachable", .alarm)]
        case .reachable(let version, let itself):
            [Cell("\(itself ?? name) "), Cell("●", .good)]
                + (versions ? [Cell(" " + version, .dim)] : [])
        }
    }

    /// Draws the keys that do something now; the least needed go first where it is narrow.
    func drawKeys(on screen: inout Screen) {
        let row = size.height - 1
        screen.clear(row: row, columns: 0..<size.width)
        var column = 1
        if isEditingFilter, overlay == nil {
            column = screen.put("/ ", row: row, column: column, Style.accent.emphasized)
            let width = max(1, size.width - 40)
            let filter = sanitized(self[focus].filter)
            // The end is what is being typed.
            let shown = filter.columns > width ? "…" + String(filter.suffix(width / 2)) : filter
            column = screen.put(shown + "▏", row: row, column: column) + 3
        }
        var keys = keysNow
        func width(_ keys: [KeyHint]) -> Int { keys.reduce(0) { $0 + $1.key.columns + 1 + $1.text.columns + 3 } - 3 }
        while keys.count > 1, width(keys) > size.width - column - 1 {
            guard let least = keys.indices.max(by: { keys[$0].rank < keys[$1].rank }) else { break }
            keys.remove(at: least)
        }
        for hint in keys {
            column = screen.put(hint.key, row: row, column: column, .bold)
            column = screen.put(" \(hint.text)", row: row, column: column, .dim) + 3
        }
    }

    private struct KeyHint {
        let key: String
        let text: String
        /// Higher ones are left out first.
        let rank: Int
    }

    private var keysNow: [KeyHint] {
        if let overlay { return keys(of: overlay) }
        if isEditingFilter {
            return [KeyHint(key: "⏎", text: "keep", rank: 1), KeyHint(key: "esc", text: "clear", rank: 0)]
        }
        let isAtTop = focus == .groups && groupsPane.filter.isEmpty
        return [
            KeyHint(key: "?", text: "help", rank: 0),
            KeyHint(key: "tab", text: "pane", rank: 2),
            KeyHint(key: "↑↓", text: "row", rank: 7),
            KeyHint(key: "⏎", text: "open", rank: 3),
            KeyHint(key: "/", text: "filter", rank: 4),
            KeyHint(key: "s", text: "sort", rank: 5),
            KeyHint(key: "p", text: isPaused ? "go on" : "pause", rank: 6),
            KeyHint(key: "d", text: focus == .dead ? "pending" : "dead", rank: 8),
            KeyHint(key: "r", text: "refresh", rank: 10),
            KeyHint(key: "w", text: "warnings", rank: 9),
            KeyHint(key: "q", text: isAtTop ? "quit" : "back", rank: 1),
        ] + deedKeys
    }

    private var deedKeys: [KeyHint] {
        switch focus {
        case .dead where selectedLetter != nil:
            [KeyHint(key: "R", text: "retry", rank: 0), KeyHint(key: "D", text: "drop", rank: 0)]
        case .partitions where selectedPartition?.state == .stalled: [KeyHint(key: "T", text: "take", rank: 0)]
        default: []
        }
    }

    private func keys(of overlay: Overlay) -> [KeyHint] {
        let close = KeyHint(key: "esc", text: "close", rank: 0)
        switch overlay {
        case .reason: return [KeyHint(key: "⏎", text: "plan", rank: 1), close]
        case .deed(_, .planned(let outcome)) where outcome.plan != nil:
            return [KeyHint(key: "y", text: "do it", rank: 0), KeyHint(key: "esc", text: "leave it", rank: 0)]
        case .deed(_, .acting): return []
        case .help, .warnings, .entry, .letter, .deed: return [close]
        }
    }
}
