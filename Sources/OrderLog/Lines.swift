/// One SKU and how many of it.
public struct Line: Hashable, Sendable {
    /// Which item: 1 to 128 bytes of UTF-8 without invisible characters, and no blank at either end.
    public let sku: String
    /// How many of it.
    public let quantity: Int64

    /// Takes both as they are; whoever makes a change of it checks them.
    public init(sku: String, quantity: Int64) {
        self.sku = sku
        self.quantity = quantity
    }

    /// Whether quantity and the SKU's bytes are the same.
    public static func == (left: Line, right: Line) -> Bool {
        left.quantity == right.quantity && left.sku.hasSameBytes(as: right.sku)
    }

    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(Name(sku))
        hasher.combine(quantity)
    }
}

/// A change's lines: as the log holds them, and as they count.
public struct Lines: Hashable, Sendable {
    /// `TEA-250:2 MUG-1:1`, byte for byte as in the log; `%`, blanks and colons of a SKU are percent-encoded.
    public let text: String
    /// Each SKU once, in the order of its first mention; a SKU twice is summed, and in a count refused.
    public let items: [Line]
    /// Whether logs of formats before ``LogFormat/names`` take them.
    let isPlain: Bool

    init(_ draft: ChangeDraft.DraftLines, kind: Change.Kind) throws(FieldError) {
        let limit = kind == .stockCounted ? Limits.countedQuantity : Limits.quantity
        switch draft {
        case .missing:
            throw FieldError("lines", "is missing")
        case .text(let text):
            (items, isPlain) = try Self.parse(text, kind, limit)
            self.text = text
        case .items(let drafts):
            (items, isPlain) = try Self.sum(drafts, kind, limit)
            text = Self.joined(items)
        }
    }

