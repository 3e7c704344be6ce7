import Foundation
import Synchronization

/// The line on standard error that shows how far a command is, redrawn in place.
///
/// Only on a terminal, only when a command has taken more than a second, and gone when it ends or says something. There is one
/// terminal, so there is one line; safe from every thread.
enum ProgressLine {
    private static let patience: Duration = .seconds(1)
    private static let interval: Duration = .milliseconds(100)
    private static let isPossible =
        Console.errorIsTerminal && ProcessInfo.processInfo.environment["TERM"] != "dumb"

    private struct State {
        /// The command's name; nil while nothing is to be drawn.
        var title: String?
        var step: String?
        /// A whole line, in place of title and step.
        var line: String?
        var begun = ContinuousClock.now
        var drawnAt = ContinuousClock.now
        var isOnScreen = false

        var isDue: Bool {
            let now = ContinuousClock.now
            return title != nil && begun.duration(to: now) >= patience && drawnAt.duration(to: now) >= interval
        }

        mutating func draw() {
            guard isDue, let title else { return }
            let parts = [title, step, "\(begun.duration(to: .now).components.seconds)s"]
            let text = line ?? parts.compactMap(\.self).joined(separator: " · ")
            drawnAt = .now
            isOnScreen = true
            Console.writeBytes("\r\(cut(text))\u{1b}[K", to: STDERR_FILENO)
        }

        mutating func erase() {
            // What follows may be several lines.
            drawnAt = .now
            guard isOnScreen else { return }
            isOnScreen = false
            Console.writeBytes("\r\u{1b}[K", to: STDERR_FILENO)
        }
    }

    private static let state = Mutex(State())

    /// Begins to show a command's name and the time that it has taken.
    static func begin(_ title: String) {
        guard isPossible else { return }
        state.withLock { $0 = State(title: title) }
    }

    /// Draws what ``begin(_:)`` began until it is cancelled.
    static func redraw() async {
        while isPossible, state.withLock({ $0.title != nil }), !Task.isCancelled {
            do {
                try await Task.sleep(for: interval)
                state.withLock { $0.draw() }
            } catch {
                break
            }
        }
        hide()
    }

    /// Says what the command is at: `partition 3 of 8`.
    static func say(_ step: @autoclosure () -> String) {
        guard isPossible else { return }
        let step = step()
        state.withLock { ($0.step, $0.line) = (step, nil) }
    }

    /// Shows a whole line, made anew ten times a second at most.
    static func show(_ line: () -> String) {
        guard isPossible, state.withLock({ $0.isDue }) else { return }
        let line = line()
        state.withLock { state in
            state.line = line
            state.draw()
        }
    }

    /// Takes the line off the screen until there is something new to show.
    static func clear() {
        guard isPossible else { return }
        state.withLock { state in
            state.line = nil
            state.erase()
        }
    }

    /// Makes room for something that is said; the line comes back behind it.
    static func giveWay() {
        guard isPossible else { return }
        state.withLock { $0.erase() }
    }

    /// Shows nothing more.
    static func hide() {
        guard isPossible else { return }
        state.withLock { state in
            state.title = nil
            state.erase()
        }
    }

    /// A line that is wider than the terminal would scroll it at each drawing.
    private static func cut(_ text: String) -> String {
        var size = winsize()
        let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return String(text.prefix(Int(isKnown ? size.ws_col : 80) - 1))
    }
}
