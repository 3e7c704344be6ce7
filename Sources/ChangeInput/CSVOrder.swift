import FoundationEssentials
import OrderLog

/// A row of a CSV with its fields told apart, but not checked.
struct CSVRow {
    /// What tells one order's rows from another's.
    struct Key: Hashable {
        let shop: String
        let id: String

        /// Whether an order may be called so.
        var isPlausible: Bool { shop.isName && id.isName }
    }

    let line: Int
    let text: ArraySlice<UInt8>
    let isTextCut: Bool
    /// nil when the row has no such columns.
    let key: Key?
    let customer: String
    let item: ChangeDraft.Item
    let attributes: String?
    /// What it says of members of `attributes`.
    let members: [String: String]
    let problem: FieldError?
    /// Whether its order can't be told: its columns can't, or they hold no shop and ID.
    let isStray: Bool
    /// Whether it says that its order was cancelled.
    var isCancelled = false
    /// Whether it says that money was given back.
    var isRefunded = false
    /// Whether it says that its order is to be taken; nil when it doesn't say.
    var isWanted: Bool? = true
    /// Whether it has an item; of an export not each row has one.
    var hasItem = true
    /// Whether it says whose it is: an export's later rows may leave that out.
    var hasOwnID = true
    /// The item without a SKU that is left out.
    var skipped: String?
    /// Whether it says that its item is none.
    var isNoItem = false

    init(
        line: Int, _ text: ArraySlice<UInt8>, _ fields: [String], _ columns: CSVColumns, _ unreadable: FieldError?,
        before: Key? = nil
    ) {
        func field(_ part: ExportMapping.Part) -> String { columns.text(part, fields) ?? "" }
        self.line = line
        self.text = text
        isTextCut = false
        // An export's later rows may leave out whose they are.
        let id = field(.id).inNormalForm
        let ownKey = columns.tellsOrder(fields) ? Key(shop: field(.shop).inNormalForm, id: id) : nil
        key = columns.isOfExport && id.isEmpty ? before ?? ownKey : ownKey
        customer = field(.customer)
        attributes = columns.text(.attributes, fields).flatMap { $0.isEmpty ? nil : $0 }
        members = columns.attributes(fields)
        // Spreadsheets leave out what is empty at a row's end.
        let hasAllColumns = columns.isOfExport ? fields.count <= columns.count : fields.count == columns.count
        var problem =
            unreadable
            ?? (text.isUTF8 ? nil : .notUTF8)
            ?? (hasAllColumns ? nil : .row("expected \(columns.count) columns, got \(fields.count)"))
        if let missingSKU = columns.missingSKU {
            isNoItem = columns.isNoItem(fields)
            // What is no item has no SKU either that could be wrong.
            problem =
                problem
                ?? (isNoItem
                    ? columns.mismatch(fields, of: [.id])
                    : columns.mismatch(fields, of: ExportMapping.Part.allCases) ?? columns.missingCompanion(fields))
            (isCancelled, isWanted) = (columns.isCancelled(fields), columns.isWanted(fields))
            isRefunded = columns.isRefunded(fields)
            hasOwnID = !id.isEmpty
            var (sku, name, quantity) = (field(.sku), field(.name), Self.wholeNumber(field(.quantity)))
            hasItem = !(sku.isEmpty && (columns.has(.name) ? name.isEmpty : quantity.isEmpty))
            isNoItem = isNoItem && hasItem
            if isNoItem { hasItem = false }
            if hasItem, sku.isEmpty {
                let item = name.isEmpty ? "an item" : name
                switch missingSKU {
                case .name: sku = name
                case .skip: (hasItem, skipped) = (false, item)
                case .refuse:
                    problem =
                        problem
                        ?? FieldError(
                            "sku",
                            "is missing for \(FieldError.quote(item)): --no-sku skip leaves such items out, --no-sku name "
                                + "knows them by their name")
                }
            }
            if !hasItem { (sku, quantity) = ("", "") }
            item = (sku.inNormalForm, quantity)
        } else {
            item = (field(.sku).inNormalForm, field(.quantity))
        }
        self.problem = problem
        isStray = unreadable != nil || !hasAllColumns || key?.isPlausible != true
    }

