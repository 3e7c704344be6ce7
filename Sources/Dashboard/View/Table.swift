import Reports

/// A column of a pane's table.
struct Column {
    let title: String
    var alignment = Alignment.leading
    /// The least and the most columns of the screen it may take.
    let width: ClosedRange<Int>
    /// Columns of a lower rank go first when the screen is narrow.
    var rank = 10
    /// Whether it takes what the others leave.
    var fills = false
}

/// A cell: text and how it looks.
struct Cell {
    var text: String
    var style = Style.plain

    init(_ text: String, _ style: Style = .plain) {
        self.text = text
        self.style = style
    }

    /// Marked with `!` when it needs a person.
    static func marked(_ text: String, if needsPerson: Bool, else style: Style = .plain) -> Cell {
        needsPerson ? Cell("!" + text, .alarm) : Cell(text, style)
    }
}

/// Rows of cells, laid out for a width.
struct Table {
    private static let gap = 2

    let columns: [Column]
    let rows: [[Cell]]

    /// The columns in sight and how wide each is.
    ///
    /// Which columns are in sight depends on the width alone, so that new numbers don't make them come and go.
    func layout(width: Int) -> [(column: Int, width: Int)] {
        var visible = Array(columns.indices)
        func total(_ widths: [Int]) -> Int { widths.reduce(0, +) + max(0, widths.count - 1) * Self.gap }
        while visible.count > 1, total(visible.map { columns[$0].width.lowerBound }) > width {
            let lowest = visible.map { columns[$0].rank }.min()
            guard let index = visible.lastIndex(where: { columns[$0].rank == lowest }) else { break }
            visible.remove(at: index)
        }
        var widths = visible.map { columns[$0].width.lowerBound }
        var spare = max(0, width - total(widths))
        for (place, index) in visible.enumerated() {
            let natural = min(needed(index), columns[index].width.upperBound)
            let more = min(spare, max(0, natural - widths[place]))
            widths[place] += more
            spare -= more
        }
        if let place = visible.firstIndex(where: { columns[$0].fills }) {
            widths[place] = min(widths[place] + spare, columns[visible[place]].width.upperBound)
        }
        return Array(zip(visible, widths)).map { (column: $0.0, width: $0.1) }
    }

    private func needed(_ column: Int) -> Int {
        rows.reduce(columns[column].title.columns) { max($0, sanitized($1[column].text).columns) }
    }

    /// Draws the header and the rows from `first` on into an area of a screen.
    ///
    /// - Parameters:
    ///   - screen: Where to draw.
    ///   - area: The screen's rows, header included.
    ///   - inside: The screen's columns.
    ///   - first: The first row in sight.
    ///   - selected: The reader's row, if the pane has the focus.
    ///   - isDim: Whether the others are only the last that was known.
    func draw(on screen: inout Screen, area: Range<Int>, inside: Range<Int>, first: Int, selected: Int?, isDim: Bool) {
        let layout = layout(width: inside.count)
        var line = area.lowerBound
        draw(columns.map { Cell($0.title, .dim) }, on: &screen, row: line, from: inside.lowerBound, layout)
        for (index, row) in rows.enumerated().dropFirst(first) {
            line += 1
            guard line < area.upperBound else { break }
            let plain = isDim ? row.map { Cell($0.text, .dim) } : row
            let cells = index == selected ? plain.map { Cell($0.text, $0.style.emphasized) } : plain
            draw(cells, on: &screen, row: line, from: inside.lowerBound, layout)
        }
    }

    private func draw(
        _ cells: [Cell], on screen: inout Screen, row: Int, from start: Int, _ layout: [(column: Int, width: Int)]
    ) {
        var x = start
        for (column, width) in layout {
            screen.put(
                cells[column].text.fitted(to: width, columns[column].alignment), row: row, column: x,
                cells[column].style)
            x += width + Self.gap
        }
    }
}
