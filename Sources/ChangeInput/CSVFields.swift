import OrderLog

/// A CSV row's fields, unquoted.
///
/// <https://datatracker.ietf.org/doc/html/rfc4180#section-2>
enum CSVFields {
    private static let quote = UInt8(ascii: "\"")

    /// Parts a row into its fields.
    ///
    /// - Parameters:
    ///   - bytes: Where the row is in.
    ///   - row: The row, without its line break.
    ///   - comma: What parts the fields.
    ///   - fields: Emptied, and filled: the best reading even of a row that is quoted wrongly.
    /// - Returns: What is wrong with the quotes; nil when nothing is.
    static func split(
        _ bytes: [UInt8], _ row: Range<Int>, at comma: UInt8 = UInt8(ascii: ","), into fields: inout [String]
    ) -> FieldError? {
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

    /// Parts a row by tabs.
    ///
    /// Quotation marks are letters there, but for those around a whole field, which spreadsheets write.
    static func splitAtTabs(_ bytes: [UInt8], _ row: Range<Int>, into fields: inout [String]) {
        fields = bytes[row].split(separator: 0x09, omittingEmptySubsequences: false).map { field in
            guard field.count > 1, field.first == quote, field.last == quote else {
                return String(decoding: field, as: UTF8.self)
            }
            return String(decoding: field.dropFirst().dropLast(), as: UTF8.self).replacing("\"\"", with: "\"")
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
    typealias Part = ExportMapping.Part

    private enum Source {
        case column(Int, values: Set<String>)
        /// What counts of a column's text: what the expression's first group matches, or all that it does.
        case part(Int, of: Regex<AnyRegexOutput>, text: String)
        case constant(String)

        init(_ index: Int, _ values: [String], of part: Part) {
            if part.hasPattern, let text = values.first, let pattern = try? Regex(text) {
                self = .part(index, of: pattern, text: text)
            } else {
                self = .column(index, values: Set(values.map(CSVColumns.key)))
            }
        }

        /// Its column; nil for a constant.
        var index: Int? {
            switch self {
            case .column(let index, _), .part(let index, _, _): index
            case .constant: nil
            }
        }
    }

    private static func key(_ name: String) -> String { name.trimmingBlanks.lowercased() }

    let count: Int
    /// What becomes of items without a SKU in an export; nil for a CSV of our own, which is taken as it is written.
    let missingSKU: ExportMapping.MissingSKU?
    private var sources: [Part: [Source]] = [:]
    /// Where members of `attributes` are.
    private var attributes: [(name: String, sources: [Source])] = []
    /// Where there is something that another column has to explain.
    private var companions: [(index: Int, companion: Int, name: String)] = []

    var isOfExport: Bool { missingSKU != nil }

    static let expected = "id,shop,customer,sku,quantity, and perhaps attributes, in any order"
    private static let own: [Part] = [.id, .shop, .customer, .sku, .quantity, .attributes]

    /// The columns of a CSV of our own.
    init(_ names: [String]) throws(InputError) {
        missingSKU = nil
        count = names.count
        let known = Self.own.map(\.rawValue) + [RejectedSheet.column]
        if let unknown = names.first(where: { !known.contains($0) }) {
            throw .header("the column \(FieldError.quote(unknown)) is unknown; expected \(Self.expected)")
        }
        for part in Self.own {
            if let index = names.firstIndex(of: part.rawValue) {
                sources[part] = [.column(index, values: [])]
            } else if part != .attributes {
                throw .header("the column \"\(part.rawValue)\" is missing; expected \(Self.expected)")
            }
        }
        let doubled = names.indices.first { index in
            names[index] != RejectedSheet.column && names[..<index].contains(names[index])
        }
        if let doubled {
            throw .header("the column \"\(names[doubled])\" is there twice")
        }
    }

    /// The columns of an export.
    init(_ names: [String], _ mapping: ExportMapping) throws(InputError) {
        missingSKU = mapping.missingSKU
        count = names.count
        let known = names.map(Self.key)
        func found(_ wanted: [ExportMapping.Source], _ part: Part, _ label: String) throws(InputError) -> [Source] {
            let found = wanted.compactMap { source -> Source? in
                switch source {
                case .constant(let value): .constant(value)
                case .column(let name, let values):
                    known.firstIndex(of: Self.key(name)).map { Source($0, values, of: part) }
                }
            }
            // What an order can do without may be missing, unless it was asked for.
            if found.isEmpty, ![.name, .cancelled, .refunded].contains(part), label != Part.attributes.rawValue {
                let wanted = wanted.map { source in
                    if case .column(let name, _) = source { FieldError.quote(name) } else { "" }
                }
                throw .header(
                    "no column \(wanted.joined(separator: " or ")) for \(label); there are: "
                        + names.prefix(60).map { $0.trimmingBlanks }.joined(separator: ", "))
            }
            return found
        }
        for part in Part.allCases {
            guard let sources = mapping.sources[part] else { continue }
            self.sources[part] = try found(sources, part, part.rawValue)
        }
        for name in mapping.attributeNames {
            attributes.append((name, try found(mapping.attributes[name] ?? [], .attributes, "attributes.\(name)")))
        }
    }

    /// The members of an export that is JSON: all that its mapping names may be there.
    init(of mapping: ExportMapping) {
        let names = mapping.columns
        (missingSKU, count) = (mapping.missingSKU, names.count)
        func found(_ sources: [ExportMapping.Source], _ part: Part) -> [Source] {
            sources.map { source in
                switch source {
                case .constant(let value): .constant(value)
                case .column(let name, let values): Source(names.firstIndex(of: name) ?? 0, values, of: part)
                }
            }
        }
        for (part, sources) in mapping.sources { self.sources[part] = found(sources, part) }
        attributes = mapping.attributeNames.map { ($0, found(mapping.attributes[$0] ?? [], .attributes)) }
        companions = mapping.companions.compactMap { name, companion in
            guard let index = names.firstIndex(of: name), let other = names.firstIndex(of: companion) else {
                return nil
            }
            return (index, other, companion)
        }
    }

    /// A part of a row's order as it stands there; the first of an export's that is not blank.
    func text(_ part: Part, _ fields: [String]) -> String? {
        sources[part].flatMap { text($0, fields) }
    }

    /// What a row says of members of `attributes`: texts by their names, without those that are blank.
    func attributes(_ fields: [String]) -> [String: String] {
        var members: [String: String] = [:]
        for (name, sources) in attributes {
            if let text = text(sources, fields), !text.isEmpty { members[name] = text }
        }
        return members
    }

    private func text(_ sources: [Source], _ fields: [String]) -> String? {
        var first: String?
        for source in sources {
            let text: String
            switch source {
            case .constant(let value): text = value
            case .column(let index, _): text = index < fields.count ? fields[index] : ""
            case .part(let index, let pattern, _):
                let whole = index < fields.count ? fields[index].trimmingBlanks : ""
                // What it doesn't match is refused, and named as it is.
                text =
                    whole.firstMatch(of: pattern).map { String($0.output[$0.output.count > 1 ? 1 : 0].substring ?? "") }
                    ?? whole
            }
            guard isOfExport else { return text }
            let trimmed = text.trimmingBlanks
            if !trimmed.isEmpty { return trimmed }
            first = first ?? trimmed
        }
        return first
    }

    /// What is wrong with a text of which a part counts, and that has none.
    func mismatch(_ fields: [String], of parts: [Part]) -> FieldError? {
        for part in parts where part.hasPattern {
            for case .part(let index, let pattern, let text) in sources[part] ?? [] where index < fields.count {
                let whole = fields[index].trimmingBlanks
                if !whole.isEmpty, whole.firstMatch(of: pattern) == nil {
                    return FieldError(
                        part.rawValue, "expected what \(FieldError.quote(text)) matches, got \(FieldError.quote(whole))"
                    )
                }
            }
        }
        return nil
    }

    /// What is wrong with a row that has something without what explains it.
    func missingCompanion(_ fields: [String]) -> FieldError? {
        companions.first { !fields[$0.index].isEmpty && fields[$0.companion].isEmpty }
            .map { FieldError($0.name, "is missing: without it nobody can tell whether the item counts") }
    }

    func has(_ part: Part) -> Bool { sources[part]?.isEmpty == false }

    /// Whether a row says that its order was cancelled.
    func isCancelled(_ fields: [String]) -> Bool { says(.cancelled, fields) == true }

    /// Whether a row says that its item is none.
    func isNoItem(_ fields: [String]) -> Bool { says(.skip, fields) == true }

    /// Whether a row says that money was given back: by one of the values, or by any number but zero.
    func isRefunded(_ fields: [String]) -> Bool { says(.refunded, fields) == true }

    /// Whether a row says that its order is one to be taken; nil when it doesn't say.
    func isWanted(_ fields: [String]) -> Bool? { sources[.only] == nil ? true : says(.only, fields) }

    private func says(_ part: Part, _ fields: [String]) -> Bool? {
        var said: Bool?
        for case .column(let index, let values) in sources[part] ?? [] where index < fields.count {
            let text = fields[index].trimmingBlanks.lowercased()
            if text.isEmpty { continue }
            let isSaid = part == .refunded ? text.contains { ("1"..."9").contains($0) } : true
            if values.isEmpty ? isSaid : values.contains(text) { return true }
            said = false
        }
        return said
    }

    /// Whether all columns that tell a row's order are within it.
    func tellsOrder(_ fields: [String]) -> Bool {
        [Part.id, .shop].allSatisfy { part in
            (sources[part] ?? []).contains { ($0.index ?? 0) < fields.count }
        }
    }

    /// What parts the fields of a header: whichever of `,` `;` and tab it has most of, outside quotation marks.
    static func separator(of header: ArraySlice<UInt8>) -> UInt8 {
        var counts: [UInt8: Int] = [:]
        var isQuoted = false
        for byte in header {
            if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
            if !isQuoted { counts[byte, default: 0] += 1 }
        }
        let known = [UInt8(ascii: ","), UInt8(ascii: ";"), 0x09]
        return known.max { counts[$0, default: 0] < counts[$1, default: 0] } ?? known[0]
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
