import Reports

extension Screen {
    /// Draws a frame with a title at its left and a status at its right.
    mutating func box(rows: Range<Int>, columns: Range<Int>, title: String, status: String, isFocused: Bool) {
        guard rows.count >= 2, columns.count >= 8 else { return }
        let style: Style = isFocused ? .accent : .dim
        let inside = columns.count - 2
        let line = String(repeating: "─", count: inside)
        put("┌" + line + "┐", row: rows.lowerBound, column: columns.lowerBound, style)
        put("└" + line + "┘", row: rows.upperBound - 1, column: columns.lowerBound, style)
        for row in rows.dropFirst().dropLast() {
            put("│", row: row, column: columns.lowerBound, style)
            put("│", row: row, column: columns.upperBound - 1, style)
        }
        let status = sanitized(status)
        let statusWidth = min(status.columns, inside / 2)
        if statusWidth > 0 {
            let column = columns.upperBound - statusWidth - 4
            put(" " + status.fitted(to: statusWidth) + " ", row: rows.lowerBound, column: column, .dim)
        }
        let title = sanitized(title)
        let titleWidth = min(title.columns, inside - statusWidth - 7)
        put(
            " " + title.fitted(to: titleWidth) + " ", row: rows.lowerBound, column: columns.lowerBound + 2,
            isFocused ? .bold : .plain)
    }

    /// Writes text into the middle of a row, cut to the screen.
    mutating func center(_ text: String, row: Int, _ style: Style = .plain) {
        let text = sanitized(text)
        let width = min(text.columns, size.width)
        put(text.fitted(to: width), row: row, column: (size.width - width) / 2, style)
    }
}
