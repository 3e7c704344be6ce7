import OrderLog

/// Reads changes from NDJSON or CSV, one after the other, in memory that doesn't grow with the input.
///
/// NDJSON holds one object a line; empty lines are skipped. CSV (<https://datatracker.ietf.org/doc/html/rfc4180>) holds a
/// header with `id`, `shop`, `customer`, `sku`, `quantity` and perhaps `attributes`, in any order; consecutive rows of
/// one shop and ID are one order. A byte order mark and CRLF are fine, as is a last line without a line break.
///
/// A CSV is read ahead, by at most ``Limits/inputOrdersAheadMax`` orders, so that an order whose rows are parted by others' is
/// rejected, with its lines, before a part of it is given. An input that comes slowly is not waited for longer than a moment.
///
/// A row that is wrong is a result; the reader goes on behind it. An order is given whole or not at all: one wrong row
/// rejects all of it, and a row whose columns or ID can't be read rejects its neighbours too, since it may belong to them.
package struct ChangeReader: ~Copyable {
    private var framer: RecordFramer
    private var columns: CSVColumns?
    private var fields: [String] = []
    private var order: CSVOrder?
    private var window = CSVWindow()
    /// Whether the input has come to its end, with an error or without.
    private var isAtEnd = false
    private var failure: InputError?

    /// What the input is; nil when it is to be told from its beginning, until the first ``next()``.
    package private(set) var format: InputFormat?
    /// A CSV's first row, byte for byte, once it is read: rejected rows are a CSV again behind it.
    package private(set) var header: [UInt8]?

    /// Bytes of the input that were taken in, for showing progress.
    package var bytesConsumed: Int { framer.bytesConsumed }

    /// Reads nothing yet.
    ///
    /// - Parameters:
    ///   - format: nil: NDJSON when the first byte that isn't white space is a brace, otherwise CSV.
    ///   - isReady: Waits until `read` would not block, or that moment has come; true in the first case.
    ///   - read: Gives the next bytes, and nil at the end; for example ``DescriptorSource/read()``.
    package init(
        format: InputFormat?, isReady: @escaping (ContinuousClock.Instant) -> Bool = { _ in true },
        read: @escaping () throws(InputError) -> [UInt8]?
    ) {
        self.format = format
        framer = RecordFramer(isReady: isReady, read: read)
    }

    /// Reads up to the next change's end.
    ///
    /// - Returns: nil at the input's end.
    /// - Throws: ``InputError`` when nothing more can be read; an order whose rows were cut off by it is not given, and
    ///   further calls throw the same.
    package mutating func next() throws(InputError) -> InputRow? {
        if format == .csv, framer.line > 0 { return try nextOrder() }
        if let failure { throw failure }
        do {
            if framer.line == 0 {
                let beginning = try framer.beginning()
                format = format ?? InputFormat(beginning: beginning)
            }
            if format != .csv { return try nextObject() }
            columns = try readHeader()
        } catch {
            failure = error
            throw error
        }
        return try nextOrder()
    }

    private mutating func nextObject() throws(InputError) -> InputRow? {
        while let record = try framer.next(quoted: false) {
            let line = framer.line
            switch record {
            case .tooLong(let beginning):
                return InputRow(
                    line: line, id: nil, text: beginning, isTextCut: true,
                    result: .failure(RowError(line: line, error: .tooLong)))
            case .whole(let range):
                let bytes = framer.bytes[range]
                if bytes.allSatisfy(\.isSpace) { continue }
                return InputRow(object: range, of: framer.bytes, line: line)
            }
        }
        return nil
    }

    private mutating func nextOrder() throws(InputError) -> InputRow? {
        while !isAtEnd, failure == nil, !window.isFull {
            do {
                if let order = try readOrder() {
                    window.add(order)
                } else if framer.isStarved {
                    break
                } else {
                    isAtEnd = true
                }
            } catch {
                failure = error
            }
        }
        if let row = window.give() { return row }
        if let failure { throw failure }
        return nil
    }

    /// Reads up to the beginning of the order behind the next one.
    ///
    /// - Returns: nil at the input's end, and when the framer is starved.
    private mutating func readOrder() throws(InputError) -> CSVOrder? {
        while let row = try nextRow() {
            guard var last = order else {
                order = CSVOrder(row)
                continue
            }
            if last.isContinued(by: row) {
                order = nil  // Lets `last` grow in place instead of copying its rows.
                last.append(row)
                order = last
                continue
            }
            var next = CSVOrder(row)
            if row.isStray { last.reject(line: row.line, .strayNeighbour) }
            if let line = last.strayLine { next.reject(line: line, .strayNeighbour) }
            order = next
            return last
        }
        if framer.isStarved { return nil }
        defer { order = nil }
        return order
    }

    private mutating func nextRow() throws(InputError) -> CSVRow? {
        guard let columns else { return nil }
        while let record = try framer.next(quoted: true, until: window.deadline) {
            switch record {
            case .tooLong(let beginning):
                let hint = framer.endsInQuotes ? FieldError.unclosedQuote : .tooLong
                return CSVRow(line: framer.line, tooLong: beginning, hint)
            case .whole(let range):
                if framer.bytes[range].allSatisfy(\.isSpace) { continue }
                let split = CSVFields.split(framer.bytes, range, into: &fields)
                let unreadable = framer.endsInQuotes ? FieldError.unclosedQuote : split
                return CSVRow(line: framer.line, framer.bytes[range], fields, columns, unreadable)
            }
        }
        return nil
    }

    private mutating func readHeader() throws(InputError) -> CSVColumns {
        while let record = try framer.next(quoted: true) {
            guard case .whole(let range) = record else { throw .header("the header is longer than a row may be") }
            let bytes = framer.bytes[range]
            if bytes.allSatisfy(\.isSpace) { continue }
            guard bytes.isUTF8 else { throw .header("the header is not UTF-8") }
            if let problem = CSVFields.split(framer.bytes, range, into: &fields) {
                throw .header("the header \(problem.message)")
            }
            header = Array(bytes)
            return try CSVColumns(fields)
        }
        throw .header("there is no header; expected \(CSVColumns.expected)")
    }
}

extension ArraySlice<UInt8> {
    var isUTF8: Bool {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: span)
            return true
        } catch {
            return false
        }
    }
}
