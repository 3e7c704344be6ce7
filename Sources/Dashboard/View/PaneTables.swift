import Reports

// The panes' columns and cells.

extension DashboardModel {
    func table(of pane: Pane, sparkColumns: Int) -> Table {
        switch pane {
        case .groups: groupsTable(sparkColumns)
        case .partitions: partitionsTable
        case .pending: pendingTable
        case .dead: deadTable
        }
    }

    private static let groupColumns = [
        Column(title: "GROUP", width: 9...24),
        Column(title: "LAG", alignment: .trailing, width: 5...13),
        Column(title: "BEHIND", alignment: .trailing, width: 7...9),
        Column(title: "PEND", alignment: .trailing, width: 4...13),
        Column(title: "OLDEST", alignment: .trailing, width: 7...9, rank: 2),
        Column(title: "DEAD", alignment: .trailing, width: 4...9),
        Column(title: "APND/S", alignment: .trailing, width: 6...9, rank: 3),
        Column(title: "APPL/S", alignment: .trailing, width: 6...9),
        Column(title: "CATCH UP", alignment: .trailing, width: 8...9, rank: 4),
        Column(title: "WORKERS", alignment: .trailing, width: 7...9),
        Column(title: "LAST 60 s", width: 9...60, rank: 1, fills: true),
    ]

    /// How wide the sparkline will be.
    func sparkColumns(width: Int) -> Int {
        let layout = groupsTable(0).layout(width: width)
        return layout.first { Self.groupColumns[$0.column].fills }?.width ?? 0
    }

    private func groupsTable(_ sparkColumns: Int) -> Table {
        // A frozen picture must not run empty.
        let moment = isPaused ? snapshotAt : now
        let rows = groups.map { group in
            let spark = histories[group.name]?.sparkline(columns: sparkColumns, now: moment, gap: interval * 3) ?? ""
            return [
                Cell(group.name),
                Cell(Readable.count(group.lag)),
                Cell.marked(Readable.behind(group), if: group.isBehind),
                Cell(Readable.count(group.pending)),
                Cell.marked(Readable.oldest(group), if: group.isOld),
                Cell.marked(Readable.count(group.dead), if: group.hasDead),
                // What was going on says nothing of what does.
                Cell(Readable.rate(isLastKnown ? nil : group.appendPerSecond)),
                Cell(Readable.rate(isLastKnown ? nil : group.appliedPerSecond)),
                Cell(isLastKnown ? Readable.unknown : Readable.catchUp(group)),
                isLastKnown
                    ? Cell(Readable.unknown) : Cell.marked(Readable.count(group.workers?.count), if: group.hasNoWorker),
                Cell(spark, .accent),
            ]
        }
        return Table(columns: Self.groupColumns, rows: rows)
    }

    private static let partitionColumns = [
        Column(title: "P", width: 3...5),
        Column(title: "HEAD", alignment: .trailing, width: 7...15, rank: 4),
        Column(title: "APPLIED", alignment: .trailing, width: 7...15),
        Column(title: "LAG", alignment: .trailing, width: 6...13),
        Column(title: "PEND", alignment: .trailing, width: 5...13),
        Column(title: "OWNER", width: 16...32),
        Column(title: "TOKEN", alignment: .trailing, width: 5...12, rank: 3),
        Column(title: "STATE", width: 8...9),
        Column(title: "EPOCH", alignment: .trailing, width: 5...9, rank: 2),
        Column(title: "REFUSED", alignment: .trailing, width: 7...12, rank: 1),
        Column(title: "ERROR", width: 20...200, rank: 1, fills: true),
    ]

    private var partitionsTable: Table {
        guard let group = selectedGroup else { return Table(columns: Self.partitionColumns, rows: []) }
        let rows = partitions.map { partition in
            let isKnown = partition.state != nil && !isLastKnown
            let state = isLastKnown ? Readable.unknown : partition.state?.rawValue ?? Readable.unknown
            let quiet: Style = partition.state == .serving ? .good : .dim
            return [
                Cell(partition.key),
                Cell(Readable.count(partition.head)),
                Cell(Readable.count(partition.position)),
                Cell(Readable.count(partition.lag)),
                Cell(Readable.count(partition.pending)),
                Cell(isLastKnown ? Readable.unknown : partition.owner ?? (isKnown ? Readable.none : Readable.unknown)),
                Cell(Readable.count(partition.token)),
                Cell.marked(state, if: !isLastKnown && partition.needsPerson(in: group), else: quiet),
                Cell(Readable.count(partition.epoch)),
                Cell(Readable.count(partition.refused)),
                Cell(partition.error ?? "", .waiting),
            ]
        }
        return Table(columns: Self.partitionColumns, rows: rows)
    }

    private static let pendingColumns = [
        Column(title: "ENTRY ID", width: 17...26),
        Column(title: "P", alignment: .trailing, width: 2...5),
        Column(title: "CONSUMER", width: 10...32, rank: 4),
        Column(title: "IDLE", alignment: .trailing, width: 7...9),
        Column(title: "TRY", alignment: .trailing, width: 3...9, rank: 3),
        Column(title: "ORDER", width: 12...40),
        Column(title: "STATE", width: 9...9),
        Column(title: "SEQ", alignment: .trailing, width: 9...15, rank: 2),
        Column(title: "TYPE", width: 15...24, rank: 1),
    ]

    private var pendingTable: Table {
        let rows = pendingEntries.map { entry in
            [
                Cell(entry.entry),
                Cell(String(entry.partition)),
                Cell(entry.consumer),
                Cell(Readable.age(milliseconds: entry.idleMilliseconds)),
                Cell(Readable.count(entry.deliveries)),
                Cell(entry.id ?? Readable.unknown),
                isLastKnown
                    ? Cell(Readable.unknown)
                    : Cell.marked(
                        entry.state.rawValue, if: entry.needsPerson, else: entry.state == .inFlight ? .dim : .waiting),
                Cell(Readable.count(entry.seq)),
                Cell(entry.type ?? Readable.unknown),
            ]
        }
        return Table(columns: Self.pendingColumns, rows: rows)
    }

    private static let deadColumns = [
        Column(title: "LETTER", width: 7...26),
        Column(title: "AGE", alignment: .trailing, width: 6...9),
        Column(title: "REASON", width: 10...14),
        Column(title: "SHOP", width: 6...24, rank: 2),
        Column(title: "ORDER", width: 12...40),
        Column(title: "GROUPS", width: 8...40, rank: 1),
        Column(title: "ERROR", width: 24...200, rank: 3, fills: true),
    ]

    private var deadTable: Table {
        let rows = deadLetters.map { letter in
            [
                Cell(letter.letter),
                Cell(Readable.age(milliseconds: letter.ageMilliseconds)),
                Cell(letter.reason ?? Readable.unknown, .waiting),
                Cell(letter.shop ?? Readable.none),
                Cell(letter.id ?? Readable.none),
                Cell(letter.groups.joined(separator: " ")),
                Cell(letter.error ?? ""),
            ]
        }
        return Table(columns: Self.deadColumns, rows: rows)
    }
}
