/// A key that was pressed.
package enum Key: Sendable, Equatable {
    /// A printable character.
    case character(Character)
    /// A letter with Ctrl, in lower case.
    case control(Character)
    case enter, escape, tab, backTab, backspace
    case up, down, left, right, pageUp, pageDown, home, end
}
