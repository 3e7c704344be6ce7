import OrderLog
import Testing

@Suite struct ChangeTests {
    private static func placed(
        id: String? = "ord-1", shop: String? = "main", customer: String? = "c-17",
        lines: ChangeDraft.DraftLines = .text("TEA-250:2"), attributes: String? = nil
    ) -> ChangeDraft {
        ChangeDraft(id: id, shop: shop, customer: customer, lines: lines, attributes: attributes)
    }

    private func error(_ draft: ChangeDraft) -> FieldError? {
        do {
            _ = try Change(draft)
            return nil
        } catch {
            return error
        }
    }

    @Test("an order keeps its fields as they were written")
    func placedOrder() throws {
        let change = try Change(Self.placed(attributes: #" {"a":1.0} "#))
        #expect(change.kind == .orderPlaced)
        #expect(change.id == "ord-1")
        #expect(change.shop == "main")
        #expect(change.customer == "c-17")
        #expect(change.order == nil)
        #expect(change.lines.text == "TEA-250:2")
        #expect(change.attributes == #" {"a":1.0} "#)
    }

    @Test("a cancellation is named after its order")
    func cancellation() throws {
        var draft = ChangeDraft(type: "order.cancelled", shop: "main", order: "ord-1", lines: .text("A:1"))
        #expect(try Change(draft).id == "ord-1/cancel")
        draft.id = "ord-1/cancel"
        #expect(try Change(draft).id == "ord-1/cancel")
        draft.id = "ord-2/cancel"
        #expect(error(draft) == FieldError("id", "expected ord-1/cancel, the cancellation's own ID"))
        draft.id = nil
        draft.order = nil
        #expect(error(draft) == FieldError("order", "is missing"))
        draft.order = String(repeating: "x", count: 128)
        #expect(try Change(draft).id.utf8.count == 135, "whatever order there is can be cancelled")
    }

    @Test("each type takes its own fields only", arguments: Change.Kind.allCases)
    func fieldsOfTypes(kind: Change.Kind) {
        let ids: [Change.Kind: String] = [.orderCancelled: "1/cancel", .orderReturned: "1/return/3"]
        let order = ids[kind] == nil ? nil : "1"
        func draft() -> ChangeDraft {
            ChangeDraft(
                type: kind.rawValue, id: ids[kind] ?? "1", shop: "s", customer: kind == .orderPlaced ? "c" : nil,
                order: order, lines: .text("A:1"))
        }
        #expect(error(draft()) == nil)
        var other = draft()
        other.customer = kind == .orderPlaced ? nil : "c"
        #expect(error(other)?.field == "customer")
        other = draft()
        other.order = order == nil ? "1" : nil
        #expect(error(other)?.field == "order")
        other = draft()
        other.attributes = "{}"
        #expect(error(other)?.field == (kind == .orderPlaced ? nil : "attributes"))
        other = draft()
        other.lines = .missing
        #expect(error(other) == FieldError("lines", "is missing"))
        other = draft()
        other.shop = nil
        #expect(error(other) == FieldError("shop", "is missing"))
        other = draft()
        other.id = kind == .orderCancelled ? "2/cancel" : nil
        #expect(error(other)?.field == "id")
    }

    @Test("an unknown type is named with the known ones")
    func unknownType() {
        #expect(
            error(ChangeDraft(type: "order.lost\u{1B}"))?.description
                == "type: expected one of order.placed, order.cancelled, order.returned, stock.received, stock.counted, "
                + "got \"order.lost�\"")
    }

    @Test(
        "names are 1 to 128 bytes, nothing of them invisible, and no blank at either end",
        arguments: [
            "", " ", "a ", " a", "a\n", "a\u{0}", "a\u{200B}b", "\u{202E}a", "a\u{2028}b", "\u{FEFF}a", "a\u{A0}",
            "\u{3000}a", "a\u{AD}b", "👨\u{200D}👩", "a\u{E0067}", String(repeating: "x", count: 129),
            String(repeating: "é", count: 65),
        ])
    func badNames(text: String) {
        #expect(error(Self.placed(id: text))?.field == "id")
        #expect(error(Self.placed(shop: text))?.field == "shop")
        #expect(error(Self.placed(lines: .items([(text, "1")])))?.field == "sku")
        #expect(
            error(ChangeDraft(type: "order.cancelled", shop: "m", order: text, lines: .text("A:1")))?.field == "order")
    }

