internal import CZlib
internal import CZstd

/// Reads what gzip or zstd has compressed, a piece at a time: what comes out of a few bytes may be very long.
///
/// Compressed streams that follow each other are read as one, as `gzip -dc` and `zstd -dc` read them. Holds what it was given
/// last and the window: 32 KiB of gzip, up to 128 MiB of zstd, beyond which libzstd refuses a stream.
///
/// <https://www.zlib.net/manual.html>, <https://facebook.github.io/zstd/zstd_manual.html>
package final class Decompressor {
    /// How a stream is compressed.
    package enum Format: String, Sendable, CaseIterable {
        case gzip, zstd

        /// What a stream begins with.
        var magic: [UInt8] {
            switch self {
            case .gzip: [0x1F, 0x8B]
            case .zstd: [0x28, 0xB5, 0x2F, 0xFD]
            }
        }

        /// Tells it by a stream's beginning.
        ///
        /// - Parameter beginning: The first bytes; nil comes of what is none.
        package init?(beginning: [UInt8]) {
            guard let format = Self.allCases.first(where: { beginning.starts(with: $0.magic) }) else { return nil }
            self = format
        }

        /// Whether more bytes are needed to tell.
        package static func isUndecided(_ beginning: [UInt8]) -> Bool {
            allCases.contains { beginning.count < $0.magic.count && $0.magic.starts(with: beginning) }
        }
    }

    /// What makes a stream unreadable.
    package enum Failure: Error, Sendable, Hashable, CustomStringConvertible {
        /// It isn't what was compressed, with what the library says.
        case damaged(Format, String)
        /// It ends before its end.
        case cutOff(Format)

        package var description: String {
            switch self {
            case .damaged(let format, let reason): "its \(format) data is damaged: \(reason)"
            case .cutOff(let format): "its \(format) data is cut off"
            }
        }
    }

    package static let pieceBytes = 256 * 1024

    package let format: Format
    private let codec: Codec
    private var input: [UInt8] = []
    private var used = 0
    /// Whether all of the streams that were begun have ended.
    private var isBetweenStreams = true
    /// Whether there may be more to come out of what was given.
    private var isFull = false

    /// The version of the library that reads a format.
    package static func libraryVersion(of format: Format) -> String {
        switch format {
        case .gzip: String(cString: zlibVersion())
        case .zstd: String(cString: ZSTD_versionString())
        }
    }

    package init(_ format: Format) {
        self.format = format
        codec =
            switch format {
            case .gzip: .gzip(Inflation())
            case .zstd: .zstd(ZstdDecompression())
            }
    }

    /// Whether it may have something to give without more of the compressed stream.
    package var hasMore: Bool { used < input.count || isFull }

    /// Gives what comes next of the compressed stream, once ``read()`` had nothing more to give.
    package func take(_ chunk: [UInt8]) {
        input = used == input.count ? chunk : Array(input[used...]) + chunk
        used = 0
    }

    /// Reads what was compressed.
    ///
    /// - Returns: 1 byte to 256 KiB; nil when it needs more of the stream.
    /// - Throws: ``Failure/damaged(_:_:)``.
    package func read() throws(Failure) -> [UInt8]? {
        while hasMore {
            if isBetweenStreams, format == .gzip {
                // Zeros behind a stream, with which tapes and block devices fill up, are no stream.
                used = input[used...].firstIndex { $0 != 0 } ?? input.count
                if used == input.count { break }
            }
            var step = Step()
            let piece = [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { space, count in
                step = input[used...].withUnsafeBufferPointer { codec.step(from: $0, into: space) }
                count = step.written
            }
            used += step.used
            if let problem = step.problem { throw .damaged(format, problem) }
            isBetweenStreams = step.isEnd
            isFull = !step.isEnd && piece.count == Self.pieceBytes
            if !piece.isEmpty { return piece }
            if step.used == 0, !step.isEnd { break }
        }
        return nil
    }

    /// Looks whether the stream may end here.
    ///
    /// - Throws: ``Failure/cutOff(_:)``.
    package func finish() throws(Failure) {
        if !isBetweenStreams { throw .cutOff(format) }
    }
}

/// What a library made of the bytes that it was given.
private struct Step {
    var used = 0
    var written = 0
    /// Whether a stream has ended.
    var isEnd = false
    var problem: String?
}

private enum Codec {
    case gzip(Inflation)
    case zstd(ZstdDecompression)

    func step(from input: UnsafeBufferPointer<UInt8>, into space: UnsafeMutableBufferPointer<UInt8>) -> Step {
        switch self {
        case .gzip(let codec): codec.step(from: input, into: space)
        case .zstd(let codec): codec.step(from: input, into: space)
        }
    }
}

/// zlib's state, which has a place of its own: zlib's points back to it.
private final class Inflation {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private var hasEnded = false
    private let code: Int32

    init() {
        stream.initialize(to: z_stream())
        // The largest window, and the header is gzip's.
        code = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func step(from input: UnsafeBufferPointer<UInt8>, into space: UnsafeMutableBufferPointer<UInt8>) -> Step {
        guard code == Z_OK else { return Step(problem: reason(code)) }
        if hasEnded {
            inflateReset(stream)
            hasEnded = false
        }
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        stream.pointee.avail_in = uInt(input.count)
        stream.pointee.next_out = space.baseAddress
        stream.pointee.avail_out = uInt(space.count)
        let code = inflate(stream, Z_NO_FLUSH)
        hasEnded = code == Z_STREAM_END
        var step = Step(
            used: input.count - Int(stream.pointee.avail_in), written: space.count - Int(stream.pointee.avail_out),
            isEnd: hasEnded)
        // Z_BUF_ERROR: it needs more.
        if ![Z_OK, Z_STREAM_END, Z_BUF_ERROR].contains(code) { step.problem = reason(code) }
        return step
    }

    private func reason(_ code: Int32) -> String {
        stream.pointee.msg.map { String(cString: $0) } ?? String(cString: zError(code))
    }
}

private final class ZstdDecompression {
    private let stream = ZSTD_createDStream()

    deinit { ZSTD_freeDStream(stream) }

    func step(from input: UnsafeBufferPointer<UInt8>, into space: UnsafeMutableBufferPointer<UInt8>) -> Step {
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var target = ZSTD_outBuffer(dst: space.baseAddress, size: space.count, pos: 0)
        let rest = ZSTD_decompressStream(stream, &target, &source)
        guard ZSTD_isError(rest) == 0 else { return Step(problem: String(cString: ZSTD_getErrorName(rest))) }
        return Step(used: source.pos, written: target.pos, isEnd: rest == 0)
    }
}
