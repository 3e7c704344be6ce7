import OrderLog

/// Parts a stream of bytes into records: lines, or a CSV's rows, whose quoted fields may hold line breaks.
///
/// Holds no more than a few chunks and records: of one beyond ``Limits/inputLineBytesMax`` only the beginning is kept.
struct RecordFramer {
    /// One record, without its line break.
    enum Record {
        /// Where it is in ``RecordFramer/bytes``, until the next call.
        case whole(Range<Int>)
        /// The beginning of one that is too long.
        case tooLong([UInt8])
    }

    /// What of a rejected row is kept.
    static let keptBytesMax = 64 * 1024

    private let read: () throws(InputError) -> [UInt8]?
    private let isReady: (ContinuousClock.Instant) -> Bool
    /// What parts a CSV's fields: only behind it, or at a row's beginning, a quotation mark opens a field.
    var separator = UInt8(ascii: ",")
    private(set) var bytes: [UInt8] = []
    /// Where the next record begins in `bytes`.
    private var start = 0
    private var isAtEnd = false
    private var quotes = Quotes.fieldStart

    /// The line that the last record began on, from 1.
    private(set) var line = 0
    /// The line that the next record begins on.
    private var nextLine = 1
    /// Bytes that the records so far took up, with their line breaks.
    private(set) var bytesConsumed = 0

    /// Whether the last call gave nothing because the input didn't come in time.
    private(set) var isStarved = false

    /// Whether the last record ended with the input, and a quote was still open.
    var endsInQuotes: Bool { quotes == .inside }

    /// Where a CSV's scanner is: only outside quotes a line break ends the record.
    private enum Quotes {
        case fieldStart, plain, inside, closed
    }

    init(
        isReady: @escaping (ContinuousClock.Instant) -> Bool, read: @escaping () throws(InputError) -> [UInt8]?
    ) {
        self.isReady = isReady
        self.read = read
    }

    /// The input's first bytes behind a byte order mark, which is dropped; call it before the first record.
    mutating func beginning() throws(InputError) -> ArraySlice<UInt8> {
        while bytes.count < 3, try fill() {}
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { consume(3) }
        // Whether JSON is a document shows a little behind its first byte.
        while bytes.count - start < Self.keptBytesMax, InputFormat.isDocument(bytes[start...]) == nil, try fill() {}
        return bytes[start...]
    }

    /// Reads up to the next record's end.
    ///
    /// - Parameters:
    ///   - quoted: Whether a line break between quotes belongs to the record.
    ///   - deadline: When to wait for the input no longer; nil: as long as it takes.
    /// - Returns: nil at the input's end, or, when ``isStarved``, for the time being.
    /// - Throws: ``InputError/unreadable(errno:)``.
    mutating func next(quoted: Bool, until deadline: ContinuousClock.Instant? = nil) throws(InputError) -> Record? {
        let former = line
        line = nextLine
        isStarved = false
        quotes = .fieldStart
        var beginning: [UInt8]?
        var scanned = 0
        while true {
            let end = endOfRecord(from: start + scanned, quoted: quoted)
            scanned = (end ?? bytes.count) - start
            if scanned > Limits.inputLineBytesMax, beginning == nil {
                beginning = Array(bytes[start..<start + Self.keptBytesMax])
            }
            if beginning != nil {
                consume(scanned)
                scanned = 0
            }
            if end == nil, beginning == nil, !isAtEnd, let deadline, !isReady(deadline) {
                // As if nothing had been looked at.
                (nextLine, line, isStarved) = (line, former, true)
                return nil
            }
            if end == nil, try fill() { continue }
            if end == nil, scanned == 0, beginning == nil { return nil }
            let record = start..<start + scanned
            consume(scanned + (end == nil ? 0 : 1))
            if end != nil { nextLine += 1 }
            return beginning.map(Record.tooLong) ?? .whole(trimmed(record))
        }
    }

    /// The member that holds the list of orders of a JSON document, `{"orders":[`, as shops' APIs answer.
    var wrapper: String?
    private var isWrapped = false

    /// Steps into a document that is one object with the list of orders in it, as ``wrapper`` says.
    ///
    /// - Returns: Whether it is one.
    /// - Throws: ``InputError/unreadable(errno:)``.
    mutating func openWrapper() throws(InputError) -> Bool {
        guard let wrapper, !isWrapped else { return false }
        // From `start` on: more of the input may move what is there.
        var length = 0
        for part in ["{", "\"\(wrapper)\"", ":", "["] {
            var hasMore = true
            while hasMore {
                while start + length < bytes.count, bytes[start + length].isSpace { length += 1 }
                hasMore = bytes.count - start - length < part.utf8.count ? try fill() : false
            }
            guard bytes[(start + length)...].starts(with: part.utf8) else { return false }
            length += part.utf8.count
        }
        nextLine += bytes[start..<start + length].count { $0 == 0x0A }
        consume(length)
        isWrapped = true
        return true
    }

