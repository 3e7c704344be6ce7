import FoundationEssentials
import Reports

extension DashboardModel {
    /// Draws a box over the panes.
    func draw(_ overlay: Overlay, on screen: inout Screen) {
        switch overlay {
        case .help: drawHelp(on: &screen)
        case .warnings: drawWarnings(on: &screen)
        case .entry(let entry, let isPending): draw(entry, isPending, on: &screen)
        case .letter(let letter): draw(letter, on: &screen)
        case .reason(let deed): drawReason(of: deed, on: &screen)
        case .deed(let deed, let stage): draw(deed, stage, on: &screen)
        }
    }

    /// Draws an empty box in the middle and returns its inside.
    private func drawBox(
        _ title: String, width: Int, height: Int, on screen: inout Screen
    ) -> (rows: Range<Int>, columns: Range<Int>) {
        let width = min(width + 6, size.width)
        let room = DashboardLayout.headRows..<size.height - 1
        let height = min(height + 2, room.count)
        let left = (size.width - width) / 2
        let top = max(room.lowerBound, (size.height - 1 - height) / 2)
        let cleared = max(0, left - 1)..<min(size.width, left + width + 1)
        for row in top..<top + height { screen.clear(row: row, columns: cleared) }
        screen.box(
            rows: top..<top + height, columns: left..<left + width, title: title, status: "", isFocused: true)
        return (top + 1..<top + height - 1, left + 3..<left + width - 3)
    }

    private func drawHelp(on screen: inout Screen) {
        let keys = [
            ("tab ⇧tab", "next, previous pane"), ("/", "filter the pane"),
            ("↑↓ j k", "row"), ("s", "next order"),
            ("PgUp PgDn", "page"), ("p", "pause, go on"),
            ("Home End", "first, last row"), ("r", "refresh now"),
            ("⏎", "open: its partitions,"), ("w", "all warnings"),
            ("", "pending, details"), ("d", "dead letters, back"),
            ("R D", "retry, drop a letter"), ("T", "take what stalls"),
            ("", "first their plan"), ("esc q", "back (q: quit)"),
        ]
        let (rows, columns) = drawBox("Help", width: 54, height: keys.count / 2 + 3, on: &screen)
        for (index, (key, text)) in keys.enumerated() {
            let isRight = index % 2 == 1
            let column = columns.lowerBound + (isRight ? 32 : 0)
            let row = rows.lowerBound + index / 2
            guard rows.contains(row) else { return }
            screen.put(key, row: row, column: column, .bold)
            let room = isRight ? columns.upperBound - column - 6 : 21
            screen.put(text.fitted(to: min(room, text.columns)), row: row, column: column + (isRight ? 6 : 10))
        }
        let marks = ["! needs a person   ? unknown   – none   ~ last known", "● answers   ○ doesn't   ▸ where you are"]
        for (index, text) in marks.enumerated() where rows.contains(rows.lowerBound + keys.count / 2 + 1 + index) {
            screen.put(text, row: rows.lowerBound + keys.count / 2 + 1 + index, column: columns.lowerBound, .dim)
        }
    }

    private func drawWarnings(on screen: inout Screen) {
        let widest = min(100, size.width - 6)
        let lines =
            notices.isEmpty
            ? ["nothing needs a person"]
            : notices.flatMap { notice in
                Self.wrapped(notice, width: widest - 2).enumerated().map { ($0.offset == 0 ? "! " : "  ") + $0.element }
            }
        let width = lines.map(\.columns).max() ?? 0
        let (rows, columns) = drawBox("Warnings", width: max(30, width), height: lines.count, on: &screen)
        for (row, line) in zip(rows, lines) { screen.put(line, row: row, column: columns.lowerBound) }
        if lines.count > rows.count, let last = rows.last {
            let more = "  … \(lines.count - rows.count + 1) more lines: onewrite status"
            screen.put(more.fitted(to: columns.count), row: last, column: columns.lowerBound, .dim)
        }
    }

    private func draw(_ entry: PendingEntry, _ isPending: Bool, on screen: inout Screen) {
        let tries = entry.deliveries == 1 ? "delivered once" : "delivered \(Readable.count(entry.deliveries)) times"
        let fields = [
            ("Entry ID", entry.entry),
            ("Appended", Self.appended(entry.entry) ?? Readable.unknown),
            ("Place", "partition \(entry.partition), seq \(Readable.count(entry.seq))"),
            ("Change", entry.id ?? Readable.unknown),
            ("Type", entry.type ?? Readable.unknown),
            ("Group", entry.group),
            ("Consumer", entry.consumer),
            ("Idle", "\(Readable.age(milliseconds: entry.idleMilliseconds)), \(tries)"),
            (
                "State",
                isPending ? "\(entry.state.rawValue): \(entry.state.meaning)" : "acknowledged: no longer pending"
            ),
        ]
        drawFields("Pending entry", fields, alarming: isPending && entry.needsPerson ? "State" : nil, on: &screen)
    }