    /// Whether their texts are the same byte for byte, which says it all.
    public static func == (left: Lines, right: Lines) -> Bool { left.text.hasSameBytes(as: right.text) }

    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) { hasher.combine(Name(text)) }

    /// The SKUs and quantities of `TEA-250:2 MUG-1:1`, on its bytes: this runs once an entry in every sink.
    private static func parse(
        _ text: String, _ kind: Change.Kind, _ limit: ClosedRange<Int64>
    ) throws(FieldError) -> ([Line], isPlain: Bool) {
        let bytes = text.utf8.span
        let alphabet = Alphabet.sku
        var items: [Line] = []
        items.reserveCapacity(4)
        var areAllPlain = true
        var mentions = 0
        var start = 0
        while true {
            mentions += 1
            var colon = start
            while colon < bytes.count, alphabet.contains(bytes[colon]) { colon += 1 }
            let isPlain =
                colon < bytes.count && bytes[colon] == UInt8(ascii: ":") && Limits.plainSKUBytes.contains(colon - start)
            if !isPlain {
                areAllPlain = false
                while colon < bytes.count, bytes[colon] != UInt8(ascii: ":"), bytes[colon] != UInt8(ascii: " ") {
                    colon += 1
                }
            }
            var end = colon
            while end < bytes.count, bytes[end] != UInt8(ascii: " ") { end += 1 }
            guard colon < end else { throw wordError(bytes.extracting(start..<end)) }
            let sku =
                isPlain ? Self.text(bytes.extracting(start..<colon)) : try decoded(bytes.extracting(start..<colon))
            guard let quantity = wholeNumber(bytes.extracting(colon + 1..<end)), limit.contains(quantity) else {
                throw quantityError(quote(bytes.extracting(colon + 1..<end)), limit)
            }
            try add(Line(sku: sku, quantity: quantity), to: &items, mentions, kind, limit)
            if end == bytes.count { return (items, areAllPlain) }
            start = end + 1
        }
    }

    /// A SKU as a word of `lines` has it, which is no plain one.
    private static func decoded(_ bytes: Span<UInt8>) throws(FieldError) -> String {
        guard let sku = NameEncoding.decoded(bytes) else {
            throw FieldError("sku", "expected no % but as %25, %20 for a blank or %3A for a colon, got \(quote(bytes))")
        }
        return try checked(sku).sku
    }

    private static func checked(_ sku: String) throws(FieldError) -> (sku: String, isPlain: Bool) {
        guard let isPlain = NameRule.isPlain(sku, among: .sku, Limits.plainSKUBytes) else {
            throw FieldError("sku", "expected \(NameRule.text), got \(FieldError.quote(sku))")
        }
        return (sku, isPlain)
    }

    private static func wordError(_ word: Span<UInt8>) -> FieldError {
        FieldError("lines", "expected SKU:quantity parted by one space, got \(quote(word))")
    }

    private static func sum(
        _ drafts: [ChangeDraft.Item], _ kind: Change.Kind, _ limit: ClosedRange<Int64>
    ) throws(FieldError) -> ([Line], isPlain: Bool) {
        guard Limits.lines.contains(drafts.count) else { throw countError(drafts.count) }
        var items: [Line] = []
        items.reserveCapacity(drafts.count)
        var areAllPlain = true
        for (index, draft) in drafts.enumerated() {
            areAllPlain = try checked(draft.sku).isPlain && areAllPlain
            guard let quantity = wholeNumber(draft.quantity.utf8.span), limit.contains(quantity) else {
                throw quantityError(FieldError.quote(draft.quantity), limit)
            }
            try add(Line(sku: draft.sku, quantity: quantity), to: &items, index + 1, kind, limit)
        }
        return (items, areAllPlain)
    }

    private static func add(
        _ line: Line, to items: inout [Line], _ mentions: Int, _ kind: Change.Kind, _ limit: ClosedRange<Int64>
    ) throws(FieldError) {
        guard mentions <= Limits.lines.upperBound else { throw countError(mentions) }
        guard let index = items.firstIndex(where: { $0.sku.hasSameBytes(as: line.sku) }) else {
            items.append(line)
            return
        }
        guard kind != .stockCounted else {
            throw FieldError(
                "lines",
                "\(FieldError.shown(line.sku)) is there twice: a count says of each SKU once how many there are")
        }
        let total = items[index].quantity + line.quantity
        guard total <= limit.upperBound else {
            throw FieldError(
                "quantity",
                "\(FieldError.shown(line.sku)) sums to \(total), expected at most \(FieldError.spaced(limit.upperBound))"
            )
        }
        items[index] = Line(sku: line.sku, quantity: total)
    }

    /// A whole number in its one canonical form: digits only, no sign, no leading zero.
    private static func wholeNumber(_ digits: Span<UInt8>) -> Int64? {
        guard (1...15).contains(digits.count), digits.count == 1 || digits[0] != UInt8(ascii: "0") else { return nil }
        var number: Int64 = 0
        for index in digits.indices {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digits[index]) else { return nil }
            number = number * 10 + Int64(digits[index] - UInt8(ascii: "0"))
        }
        return number
    }

    /// The items as the log holds them.
    private static func joined(_ items: [Line]) -> String {
        var text = ""
        for item in items {
            if !text.isEmpty { text += " " }
            text += NameEncoding.encodedInLines(item.sku)
            text += ":"
            text += String(item.quantity)
        }
        return text
    }

    private static func text(_ bytes: Span<UInt8>) -> String {
        bytes.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    private static func quote(_ bytes: Span<UInt8>) -> String { FieldError.quote(text(bytes)) }

    private static func countError(_ count: Int) -> FieldError {
        FieldError("lines", "expected \(Limits.lines.lowerBound) to \(Limits.lines.upperBound) lines, got \(count)")
    }

    private static func quantityError(_ got: String, _ limit: ClosedRange<Int64>) -> FieldError {
        FieldError(
            "quantity",
            "expected a whole number from \(limit.lowerBound) to \(FieldError.spaced(limit.upperBound)), got \(got)")
    }
}
