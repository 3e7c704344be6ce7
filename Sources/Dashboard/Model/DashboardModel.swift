package import Reports

/// Why there is no plan, or nothing was done; for people.
package struct DeedFailure: Error, Sendable, Equatable {
    package let text: String

    /// Takes the reason.
    package init(_ text: String) { self.text = text }
}

/// All that the dashboard knows and where its reader is; decides, draws and waits for nothing.
///
/// Keys, snapshots and the time go in; a ``Screen``, the next ``PageQuery`` and an ``Action`` come out. Time is
/// counted from the dashboard's start, and never looked up.
package struct DashboardModel: Sendable {
    /// What the shell must do after a key.
    package enum Action: Sendable, Equatable {
        case none
        /// End the dashboard.
        case quit
        /// Take a snapshot now.
        case refresh
        /// Draw everything anew.
        case redraw
        /// Stop the process, as Ctrl-Z does.
        case suspend
        /// Plan a deed, or do it as the plan says.
        case perform(Deed, confirming: String?)
    }

    /// A box over the panes.
    enum Overlay: Sendable, Equatable {
        case help
        case warnings
        /// An entry as it was last seen, and whether it still is pending.
        case entry(PendingEntry, isPending: Bool)
        /// A dead letter as it was last seen.
        case letter(DeadLetterLine)
        /// A deed that needs a reason, and what of it is typed.
        case reason(Deed)
        /// A deed on its way.
        case deed(Deed, DeedStage)
    }

    /// How far a deed is.
    enum DeedStage: Sendable, Equatable {
        /// Its plan was asked for.
        case planning
        /// Its plan waits for a yes.
        case planned(Deed.Outcome)
        /// It was confirmed; whether it is done nobody knows yet.
        case acting
        case done(Deed.Outcome)
        /// Why there is no plan, or nothing was done.
        case failed(String, whileActing: Bool)
    }

    /// The smallest screen that can be laid out.
    static let smallest = ScreenSize(width: 60, height: 12)
    /// The most pending entries asked for: some screens full, and a small reply at every interval.
    static let pendingEntriesMax = 200
    /// The longest filter.
    static let filterCharactersMax = 40
    /// The longest reason, in bytes: longer ones are refused.
    static let reasonBytesMax = 1000

    /// Which stores are looked at.
    let stores: Snapshot.Environment
    /// How often a snapshot is expected.
    let interval: Duration
    package internal(set) var size: ScreenSize
    /// The time since the dashboard started.
    package internal(set) var now = Duration.zero
    private(set) var snapshot: Snapshot?
    /// When ``snapshot`` came.
    private(set) var snapshotAt = Duration.zero
    /// Why there is no new snapshot.
    private(set) var failure: Snapshot.Unavailable?
    private(set) var histories: [String: RateHistory] = [:]

    var focus = Pane.groups
    var groupsPane = PaneState()
    var partitionsPane = PaneState()
    var pendingPane = PaneState()
    var deadPane = PaneState()
    /// What stands in the last place: pending entries or dead letters.
    var lastPane = Pane.pending
    /// The pending pane shows this partition only.
    var openedPartition: Int?
    var isEditingFilter = false
    package internal(set) var isPaused = false
    var overlay: Overlay?

    /// Makes the model of a dashboard that just started.
    package init(of stores: Snapshot.Environment, interval: Duration, size: ScreenSize) {
        self.stores = stores
        self.interval = interval
        self.size = size
    }

    /// The pending entries that the next snapshot should bring.
    package var query: PageQuery {
        PageQuery(
            group: selectedGroup?.name, partition: openedPartition, limit: Self.pendingEntriesMax,
            withDead: lastPane == .dead)
    }

    /// Takes a new snapshot.
    package mutating func update(_ snapshot: Snapshot, at moment: Duration) {
        let isFirst = self.snapshot == nil
        now = max(now, moment)
        self.snapshot = snapshot
        snapshotAt = moment
        failure = nil
        histories = histories.filter { name, _ in snapshot.groups.contains { $0.name == name } }
        for group in snapshot.groups {
            histories[group.name, default: RateHistory()].add(group.appliedPerSecond, at: moment)
        }
        if isFirst { groupsPane.select(snapshot.groups.first(where: \.needsPerson)?.name) }
        if case .entry(let entry, _) = overlay, let page = pendingPage {
            let present = page.entries.first { $0.key == entry.key }
            overlay = .entry(present ?? entry, isPending: present != nil)
        }
        settle()
    }

    /// Takes what became of a deed that was planned, or done.
    package mutating func take(_ result: Result<Deed.Outcome, DeedFailure>, of deed: Deed, at moment: Duration) {
        now = max(now, moment)
        // Its box was closed: what it does is seen in the panes.
        guard case .deed(deed, let stage) = overlay else { return }
        switch (stage, result) {
        case (.planning, .success(let outcome)): overlay = .deed(deed, .planned(outcome))
        case (.acting, .success(let outcome)): overlay = .deed(deed, .done(outcome))
        case (.planning, .failure(let failure)): overlay = .deed(deed, .failed(failure.text, whileActing: false))
        case (.acting, .failure(let failure)): overlay = .deed(deed, .failed(failure.text, whileActing: true))
        default: break
        }
    }

    /// Notes that no snapshot could be taken; the last one stays in sight.
    package mutating func fail(_ reason: Snapshot.Unavailable, at moment: Duration) {
        now = max(now, moment)
        failure = reason
        settle()
    }

    /// Notes that time passed.
    package mutating func advance(to moment: Duration) {
        now = max(now, moment)
    }

    /// Notes that the terminal has another size.
    package mutating func resize(to size: ScreenSize) {
        self.size = size
        settle()
    }

    /// How old the snapshot in sight is; `nil` before the first.
    var age: Duration? {
        snapshot == nil ? nil : now - snapshotAt
    }

    /// Whether the snapshot is older than it should be.
    var isStale: Bool {
        guard let age, !isPaused else { return false }
        return age > interval * 2 + .seconds(1)
    }

    /// Whether what is in sight is only the last that was known.
    var isLastKnown: Bool { snapshot != nil && (failure != nil || isStale) }

    /// What the servers do now, as far as anybody knows: not what they did when the snapshot in sight was taken.
    var servers: (redis: Snapshot.Server?, postgres: Snapshot.Server?) {
        if let failure { return (failure.redis, failure.postgres) }
        return isStale ? (nil, nil) : (snapshot?.redis, snapshot?.postgres)
    }
}

