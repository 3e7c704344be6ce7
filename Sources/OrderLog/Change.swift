/// What a producer submits: an order placed, cancelled or returned, stock received or counted.
///
/// A value of this type is valid: it was checked when it was made, before the append and again by whoever applies it. IDs,
/// shops and SKUs are 1 to 128 bytes of UTF-8 without invisible characters, and no blank at either end; a customer is 1 to
/// 256 bytes of UTF-8 without control characters; there are 1 to 100 lines, each of 1 to 1 000 000 (counted: 0 to 10¹²);
/// attributes are at most 16 KiB, 32 levels deep.
///
/// Names are what their bytes are: two changes are the same if all their bytes are.
public struct Change: Hashable, Sendable {
    /// What happened.
    ///
    /// The raw value is the entry's field `type`.
    public enum Kind: String, Sendable, CaseIterable {
        /// An order: its lines are taken from the stock.
        case orderPlaced = "order.placed"
        /// The cancellation of an order: its lines go back to the stock.
        case orderCancelled = "order.cancelled"
        /// What came back of an order, in part or whole, several times if need be: its lines go back to the stock.
        case orderReturned = "order.returned"
        /// Goods that came in: added to the stock.
        case stockReceived = "stock.received"
        /// A count: the stock of its SKUs is what was counted, whatever it was before.
        case stockCounted = "stock.counted"
    }

    /// What happened.
    public let kind: Kind
    /// Names the change within its shop, and makes its append idempotent.
    public let id: String
    /// Whose it is: its changes keep their order.
    public let shop: String
    /// Who ordered; only for ``Kind/orderPlaced``.
    public let customer: String?
    /// The order that is cancelled or returned; only for ``Kind/orderCancelled`` and ``Kind/orderReturned``.
    public let order: String?
    /// What is ordered, given back, returned, received or counted.
    public let lines: Lines
    /// A JSON object, byte for byte as it was submitted; only for ``Kind/orderPlaced``.
    public let attributes: String?
    /// The first format whose logs take it: those before ``LogFormat/names`` have few characters for names.
    package let format: LogFormat

    /// Checks unchecked fields and makes a change of them.
    ///
    /// - Parameter draft: The fields as somebody wrote them.
    /// - Throws: ``FieldError`` for the first field that is missing, not wanted, or outside ``Limits``.
    package init(_ draft: ChangeDraft) throws(FieldError) {
        // Nearly all are orders, and finding a raw value goes through all of them.
        guard let kind = draft.type == "order.placed" ? .orderPlaced : Kind(rawValue: draft.type) else {
            let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw FieldError("type", "expected one of \(known), got \(FieldError.quote(draft.type))")
        }
        self.kind = kind
        var isPlain = true
        shop = try Self.name(draft.shop, "shop", &isPlain)
        switch kind {
        case .orderPlaced:
            id = try Self.name(draft.id, "id", &isPlain)
            customer = try Self.customer(draft.customer)
            order = try Self.absent(draft.order, "order", kind)
            attributes = try draft.attributes.map { text throws(FieldError) in try AttributesCheck.check(text) }
        case .orderCancelled:
            let order = try Self.name(draft.order, "order", &isPlain)
            self.order = order
            id = order + Self.cancelSuffix
            guard draft.id?.hasSameBytes(as: id) ?? true else {
                throw FieldError("id", "expected \(FieldError.shown(id)), the cancellation's own ID")
            }
            // Longer than former builds take an ID.
            if !Limits.nameBytes.contains(id.utf8.count) { isPlain = false }
            customer = try Self.absent(draft.customer, "customer", kind)
            attributes = try Self.absent(draft.attributes, "attributes", kind)
        case .orderReturned:
            let order = try Self.name(draft.order, "order", &isPlain)
            self.order = order
            guard let given = draft.id else { throw FieldError("id", "is missing") }
            guard Self.returnNumber(of: given, for: order) != nil else {
                throw FieldError(
                    "id",
                    "expected \(FieldError.shown(order))\(Self.returnInfix)N, N the how manieth return it is, from 1 to "
                        + "\(FieldError.spaced(Limits.returnNumber.upperBound)), got \(FieldError.quote(given))")
            }
            id = given
            // Former builds know no returns.
            isPlain = false
            customer = try Self.absent(draft.customer, "customer", kind)
            attributes = try Self.absent(draft.attributes, "attributes", kind)
        case .stockReceived, .stockCounted:
            id = try Self.name(draft.id, "id", &isPlain)
            order = try Self.absent(draft.order, "order", kind)
            customer = try Self.absent(draft.customer, "customer", kind)
            attributes = try Self.absent(draft.attributes, "attributes", kind)
        }
        lines = try Lines(draft.lines, kind: kind)
        format = isPlain && lines.isPlain ? LogFormat(1) : .names
    }

