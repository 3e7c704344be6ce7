import ChangeInput
import OrderLog
import Testing

@Suite struct CSVTests {
    private static let rule = "expected \(NameRule.text)"
    private static let header = "id,shop,customer,sku,quantity\n"

    private static func summaries(_ rows: String) throws -> [String] {
        try read(header + rows).map(\.summary)
    }

    @Test("consecutive rows of one shop and ID are one order")
    func groups() throws {
        let rows = try read(
            """
            shop,sku,id,quantity,customer
            main,TEA,1,2,c-1
            main,MUG,1,1,c-1
            main,TEA,2,1,c-2
            east,TEA,2,1,c-2

            main,TEA,3,1,c-3
            main,TEA,3,4,c-3
            """)
        #expect(
            rows.map(\.summary) == [
                "main/1 c-1 TEA:2 MUG:1", "main/2 c-2 TEA:1", "east/2 c-2 TEA:1", "main/3 c-3 TEA:5",
            ])
        #expect(rows.map(\.line) == [2, 4, 5, 7])
        #expect(rows.map { String(decoding: $0.text, as: UTF8.self) }[0] == "main,TEA,1,2,c-1\nmain,MUG,1,1,c-1")
    }

    @Test("quoted fields hold commas, quotes and line breaks")
    func quotes() throws {
        let rows = try read(
            "\"id\",shop,customer,sku,quantity,attributes\r\n"
                + "\"1\",main,\"Smith, \"\"J\"\"\",TEA,\"2\",\"{\"\"a\"\":\r\n1}\"\r\n"
                + "2,main,\"\",TEA,2,\r\n3,main,c,TEA,2,\"\"\r\n")
        #expect(
            rows.map(\.summary) == [
                "main/1 Smith, \"J\" TEA:2 {\"a\":\r\n1}",
                "line 4: customer: expected 1 to 256 bytes without control characters, got \"\"",
                "main/3 c TEA:2",
            ])
        #expect(rows.map(\.line) == [2, 4, 5])
    }

    @Test(
        "a header that does not name the columns ends the input",
        arguments: [
            ("", "there is no header; expected id,shop,customer,sku,quantity, and perhaps attributes, in any order"),
            (
                "\n\n",
                "there is no header; expected id,shop,customer,sku,quantity, and perhaps attributes, in any order"
            ),
            (
                "id,shop,customer,sku,quantity,colour\n",
                #"the column "colour" is unknown; expected id,shop,customer,sku,quantity, and perhaps attributes, in any order"#
            ),
            (
                "id,shop,customer,sku\n",
                #"the column "quantity" is missing; expected id,shop,customer,sku,quantity, and perhaps attributes, in any order"#
            ),
            ("id,shop,customer,id,sku,quantity\n", #"the column "id" is there twice"#),
            (
                "ord-1,main,c-17,TEA-250,2\n",
                #"the column "ord-1" is unknown; expected id,shop,customer,sku,quantity, and perhaps attributes, in any order"#
            ),
            ("id,shop,cus\"tomer\n", "the header has a quote within a field that is not quoted"),
        ])
    func rejectsHeader(header: String, expected: String) throws {
        #expect(throws: InputError.header(expected)) { try read(header, format: .csv) }
    }

    @Test("after the error that ends an input, the reader only repeats it")
    func repeatsError() throws {
        var chunks = [Array("id,shop\n1,main\n2,main\n".utf8)]
        var reader = ChangeReader(format: .csv) { chunks.popLast() }
        for _ in 0..<3 {
            do throws(InputError) {
                _ = try reader.next()
                Issue.record("expected a throw")
            } catch {
                #expect(error.description.hasPrefix(#"the column "customer" is missing"#))
            }
        }
    }

    @Test("the header is kept, for a file of rejected rows")
    func keepsHeader() throws {
        var chunks = [Array("\u{FEFF}id,shop,customer,sku,quantity\r\n".utf8)]
        var reader = ChangeReader(format: .csv) { chunks.popLast() }
        #expect(try reader.next() == nil)
        #expect(reader.header.map { String(decoding: $0, as: UTF8.self) } == "id,shop,customer,sku,quantity")
    }

    @Test("one wrong row rejects its whole order, and names that row")
    func rejectsWholeOrder() throws {
        let rows = try read(
            Self.header + """
                1,main,c,TEA,1
                2,main,c,TEA,1
                2,main,c,MUG,two
                2,main,c,POT,1
                3,main,c,TEA,1
                """)
        #expect(
            rows.map(\.summary) == [
                "main/1 c TEA:1", #"line 4: quantity: expected a whole number from 1 to 1 000 000, got "two""#,
                "main/3 c TEA:1",
            ])
        #expect(rows.map(\.line) == [2, 3, 6])
        #expect(rows.map(\.id) == ["1", "2", "3"])
        #expect(String(decoding: rows[1].text, as: UTF8.self) == "2,main,c,TEA,1\n2,main,c,MUG,two\n2,main,c,POT,1")
    }

    @Test(
        "a field that can't be taken is named",
        arguments: [
            ("1,main,c,TEA,\n", #"line 2: quantity: expected a whole number from 1 to 1 000 000, got """#),
            ("1,main,c,TEA, 2\n", #"line 2: quantity: expected a whole number from 1 to 1 000 000, got " 2""#),
            ("1,main,c,T A ,2\n", #"line 2: sku: \#(Self.rule), got "T A ""#),
            (
                "1,main,c,A,1\n1,main,c,\(String(repeating: "A", count: 129)),2\n1,main,c,A,1",
                "line 3: sku: \(Self.rule), got \"\(String(repeating: "A", count: 40))…\""
            ),
            (",main,c,TEA,2\n", #"line 2: id: \#(Self.rule), got """#),
            ("1, main,c,TEA,2\n", #"line 2: shop: \#(Self.rule), got " main""#),
            (
                "1,main,c\u{0}d,TEA,2\n",
                "line 2: customer: expected 1 to 256 bytes without control characters, got \"c�d\""
            ),
            (
                "1,main,c,A,600000\n1,main,c,B,1\n1,main,c,A,600000\n",
                "line 4: quantity: A sums to 1200000, expected at most 1 000 000"
            ),
            ("1,main,c,A,1\n1,main,d,A,1\n", "line 3: customer: differs from the order's first row, line 2"),
            (
                "1,main,\u{E9},A,1\n1,main,e\u{301},A,1\n",
                "line 3: customer: differs from the order's first row, line 2"
            ),
        ])
    func namesField(rows: String, expected: String) throws {
        #expect(try Self.summaries(rows) == [expected])
    }

    @Test("attributes come from the first row; others repeat them or leave them out")
    func attributes() throws {
        let rows = try read(
            """
            id,shop,customer,sku,quantity,attributes
            1,s,c,A,1,"{""a"":1}"
            1,s,c,B,1,
            1,s,c,C,1,"{""a"":1}"
            2,s,c,A,1,"{""a"":1}"
            2,s,c,A,1,"{""a"":2}"
            3,s,c,A,1,
            3,s,c,A,1,"{""a"":1}"
            4,s,c,A,1,{}
            5,s,c,A,1,no
            5,s,c,A,1,no
            """)
        #expect(
            rows.map(\.summary) == [
                #"s/1 c A:1 B:1 C:1 {"a":1}"#,
                "line 6: attributes: differs from the order's first row, line 5",
                "line 8: attributes: differs from the order's first row, line 7",
                "s/4 c A:1 {}",
                #"line 10: attributes: expected a JSON object, got "no""#,
            ])
    }

    @Test("more than a hundred rows of one ID are rejected, and skipped in bounded memory")
    func tooManyRows() throws {
        let many = (1...20_000).map { "2,main,c,S\($0),1\n" }.joined()
        let hundred = (1...100).map { "3,main,c,S\($0),1\n" }.joined()
        let rows = try read(Self.header + "1,main,c,A,1\n" + many + hundred)
        #expect(rows.map(\.id) == ["1", "2", "3"])
        #expect(rows[1].summary == "line 103: lines: expected 1 to 100 lines, got 101")
        #expect(rows[1].isTextCut)
        #expect(rows[1].text.count == 64 * 1024)
        #expect(rows[2].change?.lines.items.count == 100)
        #expect(rows[2].line == 20_003)
    }

    @Test("a row whose order can't be told rejects its neighbours, which it may belong to")
    func strayRows() throws {
        let neighbour = "the order of this line can't be told, and may be this one"
        #expect(
            try Self.summaries("1,s,c,A,1\n2,s,c,A,1\n3,s,Smith, J,A,1\n4,s,c,A,1\n5,s,c,A,1\n") == [
                "s/1 c A:1", "line 4: \(neighbour)", "line 4: expected 5 columns, got 6", "line 4: \(neighbour)",
                "s/5 c A:1",
            ])
        #expect(
            try Self.summaries("1,s,c,A,1\n2,s,c,A,1\n2,s,c,d,A,1\n2,s,c,A,1\n3,s,c,A,1\n") == [
                "s/1 c A:1", "line 4: expected 5 columns, got 6", "s/3 c A:1",
            ], "its own order's rows on both sides leave no doubt")
        #expect(
            try Self.summaries("1,s,c,A,1\n,,,B,1\n2,s,c,A,1\n3,s,c,A,1\n") == [
                "line 3: \(neighbour)", #"line 3: shop: \#(Self.rule), got """#,
                "line 3: \(neighbour)", "s/3 c A:1",
            ], "only an order's first row has its ID")
        #expect(
            try Self.summaries("1,s,\"c\"d,A,1\n\n1,s,c,A,1") == [
                "line 2: has text behind a closing quote; expected a comma"
            ])
        #expect(
            try Self.summaries("1,s,c\"d,A,1\n") == ["line 2: has a quote within a field that is not quoted"])
    }

    @Test("a quote that is never closed rejects what it swallowed, and the order before it")
    func unclosedQuote() throws {
        for tail in ["2,s,c,A,1\n", String(repeating: "2,s,c,A,1\n", count: 50_000)] {
            let rows = try read(Self.header + "0,s,c,A,1\n1,s,c,A,1\n2,s,\"c,A,1\n" + tail)
            #expect(
                rows.map(\.summary) == [
                    "s/0 c A:1", "line 4: the order of this line can't be told, and may be this one",
                    "line 4: opens a quote that is never closed: all that follows was taken for this row",
                ])
        }
    }

    @Test("a row beyond the limit is rejected without being held, and the rows behind it are read")
    func longRow() throws {
        let long = "2,s,\"" + String(repeating: "x\n\"\"", count: 200_000) + "\",A,1\n"
        let rows = try read(Self.header + "1,s,c,A,1\n" + long + "3,s,c,A,1\n4,s,c,A,1\n", chunk: 4096)
        #expect(rows.map(\.line) == [2, 3, 200_004, 200_005])
        #expect(rows[1].summary == "line 3: longer than 262 144 bytes")
        #expect(rows[1].text.count == 64 * 1024)
        #expect(rows.map { $0.change != nil } == [false, false, false, true])
    }

    @Test("bytes that are not UTF-8 reject their order only")
    func rejectsInvalidUTF8() throws {
        let rows = try read(
            Array((Self.header + "1,s,c,A,1\n2,s,").utf8) + [0xFF] + Array(",A,1\n2,s,c,A,1\n3,s,c,A,1\n".utf8))
        #expect(rows.map(\.summary) == ["s/1 c A:1", "line 3: is not UTF-8", "s/3 c A:1"])
    }

    @Test("whatever single slip a file has, an order is read whole or not at all")
    func neverPartOfAnOrder() throws {
        let input = Array(
            """
            id,shop,customer,sku,quantity
            1,s,c,A,1
            2,s,"c, d",A,12
            2,s,"c, d",B,12
            3,s,e,A,1
            3,s,e,"B",34
            4,s,"f",A,1
            5,s,g,A,1
            5,s,g,B,1

            """.utf8)
        func orders(_ input: some Sequence<UInt8>) throws -> Set<String> {
            // One that slips in between quotation marks is a part of the name, as any letter would be.
            Set(
                try read(Array(input)).compactMap(\.change).map {
                    "\($0.shop)/\($0.id) \($0.lines.text.replacing(",", with: ""))"
                })
        }
        let whole = try orders(input)
        #expect(whole.count == 5)
        let structure = Array(",\"\n\r".utf8)
        let firstRow = try #require(input.firstIndex(of: 0x0A)) + 1
        var accepted = 0
        for place in firstRow..<input.count {
            var slips = structure.map { byte in input[..<place] + [byte] + input[place...] }
            if structure.contains(input[place]) { slips.append(input[..<place] + input[(place + 1)...]) }
            for slip in slips {
                let left = try orders(slip)
                accepted += left.count
                let wrong = left.subtracting(whole)
                #expect(wrong.isEmpty, "\(String(decoding: slip, as: UTF8.self))")
            }
        }
        #expect(accepted > 1000, "most orders stand apart from the slip")
    }

    @Test("rows of an order that others part reject all of it, with their lines, as far as they can be seen together")
    func parted() throws {
        let rows = try Self.summaries("1,s,c,A,1\n1,s,c,B,1\n2,s,c,A,1\n1,s,c,C,1\n2,t,c,A,1\n1,s,c,A,1\n3,s,c,A,1\n")
        // Before the first part was given, all were seen.
        let error =
            "id: 1 has rows at lines 2-3, 5 and 7, with others' between them: an order's rows must follow each other. "
        #expect(
            rows == [
                "line 2: \(error)Sort the file by id", "s/2 c A:1", "line 5: \(error)Sort the file by id", "t/2 c A:1",
                "line 7: \(error)Sort the file by id", "s/3 c A:1",
            ])
        // What is wrong by itself is told.
        #expect(
            try Self.summaries("1,s,c,A,x\n2,s,c,A,1\n1,s,c,A,1\n").map { $0.prefix(24) } == [
                "line 2: quantity: expect", "s/2 c A:1", "line 4: id: 1 has rows a",
            ])
    }

    @Test("a part that comes later than can be seen is an order; after two that were seen it is rejected too")
    func partedFarApart() throws {
        let others = (0..<Limits.inputOrdersAheadMax + 10).map { "o-\($0),s,c,A,1\n" }.joined()
        let far = try read(Self.header + "1,s,c,A,1\n" + others + "1,s,c,B,1\n")
        #expect(far.allSatisfy { $0.change != nil })
        let seen = try read(Self.header + "1,s,c,A,1\n2,s,c,A,1\n1,s,c,B,1\n" + others + "1,s,c,C,1\n")
        #expect(seen.compactMap(\.change?.id).count { $0 == "1" } == 0)
        #expect(seen.last?.summary.contains(": id: 1 has rows at lines 2, 4 and 8 207, ") == true)
        // However often two orders take turns, a message stays short.
        let turns = try Self.summaries(String(repeating: "1,s,c,A,1\n2,s,c,A,1\n", count: 20_000))
        #expect(turns.count == 40_000)
        #expect(turns.allSatisfy { $0.hasPrefix("line ") && $0.utf8.count < 250 })
        #expect(turns[0].contains("id: 1 has rows at lines 2, 4, 6, 8, 10, 12 and 4 090 more"), "\(turns[0])")
    }
}
