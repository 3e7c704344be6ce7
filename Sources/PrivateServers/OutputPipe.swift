import Glibc
import ThreadedIO

/// What a child writes, read as it comes.
///
/// It has a thread of its own to wait on. Nothing is read ahead of the reader, so that a slow one makes the child wait
/// and nothing piles up here. One task reads at a time.
package actor OutputPipe {
    private static let chunkBytes = 64 * 1024

    private let executor = ThreadExecutor(name: "output")
    private let descriptor: Descriptor
    private let interrupt = Interrupt()
    private var buffer: [UInt8] = []
    private var isAtEnd = false

    nonisolated package var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ descriptor: Descriptor) {
        self.descriptor = descriptor
    }

    /// The child's lines as they come, without their newlines; invalid UTF-8 is replaced.
    nonisolated package var lines: Lines { Lines(pipe: self) }

    /// Waits for the next line.
    ///
    /// - Returns: nil when the child, and all who have inherited the pipe from it, have closed it.
    /// - Throws: `CancellationError`; nothing is lost.
    package func nextLine() async throws -> String? {
        while true {
            if let newline = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                defer { buffer.removeSubrange(...newline) }
                return String(decoding: buffer[..<newline], as: UTF8.self)
            }
            if isAtEnd {
                defer { buffer = [] }
                return buffer.isEmpty ? nil : String(decoding: buffer, as: UTF8.self)
            }
            try await fill()
        }
    }

    /// Waits for the end, and returns all that has not been read yet.
    ///
    /// - Throws: `CancellationError`; nothing is lost.
    package func rest() async throws -> String {
        while !isAtEnd { try await fill() }
        defer { buffer = [] }
        return String(decoding: buffer, as: UTF8.self)
    }

    private func fill() async throws {
        // Before the handler is set: it signals at once when the task is cancelled already.
        interrupt.clear()
        try await withTaskCancellationHandler {
            switch wait(for: .reading, on: descriptor.number, until: .after(.seconds(3600)), interrupt: interrupt) {
            case .interrupted: throw CancellationError()
            case .timedOut: break
            case .ready: read()
            }
        } onCancel: {
            interrupt.signal()
        }
    }

    private func read() {
        let chunk = [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { bytes, count in
            count = max(0, Glibc.read(descriptor.number, bytes.baseAddress, bytes.count))
        }
        buffer += chunk
        isAtEnd = chunk.isEmpty
    }

    /// The lines of an ``OutputPipe``.
    package struct Lines: AsyncSequence, AsyncIteratorProtocol, Sendable {
        let pipe: OutputPipe

        package func makeAsyncIterator() -> Lines { self }

        package func next() async throws -> String? { try await pipe.nextLine() }
    }
}