    @Test("only what logs of the first formats take is of them: a few characters, and short SKUs")
    func formats() throws {
        let all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/-"
        #expect(try Change(Self.placed(id: all, shop: String(repeating: "x", count: 128))).format == LogFormat(1))
        for scalar in (0x21..<0x180).compactMap(Unicode.Scalar.init) where scalar.properties.generalCategory != .control
        {
            let text = String(Character(scalar))
            if ["\u{A0}", "\u{AD}"].contains(text) { continue }
            let isPlain = all.unicodeScalars.contains(scalar)
            #expect(try Change(Self.placed(id: text)).format == (isPlain ? LogFormat(1) : .names))
            #expect(try Change(Self.placed(shop: text)).format == (isPlain ? LogFormat(1) : .names))
            let isSKU = isPlain && !":/".unicodeScalars.contains(scalar)
            let change = try Change(Self.placed(lines: .items([(text, "1")])))
            #expect(change.format == (isSKU ? LogFormat(1) : .names))
            #expect(change.lines.text == (text == "%" ? "%25:1" : text == ":" ? "%3A:1" : "\(text):1"))
        }
        #expect(try Change(Self.placed(lines: .text(String(repeating: "x", count: 64) + ":1"))).format == LogFormat(1))
        #expect(try Change(Self.placed(lines: .text(String(repeating: "x", count: 65) + ":1"))).format == .names)
        // A cancellation is named by its order, and a little longer.
        for count in [121, 122, 128] {
            let order = String(repeating: "o", count: count)
            let change = try Change(
                ChangeDraft(type: "order.cancelled", shop: "m", order: order, lines: .text("A:1")))
            #expect(change.id == order + "/cancel" && change.format == (count == 121 ? LogFormat(1) : .names))
        }
    }

    @Test("a SKU's blanks, colons and percent signs are encoded in lines, and nothing else may be")
    func encodedLines() throws {
        let sku = " % 20:é".trimmingPrefix(" ")
        let change = try Change(Self.placed(lines: .items([(String(sku), "2"), ("TEE RED/M", "1")])))
        #expect(change.lines.text == "%25%2020%3Aé:2 TEE%20RED/M:1")
        let read = try Change(Self.placed(lines: .text(change.lines.text)))
        #expect(read.lines.items.map(\.sku) == [String(sku), "TEE RED/M"] && read == change)
        for text in ["%41:1", "%:1", "%2:1", "a%3a:1", "%2F:1", "a%", "%20a:1"] {
            #expect(error(Self.placed(lines: .text(text))) != nil, "\(text)")
        }
    }

    @Test("names are what their bytes are: both forms of a letter are two, and made alike where somebody types them")
    func bytes() throws {
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        #expect(composed == decomposed && Name(composed) != Name(decomposed))
        #expect(Set([Name(composed), Name(decomposed)]).count == 2)
        #expect(Name(decomposed) < Name(composed))
        let change = try Change(Self.placed(lines: .text("\(composed):1 \(decomposed):2")))
        #expect(change.lines.items.map(\.quantity) == [1, 2])
        #expect(try Change(Self.placed(id: composed)) != Change(Self.placed(id: decomposed)))
        let made = try Change.orderPlaced(
            id: decomposed, shop: decomposed, customer: decomposed,
            lines: [Line(sku: composed, quantity: 1), Line(sku: decomposed, quantity: 2)])
        #expect(Name(made.id) == Name(composed) && Name(made.shop) == Name(composed))
        #expect(made.lines.items == [Line(sku: composed, quantity: 3)])
        #expect(made.customer?.unicodeScalars.count == 5, "a customer is no name")
    }

    @Test("a customer is 1 to 256 bytes without control characters")
    func customers() throws {
        for text in ["c", "Jörg 茶 🍵", String(repeating: "é", count: 128), "a\u{2028}b"] {
            #expect(try Change(Self.placed(customer: text)).customer == text)
        }
        let bad = ["", "a\nb", "a\u{0}", "\u{7F}", "\u{85}", "a\r\nb", String(repeating: "é", count: 128) + "x"]
        for text in bad {
            #expect(error(Self.placed(customer: text))?.field == "customer")
        }
    }

    @Test("an error quotes at most 40 characters, and none that a terminal obeys")
    func quoting() {
        #expect(FieldError.quote("a\u{1B}[2J\u{202E}\n") == "\"a�[2J��\"")
        #expect(FieldError.quote(String(repeating: "é", count: 41)) == "\"\(String(repeating: "é", count: 40))…\"")
        #expect(FieldError.quote(String(repeating: "é", count: 40)) == "\"\(String(repeating: "é", count: 40))\"")
    }

