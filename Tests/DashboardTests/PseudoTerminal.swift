import Glibc
import Synchronization

@testable import Dashboard

/// A terminal whose other end the test holds: what a terminal window would be.
///
/// pty(7): <https://man7.org/linux/man-pages/man7/pty.7.html>
final class PseudoTerminal: Sendable {
    struct Failure: Error {
        let step: String
        let number = errno
    }

    /// The program's end.
    let terminal: Int32
    private let window: Int32
    private let partial = Mutex<[UInt8]>([])

    init(width: Int, height: Int) throws {
        // What posix_openpt, unlockpt and ptsname do, which the module Glibc leaves out: see ioctl_tty(2).
        window = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var unlocked: Int32 = 0
        var number: Int32 = 0
        guard window >= 0, ioctl(window, 0x4004_5431, &unlocked) == 0, ioctl(window, 0x8004_5430, &number) == 0 else {
            throw Failure(step: "/dev/ptmx")
        }
        terminal = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard terminal >= 0 else { throw Failure(step: "open") }
        _ = fcntl(window, F_SETFL, O_NONBLOCK)
        resize(width: width, height: height)
    }

    deinit {
        close(terminal)
        close(window)
    }

    func resize(width: Int, height: Int) {
        var size = winsize(ws_row: UInt16(height), ws_col: UInt16(width), ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(window, UInt(TIOCSWINSZ), &size)
    }

    /// The modes as text that can be compared.
    var modes: String {
        var modes = termios()
        guard tcgetattr(terminal, &modes) == 0 else { return "gone" }
        return "\(modes.c_iflag) \(modes.c_oflag) \(modes.c_cflag) \(modes.c_lflag)"
    }

    /// Whether keys come one by one, without echo and signals.
    var isRaw: Bool {
        var modes = termios()
        guard tcgetattr(terminal, &modes) == 0 else { return false }
        return modes.c_lflag & UInt32(ICANON | ECHO | ISIG) == 0
    }

    func type(_ text: String) {
        _ = text.withCString { write(window, $0, strlen($0)) }
    }

    /// Everything the program has written so far.
    var output: String {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(window, &bytes, bytes.count)
            guard count > 0 else { break }
            partial.withLock { $0.append(contentsOf: bytes[..<count]) }
        }
        return String(decoding: partial.withLock { $0 }, as: UTF8.self)
    }

    /// What a person sees in a window of this size.
    func screen(width: Int, height: Int) -> Emulator {
        Emulator(output, size: ScreenSize(width: width, height: height))
    }
}

/// Waits until a condition holds, at most half a minute.
///
/// - Returns: Whether it came to hold.
func eventually(_ condition: () throws -> Bool) async throws -> Bool {
    let deadline = ContinuousClock.now + .seconds(30)
    while try !condition() {
        guard ContinuousClock.now < deadline else { return false }
        try await Task.sleep(for: .milliseconds(5))
    }
    return true
}