    private func draw(_ letter: DeadLetterLine, on screen: inout Screen) {
        drawFields(
            "Dead letter",
            [
                ("Letter", letter.letter),
                (
                    "Set aside",
                    "\(Readable.age(milliseconds: letter.ageMilliseconds)) ago, by \(letter.groups.joined(separator: " "))"
                ),
                ("Shop", letter.shop ?? Readable.none),
                ("Change", letter.id ?? Readable.none),
                ("Reason", letter.reason ?? Readable.unknown),
                ("Error", letter.error ?? Readable.unknown),
                ("Fields", "onewrite dead show \(letter.letter)"),
            ], alarming: nil, on: &screen)
    }

    /// Draws a box of labelled values.
    private func drawFields(
        _ title: String, _ fields: [(label: String, value: String)], alarming: String?, on screen: inout Screen
    ) {
        let natural = fields.map { sanitized($0.value).columns }.max() ?? 0
        let width = min(max(46, natural + 11), size.width - 6)
        let (rows, columns) = drawBox(title, width: width, height: fields.count, on: &screen)
        for (row, (label, value)) in zip(rows, fields) {
            screen.put(label, row: row, column: columns.lowerBound, .dim)
            let style: Style = label == alarming ? .alarm : .plain
            let text = (style == .alarm ? "!" : "") + value
            screen.put(text.fitted(to: columns.count - 11), row: row, column: columns.lowerBound + 11, style)
        }
    }

    private func drawReason(of deed: Deed, on screen: inout Screen) {
        let width = min(64, size.width - 6)
        let (rows, columns) = drawBox(deed.title, width: width, height: 3, on: &screen)
        let lines = zip(rows, ["Why? It is recorded with your name.", "", ""])
        for (row, line) in lines { screen.put(line, row: row, column: columns.lowerBound, .dim) }
        guard let row = rows.last, let reason = deed.reason else { return }
        let typed = sanitized(reason)
        // The end is what is being typed.
        let room = columns.count - 3
        let shown = typed.columns > room ? "…" + String(typed.suffix(room / 2)) : typed
        let end = screen.put("› ", row: row, column: columns.lowerBound, Style.accent.emphasized)
        screen.put(shown + "▏", row: row, column: end)
    }

    private func draw(_ deed: Deed, _ stage: DeedStage, on screen: inout Screen) {
        let (heading, texts): (String, [String]) =
            switch stage {
            case .planning: ("asking what it would do…", [])
            case .planned(let outcome):
                (outcome.plan == nil ? "Nothing to do:" : "This would be done. Do it? y: yes, esc: no", outcome.lines)
            case .acting: ("doing it…", [])
            case .done(let outcome): ("Done:", outcome.lines)
            case .failed(let reason, let whileActing):
                (whileActing ? "! Not known to be done:" : "! Nothing was changed:", [reason])
            }
        let widest = min(90, size.width - 6)
        let lines = texts.flatMap { Self.wrapped($0, width: widest) }
        let width = ([heading] + lines).map(\.columns).max() ?? 0
        let (rows, columns) = drawBox(
            deed.title, width: max(44, min(width, widest)), height: lines.count + 2, on: &screen)
        guard let first = rows.first else { return }
        var style = Style.bold
        if case .failed = stage { style = .alarm }
        screen.put(heading, row: first, column: columns.lowerBound, style)
        for (row, line) in zip(rows.dropFirst(2), lines) {
            screen.put(line.fitted(to: min(columns.count, line.columns)), row: row, column: columns.lowerBound)
        }
    }

    /// When a stream ID says the entry was appended: Redis makes them from its clock.
    ///
    /// Redis: <https://redis.io/docs/latest/develop/data-types/streams/#entry-ids>
    private static func appended(_ entry: String) -> String? {
        guard let milliseconds = entry.split(separator: "-").first.flatMap({ Int($0) }),
            (0..<253_402_300_800_000).contains(milliseconds)
        else { return nil }
        return Snapshot.timestamp(Date(timeIntervalSince1970: Double(milliseconds) / 1000))
    }

    /// Breaks a text into lines at its spaces.
    static func wrapped(_ text: String, width: Int) -> [String] {
        var lines = [""]
        for word in sanitized(text).split(separator: " ").map(String.init) {
            let line = lines[lines.count - 1]
            if line.isEmpty {
                lines[lines.count - 1] = word
            } else if line.columns + 1 + word.columns <= width {
                lines[lines.count - 1] = line + " " + word
            } else {
                lines.append(word)
            }
        }
        return lines.map { $0.fitted(to: min(width, $0.columns)) }
    }
}

extension PendingEntry.State {
    fileprivate var meaning: String {
        switch self {
        case .inFlight: "a live worker has it"
        case .orphaned: "its consumer is gone; another reclaims it"
        case .lost: "it is no longer in the log"
        }
    }
}

extension Deed {
    fileprivate var title: String {
        switch self {
        case .retry(let letter): "Append \(letter) again"
        case .drop(let letter, _): "Drop \(letter)"
        case .take(let group, let partition, _): "Take what stalls \(group), partition \(partition)"
        }
    }
}