    @Test("numbers are spaced as people read them")
    func spacing() {
        #expect(
            [0, 7, 999, 1000, 123_456, 1_000_000, -1234].map { FieldError.spaced($0) }
                == ["0", "7", "999", "1 000", "123 456", "1 000 000", "-1 234"])
    }
}

@Suite struct LinesTests {
    private func lines(_ draft: ChangeDraft.DraftLines, _ kind: Change.Kind = .orderPlaced) throws -> Lines {
        try Change(
            ChangeDraft(
                type: kind.rawValue, id: "1", shop: "s", customer: kind == .orderPlaced ? "c" : nil, lines: draft)
        ).lines
    }

    private func error(_ draft: ChangeDraft.DraftLines, _ kind: Change.Kind = .orderPlaced) -> String? {
        do {
            _ = try lines(draft, kind)
            return nil
        } catch {
            return String(describing: error)
        }
    }

    @Test("the log's text is kept byte for byte, and a SKU twice counts as the sum")
    func text() throws {
        let lines = try lines(.text("TEA:2 MUG:1 TEA:3"))
        #expect(lines.text == "TEA:2 MUG:1 TEA:3")
        #expect(lines.items == [Line(sku: "TEA", quantity: 5), Line(sku: "MUG", quantity: 1)])
    }

    @Test("a list becomes a text with each SKU once")
    func items() throws {
        let lines = try lines(.items([("TEA", "2"), ("MUG", "1"), ("TEA", "3")]))
        #expect(lines.text == "TEA:5 MUG:1")
        #expect(lines.items == [Line(sku: "TEA", quantity: 5), Line(sku: "MUG", quantity: 1)])
    }

    @Test(
        "any other text is rejected",
        arguments: [
            "", " ", "TEA", "TEA:", ":1", "TEA:1 ", " TEA:1", "TEA:1  MUG:1", "TEA:1\tMUG:1", "TEA:1\n", "TEA:1,MUG:1",
            "TEA:0", "TEA:01", "TEA:-1", "TEA:+1", "TEA:1.0", "TEA:1e3", "TEA:1000001", "TEA:9223372036854775808",
            "TEA:99999999999999999999999", "TEA:1:2", "T%2FA:1", "T\u{200B}A:1", "TEA:١", "TEA:1\u{0}",
            "TEA:600000 TEA:600000",
            String(repeating: "S", count: 129) + ":1",
        ])
    func badTexts(text: String) {
        #expect(error(.text(text)) != nil)
    }

    @Test("one to a hundred lines pass")
    func count() throws {
        let hundred = (1...100).map { "S\($0):1" }
        #expect(try lines(.text(hundred.joined(separator: " "))).items.count == 100)
        #expect(error(.text((hundred + ["S1:1"]).joined(separator: " "))) == "lines: expected 1 to 100 lines, got 101")
        #expect(error(.items(Array(repeating: ("A", "1"), count: 101))) == "lines: expected 1 to 100 lines, got 101")
        #expect(error(.items([])) == "lines: expected 1 to 100 lines, got 0")
    }

    @Test("quantities have their limits, which differ for a count")
    func quantities() throws {
        #expect(try lines(.text("A:1000000")).items == [Line(sku: "A", quantity: 1_000_000)])
        #expect(
            error(.items([("A", "1000001")]))
                == #"quantity: expected a whole number from 1 to 1 000 000, got "1000001""#)
        #expect(error(.items([("A", "two")])) == #"quantity: expected a whole number from 1 to 1 000 000, got "two""#)
        #expect(try lines(.text("A:0"), .stockCounted).items == [Line(sku: "A", quantity: 0)])
        #expect(try lines(.text("A:1000000000000"), .stockCounted).items.first?.quantity == 1_000_000_000_000)
        #expect(error(.text("A:1000000000001"), .stockCounted) != nil)
        #expect(error(.text("A:999999999999999 A:999999999999999"), .stockCounted) != nil)
        #expect(error(.text("A:0"), .stockReceived) != nil)
    }

    @Test("a count names each SKU once; elsewhere a SKU twice is summed", arguments: ["A:40 B:1 A:41", "A:40 A:40"])
    func countedTwice(text: String) throws {
        #expect(
            error(.text(text), .stockCounted)
                == "lines: A is there twice: a count says of each SKU once how many there are")
        let items = text.split(separator: " ").map { (String($0.split(separator: ":")[0]), "40") }
        #expect(error(.items(items), .stockCounted)?.hasPrefix("lines: A is there twice") == true)
        #expect(try lines(.text(text), .stockReceived).items.first?.quantity ?? 0 >= 80)
    }
}
