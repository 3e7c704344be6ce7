import Reports

/// The size of a terminal in characters.
package struct ScreenSize: Sendable, Equatable {
    /// Columns.
    package var width: Int
    /// Rows.
    package var height: Int

    /// Makes a size.
    package init(width: Int, height: Int) {
        self.width = max(0, width)
        self.height = max(0, height)
    }
}

/// What a terminal should show: rows of styled cells.
package struct Screen: Sendable, Equatable {
    struct Cell: Sendable, Equatable {
        /// `nil` is the right half of the wide character before it.
        var character: Character? = " "
        var style = Style.plain
    }

    /// The terminal's size.
    package let size: ScreenSize
    private(set) var rows: [[Cell]]

    /// Makes an empty screen.
    init(size: ScreenSize) {
        self.size = size
        rows = Array(repeating: Array(repeating: Cell(), count: size.width), count: size.height)
    }

    /// Writes text into a row; what doesn't fit is cut off.
    ///
    /// Everything drawn goes through here and is ``sanitized(_:)`` here, so that nothing a store holds can reach the
    /// terminal as a command.
    ///
    /// - Returns: The column after the text.
    @discardableResult
    mutating func put(_ text: String, row: Int, column: Int, _ style: Style = .plain) -> Int {
        guard rows.indices.contains(row), column >= 0 else { return column }
        var column = column
        for character in sanitized(text) {
            let width = character.columns
            guard column + width <= size.width else { break }
            separate(row, column)
            separate(row, column + width)
            rows[row][column] = Cell(character: character, style: style)
            if width == 2 { rows[row][column + 1] = Cell(character: nil, style: style) }
            column += width
        }
        return column
    }

    /// Empties a part of a row.
    mutating func clear(row: Int, columns: Range<Int>) {
        put(String(repeating: " ", count: columns.count), row: row, column: columns.lowerBound)
    }

    /// Keeps halves of wide characters from standing alone at the edge of what is written.
    private mutating func separate(_ row: Int, _ column: Int) {
        guard column > 0, column < size.width, rows[row][column].character == nil else { return }
        rows[row][column - 1].character = " "
        rows[row][column].character = " "
    }

    /// The rows as text, without colours and trailing spaces.
    package var text: [String] {
        rows.map { row in
            var line = String(row.compactMap(\.character))
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}

extension Screen {
    /// The bytes that turn the previous screen into this one; without a previous one of the same size, all of it.
    ///
    /// Only rows that changed are drawn, each by itself from its first column.
    package func drawing(over previous: Screen?, colored: Bool) -> String {
        var bytes = ""
        let previous = previous?.size == size ? previous : nil
        if previous == nil { bytes += "\u{1B}[0m\u{1B}[2J" }
        for (index, row) in rows.enumerated() where previous?.rows[index] != row {
            bytes += "\u{1B}[\(index + 1);1H" + Self.drawing(row, colored: colored)
        }
        return bytes
    }

    private static func drawing(_ row: [Cell], colored: Bool) -> String {
        let end = (row.lastIndex { $0 != Cell() } ?? -1) + 1
        var bytes = "\u{1B}[0m"
        var style = Style.plain
        for cell in row[..<end] {
            guard let character = cell.character else { continue }
            if cell.style != style {
                style = cell.style
                bytes += style.sequence(colored: colored)
            }
            bytes.append(character)
        }
        if style != .plain { bytes += "\u{1B}[0m" }
        // Erasing after the last column would take its character away.
        if end < row.count { bytes += "\u{1B}[K" }
        return bytes
    }
}
