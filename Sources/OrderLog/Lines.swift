/// One SKU and how many of it.
package struct Line: Hashable, Sendable {
    package let sku: String
    package let quantity: Int64

    package init(sku: String, quantity: Int64) {
        self.sku = sku
        self.quantity = quantity
    }
}

/// A change's lines: as the log holds them, and as they count.
package struct Lines: Hashable, Sendable {
    /// `TEA-250:2 MUG-1:1`, byte for byte as in the log.
    package let text: String
    /// Each SKU once, in the order of its first mention; a SKU twice is summed.
    package let items: [Line]

    init(_ draft: ChangeDraft.DraftLines, kind: Change.Kind) throws(FieldError) {
        let limit = kind == .stockCounted ? Limits.countedQuantity : Limits.quantity
        switch draft {
        case .missing:
            throw FieldError("lines", "is missing")
        case .text(let text):
            items = try Self.parse(text, limit)
            self.text = text
        case .items(let drafts):
            items = try Self.sum(drafts, limit)
            text = items.map { "\($0.sku):\($0.quantity)" }.joined(separator: " ")
        }
    }

    /// The SKUs and quantities of `TEA-250:2 MUG-1:1`, on its bytes: this runs once an entry in every sink.
    private static func parse(_ text: String, _ limit: ClosedRange<Int64>) throws(FieldError) -> [Line] {
        var items: [Line] = []
        var mentions = 0
        var rest = text.utf8[...]
        while true {
            let end = rest.firstIndex(of: UInt8(ascii: " ")) ?? rest.endIndex
            let word = rest[..<end]
            mentions += 1
            guard let colon = word.firstIndex(of: UInt8(ascii: ":")) else {
                throw FieldError("lines", "expected SKU:quantity parted by one space, got \(quote(word))")
            }
            let sku = word[..<colon]
            guard Limits.skuBytes.contains(sku.count), sku.allSatisfy(Alphabet.sku.contains) else {
                throw skuError(quote(sku))
            }
            guard let quantity = wholeNumber(word[word.index(after: colon)...]), limit.contains(quantity) else {
                throw quantityError(quote(word[word.index(after: colon)...]), limit)
            }
            try add(Line(sku: String(Substring(sku)), quantity: quantity), to: &items, mentions, limit)
            if end == rest.endIndex { return items }
            rest = rest[rest.index(after: end)...]
        }
    }

    private static func sum(_ drafts: [ChangeDraft.Item], _ limit: ClosedRange<Int64>) throws(FieldError) -> [Line] {
        guard Limits.lines.contains(drafts.count) else { throw countError(drafts.count) }
        var items: [Line] = []
        for (index, draft) in drafts.enumerated() {
            guard Limits.skuBytes.contains(draft.sku.utf8.count), draft.sku.utf8.allSatisfy(Alphabet.sku.contains)
            else {
                throw skuError(FieldError.quote(draft.sku))
            }
            guard let quantity = wholeNumber(draft.quantity.utf8[...]), limit.contains(quantity) else {
                throw quantityError(FieldError.quote(draft.quantity), limit)
            }
            try add(Line(sku: draft.sku, quantity: quantity), to: &items, index + 1, limit)
        }
        return items
    }

    private static func add(
        _ line: Line, to items: inout [Line], _ mentions: Int, _ limit: ClosedRange<Int64>
    ) throws(FieldError) {
        guard mentions <= Limits.lines.upperBound else { throw countError(mentions) }
        guard let index = items.firstIndex(where: { $0.sku == line.sku }) else {
            items.append(line)
            return
        }
        let total = items[index].quantity + line.quantity
        guard total <= limit.upperBound else {
            throw FieldError(
                "quantity", "\(line.sku) sums to \(total), expected at most \(FieldError.spaced(limit.upperBound))")
        }
        items[index] = Line(sku: line.sku, quantity: total)
    }

    /// A whole number in its one canonical form: digits only, no sign, no leading zero.
    private static func wholeNumber(_ digits: Substring.UTF8View) -> Int64? {
        guard (1...15).contains(digits.count), digits.count == 1 || digits.first != UInt8(ascii: "0") else {
            return nil
        }
        var number: Int64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            number = number * 10 + Int64(digit - UInt8(ascii: "0"))
        }
        return number
    }

    private static func quote(_ word: Substring.UTF8View) -> String { FieldError.quote(String(Substring(word))) }

    private static func countError(_ count: Int) -> FieldError {
        FieldError("lines", "expected \(Limits.lines.lowerBound) to \(Limits.lines.upperBound) lines, got \(count)")
    }

    private static func skuError(_ got: String) -> FieldError {
        FieldError("sku", "expected 1 to \(Limits.skuBytes.upperBound) of A-Z a-z 0-9 . _ -, got \(got)")
    }

    private static func quantityError(_ got: String, _ limit: ClosedRange<Int64>) -> FieldError {
        FieldError(
            "quantity",
            "expected a whole number from \(limit.lowerBound) to \(FieldError.spaced(limit.upperBound)), got \(got)")
    }
}
