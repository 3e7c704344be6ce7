import Glibc

/// A terminal that the dashboard takes over and gives back as it was.
///
/// Used by one thread. ``leave()`` puts back the modes, the screen and the cursor; it may be called at any time and twice,
/// and runs at the latest when the terminal is released.
///
/// termios(3): <https://man7.org/linux/man-pages/man3/termios.3.html>
package final class Terminal {
    private let input: Int32
    private let output: Int32
    private let isColored: Bool
    /// The modes to give back; `nil` while the terminal isn't taken over.
    private var original: termios?
    private var shown: Screen?

    /// Looks at a terminal without changing it.
    ///
    /// - Parameters:
    ///   - input: The descriptor that keys come from.
    ///   - output: The descriptor that is drawn on.
    ///   - environment: `TERM` and `NO_COLOR` are looked at.
    /// - Throws: ``DashboardError/notATerminal``, ``DashboardError/dumbTerminal``.
    ///
    /// No colour: <https://no-color.org>
    package init(input: Int32, output: Int32, environment: [String: String]) throws(DashboardError) {
        guard isatty(input) == 1, isatty(output) == 1 else { throw .notATerminal }
        guard let name = environment["TERM"], !name.isEmpty, name != "dumb" else { throw .dumbTerminal }
        self.input = input
        self.output = output
        isColored = (environment["NO_COLOR"] ?? "").isEmpty
    }

    deinit {
        leave()
    }

    /// Takes the terminal over: raw mode, the alternate screen, no cursor.
    ///
    /// Once more after somebody else changed its modes.
    package func enter() throws(DashboardError) {
        var modes = termios()
        guard tcgetattr(input, &modes) == 0 else {
            throw .system(operation: "reading the terminal's modes", errno: errno)
        }
        if original == nil { original = modes }
        cfmakeraw(&modes)
        try set(modes)
        // The alternate screen; no cursor; no wrapping, so that a width guessed wrong costs no more than its line.
        try write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l")
        shown = nil
    }

    /// Gives the terminal back as it was.
    package func leave() {
        guard var modes = original else { return }
        original = nil
        shown = nil
        do {
            try write("\u{1B}[0m\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l")
        } catch {
            // A terminal that is gone needs nothing back; its modes are tried all the same.
        }
        // At once: waiting for the output to drain would hang on a terminal that stopped reading.
        while tcsetattr(input, TCSANOW, &modes) != 0, errno == EINTR {}
    }

    /// The terminal's size; 80×24 when it doesn't tell.
    package var size: ScreenSize {
        var window = winsize()
        guard ioctl(output, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0, window.ws_row > 0 else {
            return ScreenSize(width: 80, height: 24)
        }
        return ScreenSize(width: Int(window.ws_col), height: Int(window.ws_row))
    }

    /// Shows a screen: writes what differs from the one shown before, in one piece.
    package func show(_ screen: Screen) throws(DashboardError) {
        let drawing = screen.drawing(over: shown, colored: isColored)
        shown = screen
        if !drawing.isEmpty { try write(drawing) }
    }

    /// Forgets what is shown, so that the next screen is drawn whole.
    package func forget() {
        shown = nil
    }

    /// Reads what was typed, when ``DashboardPipe/wait(alsoOn:for:)`` said there is something.
    ///
    /// - Returns: `nil` when the terminal is gone.
    package func read() throws(DashboardError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = Glibc.read(input, &bytes, bytes.count)
        if count > 0 { return Array(bytes[..<count]) }
        if count == 0 || errno == EIO { return nil }
        if errno == EINTR || errno == EAGAIN { return [] }
        throw .system(operation: "reading from the terminal", errno: errno)
    }

    var descriptor: Int32 { input }

    private func set(_ modes: termios) throws(DashboardError) {
        var modes = modes
        while tcsetattr(input, TCSANOW, &modes) != 0 {
            guard errno == EINTR else { throw .system(operation: "setting the terminal's modes", errno: errno) }
        }
    }

    private func write(_ text: String) throws(DashboardError) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(output, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                var ready = pollfd(fd: output, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, -1)
            } else if errno != EINTR {
                throw .system(operation: "writing to the terminal", errno: errno)
            }
        }
    }
}