    /// Whether all of their bytes are the same.
    public static func == (left: Change, right: Change) -> Bool {
        left.kind == right.kind && left.names == right.names && left.lines == right.lines
    }

    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(names)
        hasher.combine(lines)
    }

    private var names: [Name?] {
        [Name(id), Name(shop), customer.map(Name.init), order.map(Name.init), attributes.map(Name.init)]
    }

    private static let cancelSuffix = "/cancel"
    private static let returnInfix = "/return/"

    /// A return's ID.
    package static func returnID(_ number: Int, of order: String) -> String { order + returnInfix + String(number) }

    /// The how manieth return of an order an ID names; nil for another ID.
    private static func returnNumber(of id: String, for order: String) -> Int? {
        let prefix = order + returnInfix
        // By bytes: a name may end with what Swift joins to the slash.
        guard id.utf8.starts(with: prefix.utf8) else { return nil }
        let digits = String(decoding: id.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
        let number = Int(digits).flatMap { String($0) == digits ? $0 : nil }
        return number.flatMap { Limits.returnNumber.contains($0) ? $0 : nil }
    }

    private static func name(_ text: String?, _ field: String, _ areAllPlain: inout Bool) throws(FieldError) -> String {
        guard let text else { throw FieldError(field, "is missing") }
        guard let isPlain = NameRule.isPlain(text, among: .identifier, Limits.nameBytes) else {
            throw FieldError(field, "expected \(NameRule.text), got \(FieldError.quote(text))")
        }
        if !isPlain { areAllPlain = false }
        return text
    }

    private static func customer(_ text: String?) throws(FieldError) -> String {
        guard let text else { throw FieldError("customer", "is missing") }
        guard Limits.customerBytes.contains(text.utf8.count), !hasControls(text.utf8.span) else {
            throw FieldError(
                "customer",
                "expected 1 to \(Limits.customerBytes.upperBound) bytes without control characters, got "
                    + FieldError.quote(text))
        }
        return text
    }

    /// Whether there is a character of Unicode's category Cc: U+0000 to U+001F, and U+007F to U+009F, which UTF-8 writes
    /// as C2 and one byte more.
    private static func hasControls(_ bytes: Span<UInt8>) -> Bool {
        var previous: UInt8 = 0
        for index in bytes.indices {
            let byte = bytes[index]
            if byte < 0x20 || byte == 0x7F || previous == 0xC2 && byte < 0xA0 { return true }
            previous = byte
        }
        return false
    }

    private static func absent(_ value: String?, _ field: String, _ kind: Kind) throws(FieldError) -> String? {
        guard value == nil else { throw FieldError(field, "does not belong to \(kind.rawValue)") }
        return nil
    }
}

extension String {
    /// Whether an `id`, an `order`, a `shop` or a SKU may look like this.
    package var isName: Bool { NameRule.isPlain(self, among: .identifier, Limits.nameBytes) != nil }
}

/// The unchecked fields of a change.
package struct ChangeDraft: Sendable, Equatable {
    /// An item of `lines`, its quantity still as text.
    package typealias Item = (sku: String, quantity: String)

    /// `lines` as the log holds them, or as a list that somebody typed.
    package enum DraftLines: Sendable {
        case missing
        /// `TEA-250:2 MUG-1:1`.
        case text(String)
        case items([Item])
    }

    package var type: String
    package var id: String?
    package var shop: String?
    package var customer: String?
    package var order: String?
    package var lines: DraftLines
    package var attributes: String?

    package init(
        type: String = Change.Kind.orderPlaced.rawValue, id: String? = nil, shop: String? = nil,
        customer: String? = nil, order: String? = nil, lines: DraftLines = .missing, attributes: String? = nil
    ) {
        self.type = type
        self.id = id
        self.shop = shop
        self.customer = customer
        self.order = order
        self.lines = lines
        self.attributes = attributes
    }
}

extension ChangeDraft.DraftLines: Equatable {
    package static func == (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (.missing, .missing): true
        case (.text(let left), .text(let right)): left == right
        case (.items(let left), .items(let right)): left.elementsEqual(right, by: ==)
        default: false
        }
    }
}

/// A field that can't be taken, and what was expected of it.
public struct FieldError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The field's name.
    public let field: String
    /// What is wrong with it.
    public let message: String

    package init(_ field: String, _ message: String) {
        self.field = field
        self.message = message
    }

    /// The field, and what is wrong with it.
    public var description: String { "\(field): \(message)" }

    /// A value for an error's text: quoted, cut to 40 characters, without anything that a terminal would obey.
    ///
    /// - Parameter text: What somebody wrote.
    /// - Returns: The quoted text.
    package static func quote(_ text: String) -> String {
        "\"\(shown(text))\(text.unicodeScalars.count > 40 ? "…" : "")\""
    }

    /// A name for an error's text, as ``quote(_:)`` has it, without quotation marks.
    package static func shown(_ text: String) -> String {
        let printable = text.unicodeScalars.prefix(40).map { scalar -> String in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: "�"
            default: String(scalar)
            }
        }
        return printable.joined()
    }

    /// A number as people read it: 1 000 000 rather than 1000000.
    package static func spaced(_ number: some BinaryInteger) -> String {
        var digits = Array(String(number.magnitude))
        for index in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert(" ", at: index) }
        return (number < 0 ? "-" : "") + String(digits)
    }
}
