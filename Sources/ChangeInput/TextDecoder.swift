/// Makes UTF-8 of an export that a spreadsheet or an old system wrote otherwise.
///
/// UTF-16 is told by its byte order mark. What isn't UTF-8 in its beginning is taken for Windows-1252, which can be any bytes.
final class TextDecoder {
    /// How a file is encoded.
    enum Encoding: String, Sendable {
        case utf8 = "UTF-8"
        case utf16Little = "UTF-16, little endian"
        case utf16Big = "UTF-16, big endian"
        case windows1252 = "Windows-1252"
    }

    /// How much of a file tells how it is encoded.
    static let beginningBytes = 64 * 1024

    /// nil before the first bytes.
    private(set) var encoding: Encoding?
    /// A half of a character, until the rest comes.
    private var rest: [UInt8] = []

    /// Takes the next bytes.
    ///
    /// - Parameter chunk: Of the file, as they follow each other; empty at its end.
    /// - Returns: What they say, in UTF-8.
    func decoded(_ chunk: [UInt8]) -> [UInt8] {
        let known = encoding ?? Self.encoding(of: chunk)
        encoding = known
        switch known {
        case .utf8: return chunk
        case .windows1252:
            var text = String.UnicodeScalarView()
            for byte in chunk {
                let code = byte < 0x80 || byte > 0x9F ? UInt32(byte) : Self.windows1252[Int(byte - 0x80)]
                text.append(Unicode.Scalar(code) ?? "\u{FFFD}")
            }
            return Array(String(text).utf8)
        case .utf16Little, .utf16Big:
            let bytes = rest + chunk
            var units: [UInt16] = []
            units.reserveCapacity(bytes.count / 2)
            for index in stride(from: 0, to: bytes.count - 1, by: 2) {
                let (first, second) = (UInt16(bytes[index]), UInt16(bytes[index + 1]))
                units.append(known == .utf16Little ? second << 8 | first : first << 8 | second)
            }
            rest = bytes.count.isMultiple(of: 2) ? [] : [bytes[bytes.count - 1]]
            // A pair's second half comes with the next chunk.
            if let last = units.last, UTF16.isLeadSurrogate(last), !chunk.isEmpty {
                units.removeLast()
                rest = Array(bytes.suffix(rest.count + 2))
            }
            return Array(String(decoding: units, as: UTF16.self).utf8)
        }
    }

    private static func encoding(of chunk: [UInt8]) -> Encoding {
        let beginning = chunk.prefix(beginningBytes)
        if beginning.starts(with: [0xFF, 0xFE]) { return .utf16Little }
        if beginning.starts(with: [0xFE, 0xFF]) { return .utf16Big }
        // The last character may be cut off.
        for cut in 0...min(3, beginning.count) where beginning.dropLast(cut).isUTF8 { return .utf8 }
        return .windows1252
    }

    /// 0x80 to 0x9F; five of them stand for nothing.
    ///
    /// <https://encoding.spec.whatwg.org/index-windows-1252.txt>
    private static let windows1252: [UInt32] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,
        0x017D,
        0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153,
        0x9D,
        0x017E, 0x0178,
    ]
}
