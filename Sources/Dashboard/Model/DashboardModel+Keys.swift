import Reports

extension DashboardModel {
    /// Does what a key asks for.
    ///
    /// - Returns: What the shell must do.
    package mutating func handle(_ key: Key) -> Action {
        switch key {
        case .control("c"): return .quit
        case .control("l"): return .redraw
        case .control("z"): return .suspend
        default: break
        }
        defer { settle() }
        if size.isTooSmall { return key == .character("q") ? .quit : .none }
        if case .reason(let deed) = overlay { return editReason(of: deed, key) }
        if case .deed(let deed, let stage) = overlay { return handle(key, deed, stage) }
        if overlay != nil { return handleOverlay(key) }
        if isEditingFilter { return edit(key) }
        return browse(key)
    }

    private mutating func handleOverlay(_ key: Key) -> Action {
        switch key {
        case .escape, .enter, .character("q"), .left: overlay = nil
        case .character("?"): overlay = overlay == .help ? nil : .help
        case .character("w"): overlay = overlay == .warnings ? nil : .warnings
        case .character("r"): return .refresh
        default: break
        }
        return .none
    }

    private mutating func editReason(of deed: Deed, _ key: Key) -> Action {
        guard let reason = deed.reason else { return .none }
        switch key {
        case .character(let character):
            let longer = reason + String(character)
            if longer.utf8.count <= Self.reasonBytesMax { overlay = .reason(deed.because(longer)) }
        case .backspace: overlay = .reason(deed.because(String(reason.dropLast())))
        case .control("u"): overlay = .reason(deed.because(""))
        case .escape: overlay = nil
        case .enter where !reason.allSatisfy(\.isWhitespace): return plan(deed)
        default: break
        }
        return .none
    }

    private mutating func handle(_ key: Key, _ deed: Deed, _ stage: DeedStage) -> Action {
        switch (stage, key) {
        case (.acting, _): break
        case (.planned(let outcome), .character("y")):
            guard let plan = outcome.plan else { break }
            overlay = .deed(deed, .acting)
            return .perform(deed, confirming: plan)
        case (_, .escape), (_, .character("n")), (_, .character("q")), (.done, .enter), (.failed, .enter):
            overlay = nil
            if case .done = stage { return .refresh }
        default: break
        }
        return .none
    }

    private mutating func plan(_ deed: Deed) -> Action {
        overlay = .deed(deed, .planning)
        return .perform(deed, confirming: nil)
    }

    /// Begins what a capital letter asks for: nothing is changed before its plan is confirmed.
    private mutating func begin(_ letter: Character) -> Action {
        switch (letter, focus) {
        case ("R", .dead):
            if let selectedLetter { return plan(.retry(letter: selectedLetter.letter)) }
        case ("D", .dead):
            if let selectedLetter { overlay = .reason(.drop(letter: selectedLetter.letter, reason: "")) }
        case ("T", .partitions):
            guard let group = selectedGroup, let selectedPartition else { break }
            let deed = Deed.take(group: group.name, partition: selectedPartition.partition, reason: "")
            overlay =
                selectedPartition.state == .serving
                ? .deed(deed, .failed("a worker serves it: nothing is stalled", whileActing: false)) : .reason(deed)
        default: break
        }
        return .none
    }

    private mutating func edit(_ key: Key) -> Action {
        switch key {
        case .character(let character):
            guard self[focus].filter.count < Self.filterCharactersMax else { break }
            setFilter(self[focus].filter + String(character))
        case .backspace:
            setFilter(String(self[focus].filter.dropLast()))
        case .control("u"):
            setFilter("")
        case .enter, .tab, .backTab:
            isEditingFilter = false
        case .escape:
            setFilter("")
            isEditingFilter = false
        case .up, .down, .pageUp, .pageDown:
            move(key)
        default: break
        }
        return .none
    }

    private mutating func browse(_ key: Key) -> Action {
        switch key {
        case .character("q"):
            return goBack() ? .none : .quit
        case .escape, .left, .backspace:
            goBack()
        case .enter, .right:
            open()
        case .tab:
            focus = Pane(rawValue: focus.rawValue + 1) ?? .groups
        case .backTab:
            focus = Pane(rawValue: focus.rawValue - 1) ?? .dead
        case .character("/"):
            isEditingFilter = true
        case .character("s"):
            self[focus].order = (self[focus].order + 1) % orders(of: focus)
        case .character("p"):
            isPaused.toggle()
            return isPaused ? .none : .refresh
        case .character("r"):
            return .refresh
        case .character("?"):
            overlay = .help
        case .character("w"):
            overlay = .warnings
        case .character("d"):
            focus = focus == .dead ? .pending : .dead
        case .character(let letter) where "RDT".contains(letter):
            return begin(letter)
        default:
            move(key)
        }
        return .none
    }

    /// Goes one step back: the pane's filter, the opened partition, the pane.
    ///
    /// - Returns: Whether there was a step to go.
    @discardableResult
    private mutating func goBack() -> Bool {
        if !self[focus].filter.isEmpty {
            setFilter("")
        } else if focus == .pending, openedPartition != nil {
            openedPartition = nil
            pendingPane.rewind()
            focus = .partitions
        } else if focus != .groups {
            focus = .groups
        } else {
            return false
        }
        return true
    }

    private mutating func open() {
        switch focus {
        case .groups:
            if selectedGroup != nil { focus = .partitions }
        case .partitions:
            guard let selectedPartition else { break }
            openedPartition = selectedPartition.partition
            pendingPane.rewind()
            focus = .pending
        case .pending:
            if let selectedEntry { overlay = .entry(selectedEntry, isPending: true) }
        case .dead:
            if let selectedLetter { overlay = .letter(selectedLetter) }
        }
    }

    private mutating func move(_ key: Key) {
        let keys = keys(of: focus)
        let page = max(1, DashboardLayout(self).visibleRows(of: focus) - 1)
        let rows: Int
        switch key {
        case .up, .character("k"): rows = -1
        case .down, .character("j"): rows = 1
        case .pageUp: rows = -page
        case .pageDown: rows = page
        case .home, .character("g"): rows = -keys.count
        case .end, .character("G"): rows = keys.count
        default: return
        }
        let before = groupsPane.selected
        self[focus].move(by: rows, in: keys)
        if groupsPane.selected != before { leaveGroup() }
    }

    private mutating func setFilter(_ filter: String) {
        self[focus].filter = filter
    }

    private func orders(of pane: Pane) -> Int {
        switch pane {
        case .groups: PaneOrder<Snapshot.Group>.all.count
        case .partitions: PaneOrder<Snapshot.Partition>.all.count
        case .pending: PaneOrder<PendingEntry>.all.count
        case .dead: PaneOrder<DeadLetterLine>.all.count
        }
    }
}

extension ScreenSize {
    var isTooSmall: Bool {
        width < DashboardModel.smallest.width || height < DashboardModel.smallest.height
    }
}

extension Deed {
    /// The reason; `nil` for what needs none.
    var reason: String? {
        switch self {
        case .retry: nil
        case .drop(_, let reason), .take(_, _, let reason): reason
        }
    }

    /// The same for another reason.
    func because(_ reason: String) -> Deed {
        switch self {
        case .retry: self
        case .drop(let letter, _): .drop(letter: letter, reason: reason)
        case .take(let group, let partition, _): .take(group: group, partition: partition, reason: reason)
        }
    }
}
