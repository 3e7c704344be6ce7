package import Reports

/// How a cell looks: a colour of the terminal's own palette, and its weight.
package struct Style: Sendable, Equatable {
    /// The colours in use.
    package typealias Color = PaletteColor

    /// The colour; `nil` is the terminal's text colour.
    package var color: Color?
    /// Bold.
    package var isBold = false
    /// Faint.
    package var isDim = false
    /// Text and ground changed for each other.
    package var isReversed = false

    static let plain = Style()
    static let dim = Style(isDim: true)
    static let bold = Style(isBold: true)
    static let accent = Style(color: .cyan)
    static let good = Style(color: .green)
    static let waiting = Style(color: .yellow)
    static let alarm = Style(color: .red, isBold: true)

    /// The same, bold instead of faint.
    var emphasized: Style {
        Style(color: color, isBold: true)
    }

    /// The escape sequence that selects the style, from any other.
    ///
    /// ECMA-48, SGR: <https://www.ecma-international.org/publications-and-standards/standards/ecma-48/>
    func sequence(colored: Bool) -> String {
        var codes = ["0"]
        if isBold { codes.append("1") }
        if isDim { codes.append("2") }
        if isReversed { codes.append("7") }
        if colored, let color { codes.append(String(color.rawValue)) }
        return "\u{1B}[" + codes.joined(separator: ";") + "m"
    }
}