    /// Passes over what stands behind the list in the object that holds it: how many there are, what was asked for.
    private mutating func closeWrapper() throws(InputError) {
        var nesting = JSONNesting(depth: 2)
        while nesting.depth > 0 {
            if start == bytes.count, try !fill() { break }
            nesting.take(bytes[start])
            if bytes[start] == 0x0A { nextLine += 1 }
            consume(1)
        }
        isWrapped = false
    }

    /// Reads up to the end of the next object of a JSON document: of a list, or of objects that stretch over lines.
    ///
    /// - Returns: nil at the input's end.
    /// - Throws: ``InputError/unreadable(errno:)``.
    mutating func nextObject() throws(InputError) -> Record? {
        isStarved = false
        while true {
            while start < bytes.count, bytes[start].isSpace || Self.betweenObjects.contains(bytes[start]) {
                if isWrapped, bytes[start] == UInt8(ascii: "]") {
                    try closeWrapper()
                    continue
                }
                if bytes[start] == 0x0A { nextLine += 1 }
                consume(1)
            }
            if start < bytes.count {
                // Pages that were put behind each other.
                if try openWrapper() { continue }
                break
            }
            guard try fill() else { return nil }
        }
        line = nextLine
        var (scanned, nesting) = (0, JSONNesting())
        var beginning: [UInt8]?
        var (isWhole, hasMore) = (false, false)
        repeat {
            while start + scanned < bytes.count, !isWhole {
                let byte = bytes[start + scanned]
                scanned += 1
                if byte == 0x0A { nextLine += 1 }
                // What is no object at all ends with its line.
                isWhole = nesting.take(byte) || byte == 0x0A && nesting.depth == 0
            }
            if scanned > Limits.inputLineBytesMax, beginning == nil {
                beginning = Array(bytes[start..<start + Self.keptBytesMax])
            }
            if beginning != nil {
                consume(scanned)
                scanned = 0
            }
            hasMore = isWhole ? false : try fill()
        } while hasMore
        let record = start..<start + scanned
        consume(scanned)
        return beginning.map(Record.tooLong) ?? .whole(record)
    }

    /// What stands between a list's objects, or behind the last.
    private static let betweenObjects = [UInt8(ascii: ","), UInt8(ascii: "["), UInt8(ascii: "]")]

    /// Without the CR of a CRLF.
    private func trimmed(_ record: Range<Int>) -> Range<Int> {
        record.isEmpty || bytes[record.upperBound - 1] != 0x0D ? record : record.lowerBound..<record.upperBound - 1
    }

    private mutating func consume(_ count: Int) {
        start += count
        bytesConsumed += count
    }

    /// The line break that ends the record; nil when what is read so far has none.
    private mutating func endOfRecord(from first: Int, quoted: Bool) -> Int? {
        guard quoted else { return bytes[first...].firstIndex(of: 0x0A) }
        for index in first..<bytes.count {
            let byte = bytes[index]
            switch quotes {
            case .inside:
                if byte == UInt8(ascii: "\"") { quotes = .closed }
                if byte == 0x0A { nextLine += 1 }
                continue
            case .fieldStart where byte == UInt8(ascii: "\""), .closed where byte == UInt8(ascii: "\""):
                quotes = .inside
                continue
            default: break
            }
            if byte == 0x0A { return index }
            quotes = byte == separator ? .fieldStart : .plain
        }
        return nil
    }

    /// Reads a chunk behind what is not consumed yet.
    ///
    /// - Returns: Whether there was one.
    private mutating func fill() throws(InputError) -> Bool {
        guard !isAtEnd, let chunk = try read() else {
            isAtEnd = true
            return false
        }
        // Moved once half of it is used up, so that tiny chunks don't move the same bytes over and over.
        if start > bytes.count / 2 || start == bytes.count {
            bytes.removeSubrange(..<start)
            start = 0
        }
        bytes.append(contentsOf: chunk)
        return true
    }
}

/// How deep a place in JSON is.
private struct JSONNesting {
    private(set) var depth = 0
    private var isInString = false
    private var isEscaped = false

    init(depth: Int = 0) { self.depth = depth }

    /// Goes on by a byte.
    ///
    /// - Returns: Whether it closes what is outermost.
    @discardableResult
    mutating func take(_ byte: UInt8) -> Bool {
        switch byte {
        case _ where isEscaped: isEscaped = false
        case UInt8(ascii: "\\") where isInString: isEscaped = true
        case UInt8(ascii: "\""): isInString.toggle()
        case _ where isInString: break
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            depth -= 1
            return depth <= 0
        default: break
        }
        return false
    }
}
