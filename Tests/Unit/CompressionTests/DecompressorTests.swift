import CZlib
import CZstd
import Compression
import Testing

@Suite("Reading what gzip and zstd compressed")
struct DecompressorTests {
    /// A megabyte that compresses to something, and not to nothing.
    private static let text: [UInt8] = {
        (0..<20_000).flatMap { (number: UInt64) in
            Array("#\(number);c-\((number &* 0x9E37_79B9_7F4A_7C15) >> 51);TEA 250 g;\(number % 7)\n".utf8)
        }
    }()

    /// Reads a stream that comes in chunks.
    private static func read(
        _ stream: [UInt8], _ format: Decompressor.Format, chunk: Int = .max
    ) throws(Decompressor.Failure) -> [UInt8] {
        let decompressor = Decompressor(format)
        var (rest, read): (ArraySlice<UInt8>, [UInt8]) = (stream[...], [])
        while true {
            while let piece = try decompressor.read() {
                #expect((1...Decompressor.pieceBytes).contains(piece.count))
                read += piece
            }
            if rest.isEmpty { break }
            decompressor.take(Array(rest.prefix(chunk)))
            rest = rest.dropFirst(chunk)
        }
        try decompressor.finish()
        return read
    }

    @Test("what comes out is what went in, however it comes", arguments: Decompressor.Format.allCases)
    func roundTrip(format: Decompressor.Format) throws {
        let stream = Self.compressed(Self.text, format)
        #expect(stream.count < Self.text.count / 2)
        #expect(Decompressor.Format(beginning: stream) == format)
        for chunk in [1, 7, 4096, 65_536, .max] {
            #expect(try Self.read(stream, format, chunk: chunk) == Self.text, "\(chunk)")
        }
        #expect(try Self.read(Self.compressed([], format), format).isEmpty)
    }

    @Test("streams behind each other are one", arguments: Decompressor.Format.allCases)
    func concatenated(format: Decompressor.Format) throws {
        let parts = [
            Array("id,shop\n".utf8), [], Array(repeating: UInt8(ascii: "7"), count: 300_000), [UInt8(ascii: "\n")],
        ]
        var stream = parts.flatMap { Self.compressed($0, format) }
        // As block devices fill up.
        if format == .gzip { stream += [UInt8](repeating: 0, count: 1000) }
        for chunk in [1, 13, .max] { #expect(try Self.read(stream, format, chunk: chunk) == parts.flatMap(\.self)) }
    }

    @Test("cut off anywhere, it says so and gives what was there", arguments: Decompressor.Format.allCases)
    func cutOff(format: Decompressor.Format) throws {
        let stream = Self.compressed(Array(Self.text.prefix(500)), format)
        for length in 1..<stream.count {
            #expect(throws: Decompressor.Failure.cutOff(format), "\(length)") {
                try Self.read(Array(stream.prefix(length)), format, chunk: 3)
            }
        }
        #expect(Decompressor.Failure.cutOff(.gzip).description == "its gzip data is cut off")
    }

    @Test("a byte that is another is found, unless the text is the same", arguments: Decompressor.Format.allCases)
    func damaged(format: Decompressor.Format) throws {
        let text = Array(Self.text.prefix(2000))
        let stream = Self.compressed(text, format)
        // Some bytes have no meaning, and some lengths and distances lead to the same text.
        var found = 0
        for index in stream.indices {
            var other = stream
            other[index] ^= 0x10
            if let read = try? Self.read(other, format) {
                #expect(read == text, "\(index)")
            } else {
                found += 1
            }
        }
        #expect(found > stream.count * 9 / 10)
        do {
            _ = try Self.read(stream + Array("garbage".utf8), format)
            Issue.record("what follows isn't compressed")
        } catch {
            #expect("\(error)".hasPrefix("its \(format.rawValue) data is damaged: "), "\(error)")
        }
    }

    @Test("a small file that is large inside comes out in pieces", arguments: Decompressor.Format.allCases)
    func bomb(format: Decompressor.Format) throws {
        let size = 64 * 1024 * 1024
        let stream = Self.compressed([UInt8](repeating: 0x20, count: size), format)
        #expect(stream.count < size / 500)
        let decompressor = Decompressor(format)
        decompressor.take(stream)
        var count = 0
        while let piece = try decompressor.read() {
            #expect(piece.count <= Decompressor.pieceBytes)
            count += piece.count
        }
        try decompressor.finish()
        #expect(count == size)
    }

    @Test("what it is shows in its first bytes, and in no fewer")
    func format() {
        #expect(Decompressor.Format(beginning: Array("id,shop".utf8)) == nil)
        #expect(Decompressor.Format.isUndecided([]) && Decompressor.Format.isUndecided([0x1F]))
        #expect(Decompressor.Format.isUndecided([0x28, 0xB5, 0x2F]) && !Decompressor.Format.isUndecided([0x1F, 0x8B]))
        #expect(!Decompressor.Format.isUndecided(Array("(id".utf8)))
    }

    private static func compressed(_ bytes: [UInt8], _ format: Decompressor.Format) -> [UInt8] {
        switch format {
        case .gzip:
            var stream = z_stream()
            deflateInit2_(
                &stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
                Int32(MemoryLayout<z_stream>.size))
            defer { deflateEnd(&stream) }
            return [UInt8](unsafeUninitializedCapacity: Int(deflateBound(&stream, UInt(bytes.count)))) { space, count in
                bytes.withUnsafeBufferPointer { bytes in
                    stream.next_in = UnsafeMutablePointer(mutating: bytes.baseAddress)
                    stream.avail_in = uInt(bytes.count)
                    stream.next_out = space.baseAddress
                    stream.avail_out = uInt(space.count)
                    #expect(deflate(&stream, Z_FINISH) == Z_STREAM_END)
                }
                count = space.count - Int(stream.avail_out)
            }
        case .zstd:
            let context = ZSTD_createCCtx()
            defer { ZSTD_freeCCtx(context) }
            ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
            return [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(bytes.count)) { space, count in
                count = bytes.withUnsafeBytes {
                    ZSTD_compress2(context, space.baseAddress, space.count, $0.baseAddress, $0.count)
                }
                #expect(ZSTD_isError(count) == 0)
            }
        }
    }
}
