import Glibc

/// What ends an input: nothing behind it can be read.
package enum InputError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The descriptor could not be read, with its errno; nothing is lost by opening the input again.
    case unreadable(errno: CInt)
    /// What it was compressed to is damaged or cut off, and how.
    case damaged(String)
    /// A CSV's first row does not name the columns, and how it fails to.
    case header(String)

    package var description: String {
        switch self {
        case .unreadable(let number): "the input can't be read: \(String(cString: strerror(number)))"
        case .damaged(let message), .header(let message): message
        }
    }
}