// What is in the panes.
extension DashboardModel {
    /// The groups in sight, filtered and in order.
    var groups: [Snapshot.Group] {
        PaneOrder<Snapshot.Group>.all[groupsPane.order].sorted(snapshot?.groups ?? [])
            .filter { Self.matches(groupsPane.filter, [$0.name] + ($0.workers ?? [])) }
    }

    /// The group whose partitions and pending entries are shown.
    var selectedGroup: Snapshot.Group? {
        groups.first { $0.name == groupsPane.selected }
    }

    /// The selected group's partitions, filtered and in order.
    var partitions: [Snapshot.Partition] {
        PaneOrder<Snapshot.Partition>.all[partitionsPane.order].sorted(selectedGroup?.partitions ?? [])
            .filter {
                Self.matches(
                    partitionsPane.filter, [$0.key, $0.owner ?? Readable.none, $0.state?.rawValue, $0.error])
            }
    }

    /// The partition on which the reader is.
    var selectedPartition: Snapshot.Partition? {
        partitions.first { $0.key == partitionsPane.selected }
    }

    /// The page that belongs to what is selected; `nil` while it hasn't come.
    var pendingPage: Snapshot.PendingPage? {
        guard let page = snapshot?.pendingPage, let selectedGroup, page.group == selectedGroup.name else { return nil }
        if page.partition == openedPartition { return page }
        guard let openedPartition, page.partition == nil else { return nil }
        let entries = page.entries.filter { $0.partition == openedPartition }
        let total = selectedGroup.partitions.first { $0.partition == openedPartition }?.pending
        return Snapshot.PendingPage(group: page.group, partition: openedPartition, entries: entries, total: total)
    }

    /// The pending entries in sight, filtered and in order.
    var pendingEntries: [PendingEntry] {
        PaneOrder<PendingEntry>.all[pendingPane.order].sorted(pendingPage?.entries ?? [])
            .filter {
                Self.matches(
                    pendingPane.filter, [$0.entry, $0.consumer, $0.id, $0.type, $0.state.rawValue, "p\($0.partition)"])
            }
    }

    /// The pending entry on which the reader is.
    var selectedEntry: PendingEntry? {
        pendingEntries.first { $0.key == pendingPane.selected }
    }

    /// The selected group's dead letters in sight, filtered and in order.
    var deadLetters: [DeadLetterLine] {
        let letters = (snapshot?.deadPage?.letters ?? []).filter { letter in
            selectedGroup.map { letter.groups.contains($0.name) } ?? false
        }
        return PaneOrder<DeadLetterLine>.all[deadPane.order].sorted(letters)
            .filter { Self.matches(deadPane.filter, [$0.letter, $0.id, $0.shop, $0.reason, $0.error]) }
    }

    /// The dead letter on which the reader is.
    var selectedLetter: DeadLetterLine? {
        deadLetters.first { $0.letter == deadPane.selected }
    }

    /// The keys of a pane's rows.
    func keys(of pane: Pane) -> [String] {
        switch pane {
        case .groups: groups.map(\.name)
        case .partitions: partitions.map(\.key)
        case .pending: pendingEntries.map(\.key)
        case .dead: deadLetters.map(\.letter)
        }
    }

    subscript(pane: Pane) -> PaneState {
        get {
            switch pane {
            case .groups: groupsPane
            case .partitions: partitionsPane
            case .pending: pendingPane
            case .dead: deadPane
            }
        }
        set {
            switch pane {
            case .groups: groupsPane = newValue
            case .partitions: partitionsPane = newValue
            case .pending: pendingPane = newValue
            case .dead: deadPane = newValue
            }
        }
    }

    /// Brings selections and scrolling in line with the rows and the size.
    mutating func settle() {
        if focus == .pending || focus == .dead { lastPane = focus }
        let layout = DashboardLayout(self)
        let before = groupsPane.selected
        settle(.groups, layout)
        if before != nil, groupsPane.selected != before { leaveGroup() }
        settle(.partitions, layout)
        settle(.pending, layout)
        settle(.dead, layout)
    }

    /// Forgets where the reader was in the group that was left.
    mutating func leaveGroup() {
        openedPartition = nil
        partitionsPane.rewind()
        pendingPane.rewind()
        deadPane.rewind()
    }

    private mutating func settle(_ pane: Pane, _ layout: DashboardLayout) {
        self[pane].settle(in: keys(of: pane), visible: layout.visibleRows(of: pane))
    }

    private static func matches(_ filter: String, _ texts: [String?]) -> Bool {
        guard !filter.isEmpty else { return true }
        let wanted = filter.lowercased()
        return texts.contains { $0?.lowercased().contains(wanted) ?? false }
    }
}

extension Snapshot.Partition {
    var key: String { String(partition) }
}

extension PendingEntry {
    /// Unique within a group: stream IDs may repeat across partitions.
    var key: String { "\(partition) \(entry)" }
}
