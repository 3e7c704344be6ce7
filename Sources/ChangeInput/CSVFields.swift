import OrderLog

/// A CSV row's fields, unquoted.
///
/// <https://datatracker.ietf.org/doc/html/rfc4180#section-2>
enum CSVFields {
    private static let quote = UInt8(ascii: "\"")
    private static let comma = UInt8(ascii: ",")

    /// Parts a row into its fields.
    ///
    /// - Parameters:
    ///   - bytes: Where the row is in.
    ///   - row: The row, without its line break.
    ///   - fields: Emptied, and filled: the best reading even of a row that is quoted wrongly.
    /// - Returns: What is wrong with the quotes; nil when nothing is.
    static func split(_ bytes: [UInt8], _ row: Range<Int>, into fields: inout [String]) -> FieldError? {
        fields.removeAll(keepingCapacity: true)
        var problem: FieldError?
        var at = row.lowerBound
        while true {
            let start = at
            if at < row.upperBound, bytes[at] == quote {
                fields.append(unquote(bytes, row, &at))
                if at < row.upperBound, bytes[at] != comma { problem = .textBehindQuote }
            }
            // Behind a closing quote there should be nothing left to skip.
            let plain = at
            while at < row.upperBound, bytes[at] != comma {
                if bytes[at] == quote { problem = problem ?? .quoteWithinField }
                at += 1
            }
            if plain == start { fields.append(String(decoding: bytes[start..<at], as: UTF8.self)) }
            if at == row.upperBound { return problem }
            at += 1
        }
    }

    /// Reads a field in quotes, in which a doubled quote stands for one; ends behind the closing one.
    private static func unquote(_ bytes: [UInt8], _ row: Range<Int>, _ at: inout Int) -> String {
        at += 1
        var piece = at
        var text: [UInt8] = []
        while at < row.upperBound {
            guard bytes[at] == quote else {
                at += 1
                continue
            }
            text += bytes[piece..<at]
            piece = at + 1
            at += 1
            guard at < row.upperBound, bytes[at] == quote else { return String(decoding: text, as: UTF8.self) }
            at += 1
        }
        text += bytes[piece..<at]
        return String(decoding: text, as: UTF8.self)
    }
}

/// Which of a CSV's columns is which.
struct CSVColumns {
    let count: Int
    let id: Int
    let shop: Int
    let customer: Int
    let sku: Int
    let quantity: Int
    let attributes: Int?

    static let expected = "id,shop,customer,sku,quantity, and perhaps attributes, in any order"
    private static let known: Set<String> = ["id", "shop", "customer", "sku", "quantity", "attributes"]

    init(_ names: [String]) throws(InputError) {
        if let unknown = names.first(where: { !Self.known.contains($0) }) {
            throw .header("the column \(FieldError.quote(unknown)) is unknown; expected \(Self.expected)")
        }
        func column(_ name: String) throws(InputError) -> Int {
            guard let index = names.firstIndex(of: name) else {
                throw .header("the column \"\(name)\" is missing; expected \(Self.expected)")
            }
            return index
        }
        id = try column("id")
        shop = try column("shop")
        customer = try column("customer")
        sku = try column("sku")
        quantity = try column("quantity")
        attributes = names.firstIndex(of: "attributes")
        count = names.count
        if let doubled = names.indices.first(where: { names[..<$0].contains(names[$0]) }) {
            throw .header("the column \"\(names[doubled])\" is there twice")
        }
    }
}

extension FieldError {
    static var textBehindQuote: FieldError { .row("has text behind a closing quote; expected a comma") }
    static var quoteWithinField: FieldError { .row("has a quote within a field that is not quoted") }
    static var unclosedQuote: FieldError {
        .row("opens a quote that is never closed: all that follows was taken for this row")
    }
    static var strayNeighbour: FieldError { .row("the order of this line can't be told, and may be this one") }
}