    /// A whole number as spreadsheets and shops may write it: `2`, `2.0`, `2,00`, `2.0000`.
    ///
    /// Not with three zeros: `2.000` may be two or two thousand.
    private static func wholeNumber(_ text: String) -> String {
        guard let point = text.firstIndex(where: { $0 == "." || $0 == "," }) else { return text }
        let decimals = text[text.index(after: point)...]
        guard decimals.allSatisfy({ $0 == "0" }), [1, 2, 4].contains(decimals.count) else { return text }
        return String(text[..<point])
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
        members = [:]
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
    private var customer: String
    private let attributes: String?
    private var members: [String: String] = [:]
    private let isOfExport: Bool
    /// Whether one of its rows says that it was cancelled.
    private(set) var isCancelled = false
    /// Whether one of its rows says that money was given back.
    private(set) var isRefunded = false
    /// Whether it is to be taken, as the first of its rows says that says something.
    private var isWanted: Bool?
    /// Whether it is left out.
    var isLeftOut: Bool { isOfExport && (isUnwanted || failure == nil && items.isEmpty) }
    /// Whether it isn't one to be taken.
    var isUnwanted: Bool { isWanted == false || isWanted == nil && failure == nil }
    var textCount: Int { text.count }
    private var items: [ChangeDraft.Item] = []
    private var itemLines: [Int] = []
    private var text: [UInt8] = []
    private var isTextCut = false
    private var failure: RowError?
    /// The line of its last row if that is stray: then it may have been the next order's first.
    private(set) var strayLine: Int?

    init(_ row: CSVRow, isOfExport: Bool = false) {
        self.isOfExport = isOfExport
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
        isCancelled = isCancelled || row.isCancelled
        isRefunded = isRefunded || row.isRefunded
        isWanted = isWanted ?? row.isWanted
        note(customer: row.customer, line: row.line)
        note(attributes: row.attributes, row.members, line: row.line)
        guard failure == nil, row.hasItem else { return }
        items.append(row.item)
        itemLines.append(row.line)
        // What is surely wrong is not kept until the order's last row: there may be no end of it.
        if row.isStray || items.count > Limits.lines.upperBound || row.item.sku.utf8.count > Limits.nameBytes.upperBound
            || row.item.quantity.utf8.count > Limits.nameBytes.upperBound
        {
            if let failure = firstFailure() { reject(line: failure.line, failure.error) }
        }
    }

    /// Takes rows of an export's order in that stand further down.
    mutating func merge(_ other: CSVOrder) {
        lastLine = other.lastLine
        isCancelled = isCancelled || other.isCancelled
        isRefunded = isRefunded || other.isRefunded
        isWanted = isWanted ?? other.isWanted
        note(customer: other.customer, line: other.line)
        note(attributes: other.attributes, other.members, line: other.line)
        keep(other.text[...], isCut: other.isTextCut)
        if let failure = other.failure { reject(line: failure.line, failure.error) }
        guard failure == nil else { return }
        items += other.items
        itemLines += other.itemLines
        if items.count > Limits.lines.upperBound, let failure = firstFailure() {
            reject(line: failure.line, failure.error)
        }
    }

    private mutating func note(attributes other: String?, _ others: [String: String], line: Int) {
        // Each member by itself: an order's later rows may leave out some.
        for (name, other) in others {
            if let known = members[name], !known.hasSameBytes(as: other) {
                reject(line: line, differs("attributes.\(name)"))
            } else {
                members[name] = other
            }
        }
        guard let other, !other.hasSameBytes(as: attributes ?? "") else { return }
        reject(line: line, differs("attributes"))
    }

    /// The members as one JSON object, always in the same order; nil when there are none.
    private var memberObject: String? {
        guard !members.isEmpty else { return nil }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(members)).map { String(decoding: $0, as: UTF8.self) }
    }

    private mutating func note(customer other: String, line: Int) {
        if isOfExport, customer.isEmpty { customer = other }
        if isOfExport, other.isEmpty || other == customer { return }
        if !other.utf8.elementsEqual(customer.utf8) { reject(line: line, differs("customer")) }
    }

    /// The cancellation that follows it, as ``finish()`` gave it.
    func cancellation(of change: Change) -> InputRow? {
        guard isCancelled else { return nil }
        // In the order in which `cancel` gives them: the same cancellation, by whichever way it comes.
        let lines = change.lines.items.sorted { Name($0.sku) < Name($1.sku) }
        let result: Result<Change, RowError>
        do throws(FieldError) {
            result = .success(try Change.orderCancelled(order: change.id, shop: change.shop, lines: lines))
        } catch {
            result = .failure(RowError(line: line, error: error))
        }
        return InputRow(line: line, id: change.id, text: text, isTextCut: isTextCut, result: result)
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
        for count in stride(from: 1, through: items.count, by: 1) {
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
                attributes: attributes ?? memberObject))
    }

    private func differs(_ field: String) -> FieldError {
        FieldError(field, "differs from the order's first row, line \(FieldError.spaced(line))")
    }

    private mutating func keep(_ row: CSVRow) { keep(row.text, isCut: row.isTextCut) }

    private mutating func keep(_ row: ArraySlice<UInt8>, isCut: Bool) {
        // A cut text gets no more rows, not even one that would fit: it is a beginning.
        if isTextCut { return }
        if !text.isEmpty { text.append(0x0A) }
        let kept = row.prefix(max(0, RecordFramer.keptBytesMax - text.count))
        text += kept
        isTextCut = isCut || kept.count < row.count
    }
}
