/// A colour of a terminal's own palette; few, so that each means one thing.
package enum PaletteColor: Int, Sendable, Equatable, CaseIterable {
    /// What needs a person.
    case red = 31
    /// What is well.
    case green = 32
    /// What waits or ages.
    case yellow = 33
    /// Where the reader is.
    case cyan = 36
    // The reader's own choice for an environment only.
    case blue = 34
    case magenta = 35

    /// As settings call it.
    package var name: String { "\(self)" }
}
