import Reports

/// Where text stands in a column that is wider than it.
enum Alignment: Sendable {
    case leading
    case trailing
}

extension Character {
    /// How many columns of a terminal the character takes: 1, or 2 for East Asian wide ones and emoji.
    ///
    /// Unicode, East Asian width: <https://www.unicode.org/reports/tr11/>
    var columns: Int {
        guard let scalar = unicodeScalars.first else { return 0 }
        // Most of what is drawn, and quick: nothing wide comes before Hangul, nor among lines and blocks.
        if scalar.value < 0x1100 || (0x2500..<0x25FD).contains(scalar.value) { return 1 }
        if scalar.properties.isEmojiPresentation { return 2 }
        return wideRanges.contains { $0.contains(scalar.value) } ? 2 : 1
    }
}

extension String {
    /// How many columns of a terminal the text takes, when it is ``sanitized(_:)``.
    var columns: Int {
        reduce(0) { $0 + $1.columns }
    }

    /// The sanitized text in exactly so many columns: cut with `…`, or filled up with spaces.
    func fitted(to columns: Int, _ alignment: Alignment = .leading) -> String {
        guard columns > 0 else { return "" }
        var text = sanitized(self)
        var width = text.columns
        if width > columns {
            while width > columns - 1, let last = text.popLast() { width -= last.columns }
            text.append("…")
            width += 1
        }
        let padding = String(repeating: " ", count: columns - width)
        return alignment == .leading ? text + padding : padding + text
    }
}

/// The blocks whose characters are wide: coarse, since a wrong guess costs one crooked line.
private let wideRanges: [ClosedRange<UInt32>] = [
    0x1100...0x115F,  // Hangul consonants
    0x2E80...0x303E, 0x3041...0x33FF,  // radicals, punctuation, kana, squared words
    0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,  // Han, Yi
    0xA960...0xA97F, 0xAC00...0xD7A3,  // Hangul
    0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,  // compatibility and full width
    0x1F300...0x1F64F, 0x1F900...0x1F9FF, 0x20000...0x3FFFD,  // pictographs, Han
]
