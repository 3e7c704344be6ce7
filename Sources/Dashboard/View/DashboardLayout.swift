import Reports

/// Which rows of the screen belong to what.
struct DashboardLayout: Equatable {
    /// The rows that nothing may cover.
    static let headRows = 2
    /// Border, header, border.
    private static let frameRows = 3
    /// Below two rows a list shows too little to stand beside others.
    private static let rowsMin = 2
    private static let groupRowsMax = 8

    /// The line that says why there is no new snapshot.
    private(set) var banner: Int?
    /// The line with the gravest notice.
    private(set) var notice: Int?
    private var panes: [Pane: Range<Int>] = [:]

    /// Lays out a model's screen.
    ///
    /// The three panes stand one above the other; where that would leave too few rows, the focused one has them all.
    init(_ model: DashboardModel) {
        // Below the title and the line that says which stores these are.
        var top = Self.headRows
        var bottom = max(top, model.size.height - 1)
        if model.banner != nil {
            banner = top
            top += 1
        }
        if model.notice != nil {
            bottom -= 1
            notice = bottom
        }
        let groups = Self.frameRows + min(max(1, model.snapshot?.groups.count ?? 1), Self.groupRowsMax)
        let rest = bottom - top - groups
        guard rest >= 2 * (Self.frameRows + Self.rowsMin) else {
            panes[model.focus] = top..<max(top, bottom)
            return
        }
        let wanted = Self.frameRows + max(1, model.selectedGroup?.partitions.count ?? model.snapshot?.partitions ?? 1)
        let partitions = min(max(wanted, Self.frameRows + Self.rowsMin), rest / 2)
        panes[.groups] = top..<top + groups
        panes[.partitions] = top + groups..<top + groups + partitions
        panes[model.lastPane] = top + groups + partitions..<bottom
    }

    /// The rows of a pane with its border; `nil` when it is out of sight.
    func rows(of pane: Pane) -> Range<Int>? {
        panes[pane]
    }

    /// How many of a pane's rows fit.
    func visibleRows(of pane: Pane) -> Int {
        max(0, (panes[pane]?.count ?? 0) - Self.frameRows)
    }
}
