@testable import Dashboard

/// As much of a terminal as the dashboard uses: what a person would see after these bytes.
struct Emulator {
    let size: ScreenSize
    private var rows: [[Character?]]
    private var row = 0
    private var column = 0
    private(set) var isAlternate = false
    private(set) var isCursorShown = true

    init(_ bytes: String = "", size: ScreenSize) {
        self.size = size
        rows = Array(repeating: Array(repeating: " ", count: size.width), count: size.height)
        write(bytes)
    }

    var text: [String] {
        rows.map { row in
            var line = String(row.compactMap { $0 })
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    mutating func write(_ bytes: String) {
        var rest = bytes[...]
        while let character = rest.first {
            if character == "\u{1B}", let sequence = rest.prefixMatch(of: /\u{1B}\[(\??)([0-9;]*)([A-Za-z])/) {
                rest = rest[sequence.range.upperBound...]
                let numbers = sequence.2.split(separator: ";").compactMap { Int($0) }
                obey(isPrivate: !sequence.1.isEmpty, numbers, sequence.3)
                continue
            }
            rest.removeFirst()
            put(character)
        }
    }

    private mutating func obey(isPrivate: Bool, _ numbers: [Int], _ final: Substring) {
        switch (isPrivate, final, numbers.first) {
        case (true, "h", 1049), (true, "l", 1049):
            isAlternate = final == "h"
            clear()
        case (true, "h", 25), (true, "l", 25): isCursorShown = final == "h"
        case (false, "H", _): (row, column) = ((numbers.first ?? 1) - 1, (numbers.count > 1 ? numbers[1] : 1) - 1)
        case (false, "J", 2): clear()
        case (false, "K", _) where rows.indices.contains(row):
            for index in min(column, size.width)..<size.width { rows[row][index] = " " }
        default: break
        }
    }

    private mutating func clear() {
        rows = Array(repeating: Array(repeating: " ", count: size.width), count: size.height)
    }

    private mutating func put(_ character: Character) {
        guard rows.indices.contains(row), column + character.columns <= size.width else { return }
        rows[row][column] = character
        if character.columns == 2 { rows[row][column + 1] = nil }
        column += character.columns
    }
}
