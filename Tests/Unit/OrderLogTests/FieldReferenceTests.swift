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
        let pieces = ["A", "B-1", "é", ":", ":", ":1", ":2", ":03", ":1000000", " ", " ", "", "\u{0}", "\u{7F}", "/"]
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
            guard (1...64).contains(parts[0].utf8.count), parts[0].utf8.allSatisfy(Alphabet.sku.contains) else {
                return .failure(
                    FieldError("sku", "expected 1 to 64 of A-Z a-z 0-9 . _ -, got \(FieldError.quote(parts[0]))"))
            }
            guard let quantity = Int64(parts[1]), String(quantity) == parts[1], (1...1_000_000).contains(quantity)
            else {
                return .failure(
                    FieldError(
                        "quantity",
                        "expected a whole number from 1 to 1 000 000, got \(FieldError.quote(parts[1]))"))
            }
            if let index = lines.firstIndex(where: { $0.sku == parts[0] }) {
                let total = lines[index].quantity + quantity
                guard total <= 1_000_000 else {
                    return .failure(
                        FieldError("quantity", "\(parts[0]) sums to \(total), expected at most 1 000 000"))
                }
                lines[index] = Line(sku: parts[0], quantity: total)
            } else {
                lines.append(Line(sku: parts[0], quantity: quantity))
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
