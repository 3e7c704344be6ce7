import Foundation

/// Lines for standard output, written in large pieces.
final class OutputBuffer {
    private static let pieceBytes = 64 * 1024

    private var bytes: [UInt8] = []
    private let stop: StopRequest

    /// - Parameter stop: Told when nobody reads any more.
    init(stop: StopRequest) {
        self.stop = stop
        bytes.reserveCapacity(Self.pieceBytes + 1024)
    }

    func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
        if bytes.count >= Self.pieceBytes { flush() }
    }

    func flush() {
        defer { bytes.removeAll(keepingCapacity: true) }
        if !bytes.isEmpty, !bytes.isWritten(to: STDOUT_FILENO) { stop.request(.outputClosed) }
    }
}

extension [UInt8] {
    /// Writes all of it, and tells whether that went well; `errno` says why not.
    func isWritten(to descriptor: Int32) -> Bool {
        withUnsafeBytes { bytes in
            var rest = bytes
            while let base = rest.baseAddress, !rest.isEmpty {
                let count = Foundation.write(descriptor, base, rest.count)
                if count < 0 && errno == EINTR { continue }
                if count < 0 && errno == EAGAIN {
                    var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&wait, 1, -1)
                    continue
                }
                if count <= 0 { return false }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
            return true
        }
    }
}
