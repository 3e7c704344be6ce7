import Reports

/// An order in which a pane's rows can stand; the first of each pane is where it starts.
struct PaneOrder<Row: Sendable>: Sendable {
    /// What the title says; `nil` is the order of the snapshot.
    let title: String?
    private let isBefore: @Sendable (Row, Row) -> Bool

    private init(title: String?, isBefore: @escaping @Sendable (Row, Row) -> Bool) {
        self.title = title
        self.isBefore = isBefore
    }

    /// The rows in this order; equals keep the snapshot's.
    func sorted(_ rows: [Row]) -> [Row] {
        guard title != nil else { return rows }
        return rows.enumerated().sorted { left, right in
            if isBefore(left.element, right.element) { return true }
            if isBefore(right.element, left.element) { return false }
            return left.offset < right.offset
        }.map(\.element)
    }

    static var natural: PaneOrder { PaneOrder(title: nil) { _, _ in false } }

    /// Greatest first; the unknown at the end.
    static func greatest(_ title: String, _ value: @escaping @Sendable (Row) -> Int?) -> PaneOrder {
        PaneOrder(title: title + " ↓") { (value($0) ?? .min) > (value($1) ?? .min) }
    }

    /// By text; the unknown at the end.
    static func text(_ title: String, _ value: @escaping @Sendable (Row) -> String?) -> PaneOrder {
        PaneOrder(title: title + " ↑") { left, right in
            guard let left = value(left) else { return false }
            return value(right).map { left < $0 } ?? true
        }
    }
}

extension PaneOrder<Snapshot.Group> {
    static let all = [
        natural, greatest("lag") { $0.lag }, greatest("pending") { $0.pending },
        greatest("oldest") { $0.oldestPendingMilliseconds }, text("name") { $0.name },
    ]
}

extension PaneOrder<Snapshot.Partition> {
    static let all = [
        natural, greatest("lag") { $0.lag }, greatest("pending") { $0.pending }, text("owner") { $0.owner },
        text("state") { $0.state?.rawValue },
    ]
}

extension PaneOrder<DeadLetterLine> {
    static let all = [
        natural, greatest("age") { $0.ageMilliseconds }, text("reason") { $0.reason }, text("order") { $0.id },
        text("shop") { $0.shop },
    ]
}

extension PaneOrder<PendingEntry> {
    static let all = [
        natural, greatest("tries") { $0.deliveries }, greatest("idle") { $0.idleMilliseconds },
        text("order") { $0.id }, text("consumer") { $0.consumer },
    ]
}
