import Foundation

/// Standard output and standard error.
///
/// Data goes to the one, all else to the other. Written at once, in one call a line, so that lines of several processes
/// don't mix.
enum Console {
    static func error(_ line: String) {
        write(line + "\n", to: STDERR_FILENO)
    }

    static func print(_ text: String) {
        write(text + "\n", to: STDOUT_FILENO)
    }

    /// Writes where a ``ProgressLine`` may stand, which gives way.
    static func write(_ text: String, to descriptor: Int32) {
        ProgressLine.giveWay()
        writeBytes(text, to: descriptor)
    }

    static func writeBytes(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Foundation.write(descriptor, rest.baseAddress, rest.count)
                if count < 0 && errno == EINTR { continue }
                // A reader that went away (`… | head`) wants no more.
                if count <= 0 { return }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    static var outputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
    static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }
}
