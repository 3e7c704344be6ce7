import OrderLog

/// Reads changes from NDJSON or CSV, one after the other, in memory that doesn't grow with the input.
///
/// NDJSON holds one object a line; empty lines are skipped. A JSON list of such objects does as well, and objects that stretch
/// over lines. CSV (<https://datatracker.ietf.org/doc/html/rfc4180>) holds a
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
    private var window: CSVWindow
    /// Whether JSON is a document, not an object a line.
    private var isDocument = false
    /// What an export is; nil for changes as we have them.
    private let shape: ExportShape?
    private let objects: ExportObjects?
    private let decoder: TextDecoder?
    /// What parts an export's fields.
    private var separator = UInt8(ascii: ",")
    /// Whose the last row was, for those of an export that don't say.
    private var lastKey: CSVRow.Key?
    /// The cancellation of the order that was given last.
    private var cancellation: InputRow?
    /// Whether the input has come to its end, with an error or without.
    private var isAtEnd = false
    private var failure: InputError?

    /// What the input is; nil when it is to be told from its beginning, until the first ``next()``.
    package private(set) var format: InputFormat?
    /// A CSV's first row, byte for byte, once it is read: rejected rows are a CSV again behind it.
    package private(set) var header: [UInt8]?

    /// What an export had that is no order: items that were left out, orders that had no other, and those that are none yet.
    package private(set) var leftOut = LeftOut()

    /// What was left out of an export.
    package struct LeftOut: Sendable, Equatable {
        package fileprivate(set) var items = 0
        package fileprivate(set) var orders = 0
        /// Orders that are none yet.
        package fileprivate(set) var unwanted = 0
        /// Orders of which money was given back, and that aren't cancelled: what came back isn't read.
        package fileprivate(set) var refunds = 0
        /// Items that are said to be none.
        package fileprivate(set) var unwantedItems = 0
        /// The first of the items' names.
        package fileprivate(set) var names: [String] = []

        fileprivate mutating func add(_ order: CSVOrder) {
            if order.isUnwanted { unwanted += 1 } else { orders += 1 }
        }

        fileprivate mutating func add(_ row: CSVRow) {
            if row.isNoItem { unwantedItems += 1 }
            guard let name = row.skipped else { return }
            items += 1
            if names.count < 5, !names.contains(name) { names.append(name) }
        }
    }

    /// How an export is encoded, when it isn't UTF-8.
    package var foreignEncoding: String? {
        guard let encoding = decoder?.encoding, encoding != .utf8 else { return nil }
        return encoding.rawValue
    }

    /// How rejected rows are written as a sheet; nil until a CSV's header is read.
    package var sheet: RejectedSheet? {
        guard let header, let columns else { return nil }
        return RejectedSheet(header: header, separator: separator, columns: columns.count)
    }

    /// Whether what is read are orders of several rows or items, not changes a row.
    package var readsOrders: Bool { format == .csv || shape != nil }

    /// Bytes of the input that were taken in, for showing progress.
    package var bytesConsumed: Int { framer.bytesConsumed }

    /// Reads nothing yet.
    ///
    /// - Parameters:
    ///   - format: nil: NDJSON when the first byte that isn't white space is a brace, otherwise CSV.
    ///   - shape: Where an export has what; nil for changes as we have them.
    ///   - isReady: Waits until `read` would not block, or that moment has come; true in the first case.
    ///   - read: Gives the next bytes, and nil at the end; for example ``DescriptorSource/read()``.
    package init(
        format: InputFormat?, shape: ExportShape? = nil,
        isReady: @escaping (ContinuousClock.Instant) -> Bool = { _ in true },
        read: @escaping () throws(InputError) -> [UInt8]?
    ) {
        self.format = format
        self.shape = shape
        objects = shape?.objects.map { ExportObjects($0) }
        window = CSVWindow(isOfExport: shape != nil)
        guard let shape else {
            decoder = nil
            framer = RecordFramer(isReady: isReady, read: read)
            return
        }
        let decoder = TextDecoder()
        self.decoder = decoder
        framer = RecordFramer(isReady: isReady) { () throws(InputError) in
            guard var chunk = try read() else { return nil }
            if decoder.encoding == nil {
                // However it comes: a pipe's first bytes may be few.
                while chunk.count < TextDecoder.beginningBytes, let more = try read() { chunk += more }
                if let kind = Self.foreignKind(chunk[...]) { throw .header(kind) }
            }
            return decoder.decoded(chunk)
        }
        framer.wrapper = shape.objects?.wrapper
    }

    /// Reads up to the next change's end.
    ///
    /// - Returns: nil at the input's end.
    /// - Throws: ``InputError`` when nothing more can be read; an order whose rows were cut off by it is not given, and
    ///   further calls throw the same.
    package mutating func next() throws(InputError) -> InputRow? {
        if format == .csv, framer.line > 0 { return try nextOrder() }
        if let failure { throw failure }
        do throws(InputError) {
            if framer.line == 0 {
                let beginning = try framer.beginning()
                if let kind = Self.foreignKind(beginning) { throw .header(kind) }
                format = format ?? InputFormat(beginning: beginning)
                isDocument = format == .ndjson && InputFormat.isDocument(beginning) == true
            }
            if let shape {
                if format != .csv, shape.objects == nil {
                    throw .header("it is JSON, which isn't known of this export. Take its CSV, or --map")
                }
                if format == .csv, shape.rows == nil {
                    throw .header("it is a CSV, which isn't known of this export. Take its JSON, or --map")
                }
            }
            if format != .csv, shape != nil {
                if try framer.openWrapper() { isDocument = true }
            }
            if format != .csv { return try nextObject() }
            columns = try readHeader()
        } catch {
            failure = error
            throw error
        }
        return try nextOrder()
    }

    /// What an input is that is no text, and what to do about it.
    private static func foreignKind(_ beginning: ArraySlice<UInt8>) -> String? {
        let kinds: [([UInt8], String)] = [
            ([0x1F, 0x8B], "it is compressed: gzip -dc FILE | onewrite submit -"),
            ([0x28, 0xB5, 0x2F, 0xFD], "it is compressed: zstd -dc FILE | onewrite submit -"),
            (Array("BZh91AY&SY".utf8), "it is compressed: bzip2 -dc FILE | onewrite submit -"),
            ([0xFD] + Array("7zXZ".utf8), "it is compressed: xz -dc FILE | onewrite submit -"),
            ([0xD0, 0xCF, 0x11, 0xE0], "it is an old Excel workbook. Save the sheet as CSV (UTF-8)"),
        ]
        if beginning.starts(with: Array("PK\u{3}\u{4}".utf8)) {
            // Their parts' names are in plain text; a workbook's are these.
            let isWorkbook = ["[Content_Types].xml", "_rels/", "xl/", "docProps/"].contains {
                beginning.dropFirst(30).starts(with: $0.utf8)
            }
            return isWorkbook
                ? "it is a workbook. Save the sheet as CSV (UTF-8)"
                : "it is a ZIP archive: unzip -p FILE | onewrite submit -"
        }
        return kinds.first { beginning.starts(with: $0.0) }?.1
    }

    /// Takes what follows an order that is given.
    private mutating func note(_ order: CSVOrder, _ row: InputRow) {
        guard case .success(let change) = row.result else { return }
        cancellation = order.cancellation(of: change)
        if order.isRefunded, !order.isCancelled { leftOut.refunds += 1 }
    }

    private mutating func nextObject() throws(InputError) -> InputRow? {
        if let row = cancellation {
            cancellation = nil
            return row
        }
        while let record = isDocument ? try framer.nextObject() : try framer.next(quoted: false) {
            let line = framer.line
            switch record {
            case .tooLong(let beginning):
                return InputRow(
                    line: line, id: nil, text: beginning, isTextCut: true,
                    result: .failure(RowError(line: line, error: .tooLong)))
            case .whole(let range):
                let bytes = framer.bytes[range]
                if bytes.allSatisfy(\.isSpace) { continue }
                guard let objects else { return InputRow(object: range, of: framer.bytes, line: line) }
                let order = objects.order(range, of: framer.bytes, line: line) { leftOut.add($0) }
                if order.isLeftOut {
                    leftOut.add(order)
                    continue
                }
                let row = order.finish()
                note(order, row)
                return row
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
        if let row = cancellation {
            cancellation = nil
            return row
        }
        while let (order, row) = window.give() {
            if order.isLeftOut {
                leftOut.add(order)
                continue
            }
            note(order, row)
            return row
        }
        if let failure { throw failure }
        // A stretch of orders without items may have been all that was held.
        return window.isOfExport && !isAtEnd ? try nextOrder() : nil
    }

    /// Reads up to the beginning of the order behind the next one.
    ///
    /// - Returns: nil at the input's end, and when the framer is starved.
    private mutating func readOrder() throws(InputError) -> CSVOrder? {
        while let row = try nextRow() {
            guard var last = order else {
                order = CSVOrder(row, isOfExport: window.isOfExport)
                continue
            }
            if last.isContinued(by: row) {
                order = nil  // Lets `last` grow in place instead of copying its rows.
                last.append(row)
                order = last
                continue
            }
            var next = CSVOrder(row, isOfExport: window.isOfExport)
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
        let isTabbed = separator == 0x09
        while let record = try framer.next(quoted: !isTabbed, until: window.deadline) {
            switch record {
            case .tooLong(let beginning):
                let hint = framer.endsInQuotes ? FieldError.unclosedQuote : .tooLong
                return CSVRow(line: framer.line, tooLong: beginning, hint)
            case .whole(let range):
                if framer.bytes[range].allSatisfy(\.isSpace) { continue }
                var unreadable: FieldError?
                if isTabbed {
                    CSVFields.splitAtTabs(framer.bytes, range, into: &fields)
                } else {
                    unreadable = CSVFields.split(framer.bytes, range, at: separator, into: &fields)
                    if framer.endsInQuotes { unreadable = .unclosedQuote }
                }
                let row = CSVRow(line: framer.line, framer.bytes[range], fields, columns, unreadable, before: lastKey)
                guard columns.isOfExport else { return row }
                leftOut.add(row)
                // A line of sums, or of no order at all.
                if !row.hasItem, !row.hasOwnID, row.skipped == nil, row.problem == nil { continue }
                if row.key?.isPlausible == true { lastKey = row.key }
                return row
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
            if shape != nil { separator = CSVColumns.separator(of: bytes) }
            if let problem = CSVFields.split(framer.bytes, range, at: separator, into: &fields) {
                throw .header("the header \(problem.message)")
            }
            header = Array(bytes)
            guard let mapping = shape?.rows else { return try CSVColumns(fields) }
            framer.separator = separator
            return try CSVColumns(fields, mapping)
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
