package import OrderLog

/// Where the rows of a shop's export have what an order is made of.
///
/// An export is read more leniently than a CSV of our own: other columns are passed over, blanks around a field don't count,
/// headers match in any case, an order's later rows may leave its fields empty, and needn't stand together.
package struct ExportMapping: Sendable, Equatable {
    /// A part of an order.
    package enum Part: String, CaseIterable, Sendable {
        case id, shop, customer, sku
        /// What the item is called, for those without a SKU.
        case name
        case quantity, attributes
        /// Whether the order was cancelled.
        case cancelled
        /// Whether it is an order yet: others are left out.
        case only
        /// Whether it is an item at all: others are left out, as those of which a set is made, or the set.
        case skip
        /// Whether money was given back, in part or in whole: counted, since it doesn't say what came back.
        case refunded

        /// Whether a source may name values.
        var hasValues: Bool { [.cancelled, .only, .skip, .refunded].contains(self) }
        /// Whether a source may say which part of a text counts.
        var hasPattern: Bool { self == .id || self == .sku }
    }

    /// Where a part comes from.
    package enum Source: Sendable, Equatable {
        /// A column, or the path of a member in JSON; for ``Part/cancelled``, ``Part/only``, ``Part/skip``
        /// and ``Part/refunded`` with the values that say so, none for any; for ``Part/id`` and ``Part/sku`` perhaps with a regular expression, as the only value.
        case column(String, values: [String] = [])
        /// The same for all.
        case constant(String)
    }

    /// What becomes of items without a SKU: tips, gift cards, whatever is no stock.
    package enum MissingSKU: String, CaseIterable, Sendable {
        /// Their order is rejected.
        case refuse
        /// They are left out.
        case skip
        /// They are known by their name.
        case name
    }

    /// For each part the first that has something.
    package private(set) var sources: [Part: [Source]]
    /// What becomes a member of `attributes`, by the member's name; with the first of its sources that has something.
    private(set) var attributes: [String: [Source]] = [:]
    package var missingSKU = MissingSKU.refuse
    /// The member that holds a JSON document's list of orders, where it isn't the list itself.
    private(set) var wrapper = "orders"

    init(_ sources: [Part: [Source]]) { self.sources = sources }

    /// Columns that, where they have something, need another one that says what it means.
    private(set) var companions: [String: String] = [:]

    /// The same, where rows with something in a column are refused that have nothing in another one.
    func requiring(_ companion: String, with column: String) -> ExportMapping {
        var mapping = self
        mapping.companions[column] = companion
        return mapping
    }

    /// The same, where orders come in a list that is another member.
    func wrapped(in member: String) -> ExportMapping {
        var mapping = self
        mapping.wrapper = member
        return mapping
    }

    /// One that says nothing of any part.
    package init() { self.init([:]) }

    /// Has all orders belong to a shop.
    package mutating func setShop(_ name: String) { sources[.shop] = [.constant(name)] }

    /// The parts that nothing is said of, and that every order has.
    package var missingParts: [Part] { [.id, .shop, .customer, .sku, .quantity].filter { sources[$0] == nil } }

    /// The columns that it names, each once.
    var columns: [String] {
        var names: [String] = []
        for source in Part.allCases.flatMap({ sources[$0] ?? [] }) + attributeNames.flatMap({ attributes[$0] ?? [] }) {
            if case .column(let name, _) = source, !names.contains(name) { names.append(name) }
        }
        for name in companions.keys.sorted() where !names.contains(name) { names.append(name) }
        return names
    }

    /// The members of `attributes`, in an order that is always the same.
    var attributeNames: [String] { attributes.keys.sorted() }

    /// Takes over what another says.
    package mutating func override(with other: ExportMapping) {
        sources.merge(other.sources) { $1 }
        attributes.merge(other.attributes) { $1 }
    }

    /// Reads `id=Name,shop=@main,sku="Lineitem sku"|Barcode,cancelled=Status~cancelled/refunded,attributes.note=Notes`.
    ///
    /// - Parameter text: Parts with their sources, parted by commas or line breaks; quotation marks keep what is between them
    ///   together. A line that begins with `#` says nothing.
    /// - Throws: ``FieldError`` for a part that isn't one, or has no source.
    package init(_ text: String) throws(FieldError) {
        var sources: [Part: [Source]] = [:]
        let lines = text.split(whereSeparator: \.isNewline).filter { !$0.trimmingBlanks.hasPrefix("#") }
        for entry in try Self.split(lines.joined(separator: ","), at: ",") where !entry.trimmingBlanks.isEmpty {
            guard let equals = entry.firstIndex(of: "=") else {
                throw FieldError("map", "expected PART=COLUMN, got \(FieldError.quote(entry))")
            }
            let name = entry[..<equals].trimmingBlanks
            let texts = try Self.split(String(entry[entry.index(after: equals)...]), at: "|")
            if name.hasPrefix(Self.attributePrefix) {
                let member = Self.unquoted(name.dropFirst(Self.attributePrefix.count))
                guard !member.isEmpty, attributes[member] == nil else {
                    throw FieldError("map", member.isEmpty ? "\(name) has no name" : "\(name) is there twice")
                }
                attributes[member] = try texts.map { text throws(FieldError) in try Self.source(text, of: .attributes) }
                continue
            }
            guard let part = Part(rawValue: name) else {
                let known = (Part.allCases.map(\.rawValue) + ["attributes.NAME"]).joined(separator: ", ")
                throw FieldError("map", "expected one of \(known), got \(FieldError.quote(name))")
            }
            guard sources[part] == nil else { throw FieldError("map", "\(name) is there twice") }
            sources[part] = try texts.map { text throws(FieldError) in try Self.source(text, of: part) }
        }
        self.sources = sources
        if sources[.attributes] != nil, !attributes.isEmpty {
            throw FieldError("map", "attributes is there as a whole and in members")
        }
    }

    private static let attributePrefix = "attributes."

    private static func source(_ text: String, of part: Part) throws(FieldError) -> Source {
        let pieces = try split(text, at: "~")
        let name = pieces.first.map { unquoted($0) } ?? ""
        guard !name.isEmpty, pieces.count < 3, pieces.count == 1 || part.hasValues || part.hasPattern else {
            throw FieldError(
                "map", "\(part.rawValue): expected a column, or @ and a value, got \(FieldError.quote(text))")
        }
        if name.hasPrefix("@") { return .constant(String(name.dropFirst())) }
        guard pieces.count == 2 else { return .column(name) }
        if part.hasPattern {
            let pattern = unquoted(pieces[1])
            guard (try? Regex(pattern)) != nil else {
                throw FieldError("map", "\(part.rawValue): no regular expression: \(FieldError.quote(pattern))")
            }
            return .column(name, values: [pattern])
        }
        return .column(name, values: try split(pieces[1], at: "/").map(unquoted))
    }

    /// Parts a text where a character stands outside quotation marks, which are kept.
    private static func split(_ text: String, at separator: Character) throws(FieldError) -> [String] {
        var pieces = [""]
        var isQuoted = false
        for character in text {
            if character == "\"" { isQuoted.toggle() }
            if character == separator, !isQuoted {
                pieces.append("")
            } else {
                pieces[pieces.count - 1].append(character)
            }
        }
        guard !isQuoted else { throw FieldError("map", "a quotation mark isn't closed in \(FieldError.quote(text))") }
        return pieces
    }

    private static func unquoted(_ text: some StringProtocol) -> String {
        text.trimmingBlanks.replacing("\"", with: "")
    }
}

extension StringProtocol {
    /// Without blanks and tabs at its ends.
    var trimmingBlanks: String {
        var rest = unicodeScalars[...]
        while let first = rest.first, first.properties.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.properties.isWhitespace { rest.removeLast() }
        return String(String.UnicodeScalarView(rest))
    }
}
