import Reports

extension DashboardModel {
    /// Draws the model.
    package func render() -> Screen {
        var screen = Screen(size: size)
        guard !size.isTooSmall else {
            let needed = "needs \(Self.smallest.width)×\(Self.smallest.height)"
            let text = "terminal too small (\(size.width)×\(size.height)), \(needed)"
            screen.center(text, row: max(0, size.height / 2 - 1))
            screen.center(stores.label ?? stores.places(columns: size.width), row: size.height / 2, .bold)
            return screen
        }
        let layout = DashboardLayout(self)
        drawTitle(on: &screen)
        drawStores(on: &screen)
        if let row = layout.banner, let banner {
            let text = sanitized("! " + banner)
            screen.put(text.fitted(to: min(text.columns, size.width - 2)), row: row, column: 1, .alarm)
        }
        if snapshot == nil {
            screen.center(failure == nil ? "connecting…" : "nothing to show yet", row: size.height / 2, .dim)
        } else {
            for pane in Pane.allCases {
                if let rows = layout.rows(of: pane) { draw(pane, rows, on: &screen) }
            }
        }
        if let row = layout.notice, let notice { drawNotice(notice, row: row, on: &screen) }
        if let overlay { draw(overlay, on: &screen) }
        drawKeys(on: &screen)
        return screen
    }

    /// What the reader must know beside the numbers, gravest first.
    var notices: [String] {
        // The banner tells why there is no snapshot.
        let redis = failure == nil ? servers.redis : nil
        let away = [("redis", redis), ("postgres", servers.postgres)].compactMap { name, server in
            server?.error.map { "\(name) can't be reached: \($0)" }
        }
        let when = isLastKnown ? lastKnown.map { $0 + ": " } ?? "" : ""
        return away + (snapshot?.warnings ?? []).map { when + $0.sentence }
    }

    /// The notice in sight: about the partition on which the reader is, or the gravest.
    var notice: String? {
        if focus == .partitions, let partition = selectedPartition, let error = partition.error {
            return "partition \(partition.partition): \(error)"
        }
        return notices.first
    }

    /// Why there is no new snapshot; `nil` when all is well.
    var banner: String? {
        let waited = age.map { "no new data for \(Readable.age(wholeSeconds: $0))" }
        if let failure { return [waited, "trying again", failure.error].compactMap { $0 }.joined(separator: " · ") }
        return isStale ? [waited, "waiting for an answer"].compactMap { $0 }.joined(separator: " · ") : nil
    }

    /// `~ 12s ago`: how old what is in sight is.
    private var lastKnown: String? { age.map { "~ \(Readable.age(wholeSeconds: $0)) ago" } }

    private func drawNotice(_ notice: String, row: Int, on screen: inout Screen) {
        let others = notices.filter { $0 != notice }.count
        let more = others > 0 ? "   w: \(others) more" : ""
        let end = screen.put("!", row: row, column: 1, .alarm)
        let width = size.width - end - 2 - more.columns
        let text = sanitized(notice)
        let next = screen.put(text.fitted(to: min(width, text.columns)), row: row, column: end + 1)
        screen.put(more, row: row, column: next, .dim)
    }

    private func draw(_ pane: Pane, _ rows: Range<Int>, on screen: inout Screen) {
        let isFocused = pane == focus
        screen.box(
            rows: rows, columns: 0..<size.width, title: title(of: pane), status: status(of: pane), isFocused: isFocused)
        let inner = rows.dropFirst().dropLast()
        let columns = 3..<size.width - 2
        let table = table(of: pane, sparkColumns: pane == .groups ? sparkColumns(width: columns.count) : 0)
        let state = self[pane]
        table.draw(
            on: &screen, area: inner, inside: columns, first: state.offset, selected: isFocused ? state.index : nil,
            isDim: isLastKnown)
        if isLastKnown {
            for row in inner.dropFirst().prefix(table.rows.count - state.offset) {
                screen.put("~", row: row, column: 1, .dim)
            }
        }
        if table.rows.isEmpty, inner.count > 1 {
            screen.put(emptyText(of: pane), row: inner.lowerBound + 1, column: columns.lowerBound, .dim)
        } else if isFocused || pane == .groups {
            let mark = isFocused ? "▸" : "▹"
            screen.put(
                mark, row: inner.lowerBound + 1 + state.index - state.offset, column: 2,
                isFocused ? Style.accent.emphasized : .dim)
        }
    }

    private func title(of pane: Pane) -> String {
        switch pane {
        case .groups: "Groups"
        case .partitions: "Partitions" + (selectedGroup.map { " of \($0.name)" } ?? "")
        case .pending:
            "Pending" + (selectedGroup.map { " in \($0.name)" } ?? "")
                + (openedPartition.map { ", partition \($0)" } ?? "")
        case .dead: "Dead letters" + (selectedGroup.map { " of \($0.name)" } ?? "")
        }
    }

    private func status(of pane: Pane) -> String {
        let state = self[pane]
        var parts: [String] = []
        if !state.filter.isEmpty { parts.append("/\(state.filter)") }
        if let order = orderTitle(of: pane) { parts.append(order) }
        if isLastKnown, let lastKnown { parts.append(lastKnown) }
        if pane == .groups {
            if !isLastKnown { parts.append(Readable.interval(interval)) }
        } else if let place = place(in: pane) {
            parts.append(place)
        }
        return parts.joined(separator: " · ")
    }

    /// `2/8 ↓`: the reader's row, how many there are, and where more lie out of sight.
    private func place(in pane: Pane) -> String? {
        let state = self[pane]
        let count = keys(of: pane).count
        guard count > 0 else { return nil }
        let visible = DashboardLayout(self).visibleRows(of: pane)
        let isMoreAbove = state.offset > 0
        let isMoreBelow = state.offset + visible < count
        let arrow = isMoreAbove && isMoreBelow ? " ↕" : isMoreBelow ? " ↓" : isMoreAbove ? " ↑" : ""
        return "\(state.index + 1)/\(total(in: pane, shown: count))\(arrow)"
    }

    private func total(in pane: Pane, shown: Int) -> String {
        guard pane == .pending, pendingPane.filter.isEmpty, let page = pendingPage, let total = page.total else {
            return Readable.count(shown)
        }
        let all = max(total, shown)
        return all > shown ? "\(Readable.count(shown)) of \(Readable.count(all))" : Readable.count(all)
    }

    private func orderTitle(of pane: Pane) -> String? {
        switch pane {
        case .groups: PaneOrder<Snapshot.Group>.all[groupsPane.order].title
        case .partitions: PaneOrder<Snapshot.Partition>.all[partitionsPane.order].title
        case .pending: PaneOrder<PendingEntry>.all[pendingPane.order].title
        case .dead: PaneOrder<DeadLetterLine>.all[deadPane.order].title
        }
    }

    private func emptyText(of pane: Pane) -> String {
        if !self[pane].filter.isEmpty { return "nothing matches “\(self[pane].filter)”" }
        switch pane {
        case .groups: return "no groups yet: onewrite init"
        case .partitions: return selectedGroup == nil ? "" : Readable.unknown
        case .pending:
            guard selectedGroup != nil else { return "" }
            guard let page = pendingPage else { return isPaused ? "paused: r reads it" : "reading…" }
            return page.total == nil ? Readable.unknown : "nothing pending"
        case .dead:
            guard let selectedGroup else { return "" }
            guard let page = snapshot?.deadPage else { return isPaused ? "paused: r reads it" : "reading…" }
            let isUnknown = selectedGroup.name == "postgres" && !page.knowsPostgres
            return isUnknown ? Readable.unknown : "no dead letters"
        }
    }
}
