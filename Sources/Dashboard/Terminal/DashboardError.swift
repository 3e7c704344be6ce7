import Glibc

/// Why the dashboard can't be shown, or ended.
package enum DashboardError: Error, Equatable, CustomStringConvertible {
    /// Input or output is no terminal.
    case notATerminal
    /// `TERM` names a terminal that can't place the cursor.
    case dumbTerminal
    /// The terminal, or the pipe that wakes the dashboard, failed.
    case system(operation: String, errno: Int32)

    /// What happened, and what to do.
    package var description: String {
        switch self {
        case .notATerminal:
            "the dashboard needs a terminal for its input and output; `onewrite status` prints the same once"
        case .dumbTerminal:
            "the dashboard needs a terminal that can place the cursor (TERM); `onewrite status` prints the same once"
        case .system(let operation, let errno):
            "\(operation): \(String(cString: strerror(errno)))"
        }
    }
}
