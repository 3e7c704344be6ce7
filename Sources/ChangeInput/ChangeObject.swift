import OrderLog

/// Reads one line's JSON object into a change's unchecked fields.
///
/// A scanner of our own: `attributes` has to stay byte for byte as it was written, and a decoder would write it anew. It
/// doesn't recurse, and looks at each byte only once or twice.
enum ChangeObject {
    private enum Field: String, CaseIterable {
        case type, id, shop, customer, order, lines, attributes

        static let expected = allCases.map(\.rawValue).joined(separator: ", ")
    }

    /// Reads the whole line, also behind the first field that can't be taken.
    ///
    /// - Parameters:
    ///   - line: The line in its bytes: UTF-8, without its line break.
    ///   - bytes: Where the line is in.
    ///   - draft: What was read, also after a throw: of a rejected row one still wants the ID.
    /// - Throws: The first ``FieldError``; for what is not JSON at all it names the line.
    static func read(_ line: Range<Int>, of bytes: [UInt8], into draft: inout ChangeDraft) throws(FieldError) {
        var scanner = JSONScanner(bytes, line)
        scanner.skipSpace()
        guard scanner.peek == UInt8(ascii: "{") else {
            throw .row("expected a JSON object, got \(scanner.describeValue())")
        }
        var seen: [Field] = []
        var first: FieldError?
        try scanner.takeMembers { (scanner, name) throws(FieldError) in
            let value = scanner
            do throws(FieldError) {
                try readField(name, &scanner, &seen, &draft)
            } catch {
                first = first ?? error
                scanner = value
                try scanner.skipValue()
            }
        }
        try scanner.expectEnd()
        if let first { throw first }
    }

    private static func readField(
        _ name: String, _ scanner: inout JSONScanner, _ seen: inout [Field], _ draft: inout ChangeDraft
    ) throws(FieldError) {
        guard let field = Field(rawValue: name) else {
            throw FieldError(FieldError.quote(name), "is unknown; expected one of \(Field.expected)")
        }
        guard !seen.contains(field) else { throw FieldError(name, "is there twice") }
        seen.append(field)
        switch field {
        case .type: draft.type = try scanner.takeString(name)
        case .id: draft.id = try scanner.takeString(name)
        case .shop: draft.shop = try scanner.takeString(name)
        case .customer: draft.customer = try scanner.takeString(name)
        case .order: draft.order = try scanner.takeString(name)
        case .lines: draft.lines = try readLines(&scanner)
        case .attributes: draft.attributes = try scanner.takeRaw()
        }
    }

    /// `[{"sku":"TEA-250","quantity":2}]`, or `"TEA-250:2"` as in the log.
    private static func readLines(_ scanner: inout JSONScanner) throws(FieldError) -> ChangeDraft.DraftLines {
        switch scanner.peek {
        case UInt8(ascii: "\""):
            return .text(try scanner.takeString("lines"))
        case UInt8(ascii: "["):
            var items: [ChangeDraft.Item] = []
            try scanner.takeElements { scanner throws(FieldError) in items.append(try readItem(&scanner)) }
            return .items(items)
        default:
            throw FieldError("lines", "expected an array of lines, got \(scanner.describeValue())")
        }
    }

    private static func readItem(_ scanner: inout JSONScanner) throws(FieldError) -> ChangeDraft.Item {
        guard scanner.peek == UInt8(ascii: "{") else {
            throw FieldError("lines", "expected objects of sku and quantity, got \(scanner.describeValue())")
        }
        var sku: String?
        var quantity: String?
        try scanner.takeMembers { (scanner, name) throws(FieldError) in
            switch name {
            case "sku" where sku == nil: sku = try scanner.takeString(name)
            case "quantity" where quantity == nil: quantity = try readQuantity(&scanner)
            case "sku", "quantity": throw FieldError(name, "is there twice in one line")
            default: throw FieldError(FieldError.quote(name), "is unknown in a line; expected sku and quantity")
            }
        }
        guard let sku else { throw FieldError("sku", "is missing") }
        guard let quantity else { throw FieldError("quantity", "is missing") }
        return (sku, quantity)
    }

    /// The number as it is written: ``Change`` refuses all but plain digits, and says what the limits are.
    private static func readQuantity(_ scanner: inout JSONScanner) throws(FieldError) -> String {
        guard scanner.peek == UInt8(ascii: "\"") else { return try scanner.takeRaw() }
        let text = try scanner.takeString("quantity")
        guard text.utf8.contains(where: { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            throw FieldError("quantity", "expected a number without quotes, got \(FieldError.quote(text))")
        }
        return text
    }
}
