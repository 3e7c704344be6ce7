import OrderLog

/// A row of a CSV with its fields told apart, but not checked.
struct CSVRow {
    /// What tells one order's rows from another's.
    struct Key: Hashable {
        let shop: String
        let id: String

        /// Whether an order may be called so.
        var isPlausible: Bool { shop.isIdentifier && id.isIdentifier }
    }

    let line: Int
    let text: ArraySlice<UInt8>
    let isTextCut: Bool
    /// nil when the row has no such columns.
    let key: Key?
    let customer: String
    let item: ChangeDraft.Item
    let attributes: String?
    let problem: FieldError?
    /// Whether its order can't be told: its columns can't, or they hold no shop and ID.
    let isStray: Bool

    init(
        line: Int, _ text: ArraySlice<UInt8>, _ fields: [String], _ columns: CSVColumns, _ unreadable: FieldError?
    ) {
        func field(_ column: Int) -> String { column < fields.count ? fields[column] : "" }
        self.line = line
        self.text = text
        isTextCut = false
        key =
            max(columns.id, columns.shop) < fields.count
            ? Key(shop: fields[columns.shop], id: fields[columns.id]) : nil
        customer = field(columns.customer)
        item = (field(columns.sku), field(columns.quantity))
        attributes = columns.attributes.map(field).flatMap { $0.isEmpty ? nil : $0 }
        let hasAllColumns = fields.count == columns.count
        problem =
            unreadable
            ?? (text.isUTF8 ? nil : .notUTF8)
            ?? (hasAllColumns ? nil : .row("expected \(columns.count) columns, got \(fields.count)"))
        isStray = unreadable != nil || !hasAllColumns || key?.isPlausible != true
    }

    /// A row beyond the limit, of which only the beginning is known.
    init(line: Int, tooLong beginning: [UInt8], _ problem: FieldError) {
        self.line = line
        text = beginning[...]
        isTextCut = true
        key = nil
        customer = ""
        item = ("", "")
        attributes = nil
        self.problem = problem
        isStray = true
    }
}

/// The consecutive rows of one order, as far as they are read.
///
/// Its size is bounded: the rows of a rejected order are only looked at, and its text is cut.
struct CSVOrder {
    /// The lines that its first and its last row begin on.
    let line: Int
    private(set) var lastLine: Int
    let key: CSVRow.Key?
    private let customer: String
    private let attributes: String?
    private var items: [ChangeDraft.Item] = []
    private var itemLines: [Int] = []
    private var text: [UInt8] = []
    private var isTextCut = false
    private var failure: RowError?
    /// The line of its last row if that is stray: then it may have been the next order's first.
    private(set) var strayLine: Int?

    init(_ row: CSVRow) {
        line = row.line
        lastLine = row.line
        key = row.key
        customer = row.customer
        attributes = row.attributes
        append(row)
    }

    func isContinued(by row: CSVRow) -> Bool {
        guard let key, let next = row.key else { return false }
        return key == next
    }

    mutating func append(_ row: CSVRow) {
        keep(row)
        lastLine = row.line
        strayLine = row.isStray ? row.line : nil
        if let problem = row.problem { reject(line: row.line, problem) }
        if !row.customer.utf8.elementsEqual(customer.utf8) { reject(line: row.line, differs("customer")) }
        if let own = row.attributes, !own.utf8.elementsEqual((attributes ?? "").utf8) {
            reject(line: row.line, differs("attributes"))
        }
        guard failure == nil else { return }
        items.append(row.item)
        itemLines.append(row.line)
        // What is surely wrong is not kept until the order's last row: there may be no end of it.
        if row.isStray || items.count > Limits.lines.upperBound || row.item.sku.utf8.count > Limits.skuBytes.upperBound
            || row.item.quantity.utf8.count > Limits.skuBytes.upperBound
        {
            if let failure = firstFailure() { reject(line: failure.line, failure.error) }
        }
    }

    /// Rejects the order, unless it is already.
    mutating func reject(line: Int, _ error: FieldError) {
        guard failure == nil else { return }
        failure = RowError(line: line, error: error)
        (items, itemLines) = ([], [])
    }

    /// The order once another one begins, or the input ends.
    func finish() -> InputRow {
        InputRow(line: line, id: key?.id, text: text, isTextCut: isTextCut, result: result)
    }

    private var result: Result<Change, RowError> {
        if let failure { return .failure(failure) }
        do {
            return .success(try change(items.count))
        } catch {
            return .failure(firstFailure() ?? RowError(line: line, error: error))
        }
    }

    /// The first row up to which the order is wrong: its line is what a person has to look at.
    private func firstFailure() -> RowError? {
        for count in 1...items.count {
            do {
                _ = try change(count)
            } catch {
                return RowError(line: itemLines[count - 1], error: error)
            }
        }
        return nil
    }

    private func change(_ rows: Int) throws(FieldError) -> Change {
        try Change(
            ChangeDraft(
                id: key?.id, shop: key?.shop, customer: customer, lines: .items(Array(items.prefix(rows))),
                attributes: attributes))
    }

    private func differs(_ field: String) -> FieldError {
        FieldError(field, "differs from the order's first row, line \(FieldError.spaced(line))")
    }

    private mutating func keep(_ row: CSVRow) {
        // A cut text gets no more rows, not even one that would fit: it is a beginning.
        if isTextCut { return }
        if !text.isEmpty { text.append(0x0A) }
        let kept = row.text.prefix(RecordFramer.keptBytesMax - text.count)
        text += kept
        isTextCut = row.isTextCut || kept.count < row.text.count
    }
}
