import Glibc

/// Reads a file descriptor in chunks: a file, a pipe, a terminal.
///
/// The caller owns the descriptor, and closes it after the last read.
///
/// <https://man7.org/linux/man-pages/man2/read.2.html>
package struct DescriptorSource: Sendable {
    private let descriptor: CInt
    private static let chunkBytes = 256 * 1024

    package init(_ descriptor: CInt) {
        self.descriptor = descriptor
    }

    /// Reads what is there, and waits for it if need be: this blocks its thread.
    ///
    /// - Returns: 1 byte to 256 KiB; nil at the end.
    /// - Throws: ``InputError/unreadable(errno:)``.
    package func read() throws(InputError) -> [UInt8]? {
        while true {
            var failure: CInt = 0
            let chunk = [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { space, count in
                let got = Glibc.read(descriptor, space.baseAddress, Self.chunkBytes)
                if got < 0 { failure = errno }
                count = max(got, 0)
            }
            switch failure {
            case 0: return chunk.isEmpty ? nil : chunk
            case EINTR: continue
            case EAGAIN: try waitReadable()
            default: throw .unreadable(errno: failure)
            }
        }
    }

    /// Standard input does not block when whoever shares the terminal or pipe has set it so.
    private func waitReadable() throws(InputError) {
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wait, 1, -1) >= 0 || errno == EINTR else { throw .unreadable(errno: errno) }
    }
}
