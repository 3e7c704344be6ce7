import Harness
import OrderLog
import Testing

/// The checks work on bytes, for speed; here they are compared with what the same rules say in plain words.
@Suite struct FieldReferenceTests {
    private func outcome(_ draft: ChangeDraft) -> Result<Change, FieldError> {
        do {
            return .success(try Change(draft))
        } catch {
            return .failure(error)
        }
    }

    @Test("a customer may hold any character but those of the category Cc")
    func controls() {
        let scalars = Array(0...0x2FFF) + Array(stride(from: 0x3000, through: 0x10FFFF, by: 0x1F))
        for scalar in scalars.compactMap({ Unicode.Scalar(UInt32($0)) }) {
            for customer in ["\(scalar)", "\u{C2}\(scalar)", "é\(scalar)\u{10FFFF}"] {
                let isTaken =
                    if case .success = outcome(
                        ChangeDraft(id: "1", shop: "m", customer: customer, lines: .text("A:1")))
                    { true } else { false }
                #expect(
                    isTaken == (scalar.properties.generalCategory != .control), "U+\(String(scalar.value, radix: 16))")
            }
        }
    }

    @Test("lines are taken or refused as the slow way does, with the same error", arguments: [UInt64(4), 44, 444])
    func lines(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let pieces = [
            "A", "B-1", "é", ":", ":", ":1", ":2", ":03", ":1000000", " ", " ", "", "\u{0}", "\u{7F}", "/",
            "%25", "%20", "%3A", "%", "%4", "e\u{301}", "\u{A0}", "\u{200D}",
        ]
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0...7, using: &random)).map { _ in pieces.randomElement(using: &random) ?? ""
            }
            .joined()
            let expected = Self.slowLines(text)
            switch (outcome(ChangeDraft(id: "1", shop: "m", customer: "c", lines: .text(text))), expected) {
            case (.success(let change), .success(let lines)):
                #expect(change.lines.text == text && change.lines.items == lines)
            case (.failure(let error), .failure(let expected)): #expect(error == expected)
            case (let outcome, _): Issue.record("\(FieldError.quote(text)): \(outcome) instead of \(expected)")
            }
        }
    }

    /// A name of a few million, as Unicode's categories have it; that NameRule has them as ranges is checked below.
    private static func slowIsName(_ text: String) -> Bool {
        let scalars = Array(text.unicodeScalars)
        let isBlank = { (scalar: Unicode.Scalar) in scalar.properties.generalCategory == .spaceSeparator }
        guard (1...128).contains(text.utf8.count), let first = scalars.first, let last = scalars.last else {
            return false
        }
        return !isBlank(first) && !isBlank(last)
            && scalars.allSatisfy {
                ![.control, .format, .lineSeparator, .paragraphSeparator].contains($0.properties.generalCategory)
            }
    }

    private static func slowDecoded(_ text: String) -> String? {
        // Scalar by scalar: to Swift's strings "%" with a joiner behind it is one character, and another.
        var decoded = String.UnicodeScalarView()
        var rest = Substring.UnicodeScalarView(text.unicodeScalars)
        while let scalar = rest.first {
            let escaped: [String: Unicode.Scalar] = ["%25": "%", "%20": " ", "%3A": ":"]
            if scalar == "%" {
                guard let plain = escaped[String(String.UnicodeScalarView(rest.prefix(3)))] else { return nil }
                decoded.append(plain)
                rest = rest.dropFirst(3)
            } else {
                decoded.append(scalar)
                rest = rest.dropFirst()
            }
        }
        return String(decoded)
    }

    @Test("what can't be seen is what this Unicode version says, and what it keeps free for tags")
    func invisible() {
        for scalar in (0...0x10FFFF).compactMap({ Unicode.Scalar(UInt32($0)) }) {
            let category = scalar.properties.generalCategory
            let isVisible = ![.control, .format, .lineSeparator, .paragraphSeparator].contains(category)
            // Free, or of whatever category: of a block that is all format characters.
            let isReserved = (0x2060...0x206F).contains(scalar.value) || (0xE0000...0xE007F).contains(scalar.value)
            let isTaken = "a\(scalar)a".isName
            #expect(isTaken == (isVisible && !isReserved), "U+\(String(scalar.value, radix: 16))")
            let isBlank = category == .spaceSeparator
            if isTaken { #expect("a\(scalar)".isName == !isBlank && "\(scalar)a".isName == !isBlank) }
        }
    }

    private static func slowLines(_ text: String) -> Result<[Line], FieldError> {
        var lines: [Line] = []
        let words = text.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        for word in words {
            let parts = word.unicodeScalars.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                .map(String.init)
            guard parts.count == 2 else {
                return .failure(
                    FieldError("lines", "expected SKU:quantity parted by one space, got \(FieldError.quote(word))"))
            }
            guard let sku = slowDecoded(parts[0]) else {
                return .failure(
                    FieldError(
                        "sku",
                        "expected no % but as %25, %20 for a blank or %3A for a colon, got "
                            + FieldError.quote(parts[0])))
            }
            guard slowIsName(sku) else {
                return .failure(FieldError("sku", "expected \(NameRule.text), got \(FieldError.quote(sku))"))
            }
            guard let quantity = Int64(parts[1]), String(quantity) == parts[1], (1...1_000_000).contains(quantity)
            else {
                return .failure(
                    FieldError(
                        "quantity",
                        "expected a whole number from 1 to 1 000 000, got \(FieldError.quote(parts[1]))"))
            }
            if let index = lines.firstIndex(where: { Array($0.sku.utf8) == Array(sku.utf8) }) {
                let total = lines[index].quantity + quantity
                guard total <= 1_000_000 else {
                    return .failure(
                        FieldError("quantity", "\(FieldError.shown(sku)) sums to \(total), expected at most 1 000 000"))
                }
                lines[index] = Line(sku: sku, quantity: total)
            } else {
                lines.append(Line(sku: sku, quantity: quantity))
            }
        }
        return .success(lines)
    }

    @Test("a digest is FNV-1a with 128 bits, as in every log so far")
    func digest() throws {
        let change = try Change(
            ChangeDraft(id: "1", shop: "m", customer: "c-17", lines: .text("TEA:2 MUG:1"), attributes: #"{"a":1}"#))
        #expect(Digest(of: change).description == Self.slowDigest(change))
        var random = SeededGenerator(seed: 7)
        for _ in 0..<2000 {
            let order = "o-\(UInt32.random(in: 0...9999, using: &random))"
            let isPlaced = Bool.random(using: &random)
            let customer = String(repeating: "ü", count: Int.random(in: 1...40, using: &random))
            let lines = ChangeDraft.DraftLines.text("S-\(Int.random(in: 0...99, using: &random)):1")
            let change = try Change(
                isPlaced
                    ? ChangeDraft(id: order, shop: "m", customer: customer, lines: lines)
                    : ChangeDraft(type: "order.cancelled", shop: "m", order: order, lines: lines))
            #expect(Digest(of: change).description == Self.slowDigest(change))
        }
    }

    private static func slowDigest(_ change: Change) -> String {
        var bytes: [UInt8] = []
        for field in [change.kind.rawValue, change.customer, change.order, change.lines.text, change.attributes] {
            if let field { bytes += [1] + Array(field.utf8) }
            bytes.append(0)
        }
        let hash = bytes.reduce(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d as UInt128) {
            ($0 ^ UInt128($1)) &* 0x0000_0000_0100_0000_0000_0000_0000_013b
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }
}
