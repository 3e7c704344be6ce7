import Glibc
import Synchronization

/// A terminal whose other end the test holds: what a terminal window would be.
///
/// For a program in this process by its descriptor, for a child by its ``path``.
///
/// pty(7): <https://man7.org/linux/man-pages/man7/pty.7.html>
package final class PseudoTerminal: Sendable {
    struct Failure: Error {
        let step: String
        let number = errno
    }

    /// The program's end.
    package let terminal: Int32
    /// Where a child finds it.
    package let path: String
    private let window: Int32
    private let partial = Mutex<[UInt8]>([])

    /// Opens a terminal of so many columns and rows.
    package init(width: Int, height: Int) throws {
        // What posix_openpt, unlockpt and ptsname do, which the module Glibc leaves out: see ioctl_tty(2).
        window = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var unlocked: Int32 = 0
        var number: Int32 = 0
        guard window >= 0, ioctl(window, 0x4004_5431, &unlocked) == 0, ioctl(window, 0x8004_5430, &number) == 0 else {
            throw Failure(step: "/dev/ptmx")
        }
        path = "/dev/pts/\(number)"
        terminal = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard terminal >= 0 else { throw Failure(step: "open") }
        _ = fcntl(window, F_SETFL, O_NONBLOCK)
        resize(width: width, height: height)
    }

    deinit {
        close(terminal)
        close(window)
    }

    /// Changes its size.
    package func resize(width: Int, height: Int) {
        var size = winsize(ws_row: UInt16(height), ws_col: UInt16(width), ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(window, UInt(TIOCSWINSZ), &size)
    }

    /// The modes as text that can be compared.
    package var modes: String {
        var modes = termios()
        guard tcgetattr(terminal, &modes) == 0 else { return "gone" }
        return "\(modes.c_iflag) \(modes.c_oflag) \(modes.c_cflag) \(modes.c_lflag)"
    }

    /// Whether keys come one by one, without echo and signals.
    package var isRaw: Bool {
        var modes = termios()
        guard tcgetattr(terminal, &modes) == 0 else { return false }
        return modes.c_lflag & UInt32(ICANON | ECHO | ISIG) == 0
    }

    /// Types what a person would.
    package func type(_ text: String) {
        _ = text.withCString { write(window, $0, strlen($0)) }
    }

    /// Everything the program has written so far.
    package var output: String {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(window, &bytes, bytes.count)
            guard count > 0 else { break }
            partial.withLock { $0.append(contentsOf: bytes[..<count]) }
        }
        return String(decoding: partial.withLock { $0 }, as: UTF8.self)
    }

    /// The same without the sequences that place and colour it.
    package var plain: String { output.replacing(/\u{1B}\[[?0-9;]*[A-Za-z]/, with: "") }
}
