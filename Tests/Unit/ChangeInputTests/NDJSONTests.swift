import ChangeInput
import OrderLog
import Testing

@Suite struct NDJSONTests {
    @Test(
        "an object a line becomes a change",
        arguments: [
            (
                #"{"id":"ord-1","shop":"main","customer":"c-17","lines":[{"sku":"TEA-250","quantity":2}]}"#,
                "main/ord-1 c-17 TEA-250:2"
            ),
            (
                #" { "lines" : [ { "quantity" : 2 , "sku" : "TEA" } , {"sku":"MUG","quantity":1000000} ] , "shop" : "a/b" , "customer" : "c" , "id" : "1" } "#,
                "a/b/1 c TEA:2 MUG:1000000"
            ),
            (
                #"{"id":"1","shop":"s","customer":"c","lines":[{"sku":"A","quantity":2},{"sku":"A","quantity":3}]}"#,
                "s/1 c A:5"
            ),
            (#"{"id":"1","shop":"s","customer":"c","lines":"TEA-250:2 MUG-1:1"}"#, "s/1 c TEA-250:2 MUG-1:1"),
            (#"{"type":"order.placed","id":"1","shop":"s","customer":"c","lines":"A:1"}"#, "s/1 c A:1"),
            (
                #"{"type":"order.cancelled","order":"1","shop":"s","lines":"A:1"}"#,
                "order.cancelled s/1/cancel 1 A:1"
            ),
            (
                #"{"type":"order.cancelled","id":"1/cancel","order":"1","shop":"s","lines":"A:1"}"#,
                "order.cancelled s/1/cancel 1 A:1"
            ),
            (#"{"type":"stock.received","id":"r","shop":"s","lines":"A:1"}"#, "stock.received s/r A:1"),
            (
                #"{"type":"stock.counted","id":"r","shop":"s","lines":[{"sku":"A","quantity":0}]}"#,
                "stock.counted s/r A:0"
            ),
            (
                #"{"\u0069d":"\u0031\/2","shop":"s","customer":"J\u00f6rg \"\ud83c\uDF75\" \\o/ 茶","lines":"A:1"}"#,
                #"s/1/2 Jörg "🍵" \o/ 茶 A:1"#
            ),
        ])
    func reads(line: String, expected: String) throws {
        #expect(try read(line).map(\.summary) == [expected])
    }

    @Test("attributes stay byte for byte")
    func attributesAreUntouched() throws {
        let attributes = #"{ "b":1.50 ,"a":[ "é\u00e9\/", {"}":"]\"{"} ],  "b":-0e+2 }"#
        let line = #"{"attributes": \#(attributes) ,"id":"1","shop":"s","customer":"c","lines":"A:1"}"#
        #expect(try read(line).first?.change?.attributes == attributes)
    }

    @Test(
        "what is wrong is named by its field",
        arguments: [
            (#""quantity":"two""#, #"quantity: expected a whole number from 1 to 1 000 000, got "two""#),
            (#""quantity":"2""#, #"quantity: expected a number without quotes, got "2""#),
            (#""quantity":2.0"#, #"quantity: expected a whole number from 1 to 1 000 000, got "2.0""#),
            (#""quantity":1e3"#, #"quantity: expected a whole number from 1 to 1 000 000, got "1e3""#),
            (#""quantity":-1"#, #"quantity: expected a whole number from 1 to 1 000 000, got "-1""#),
            (#""quantity":02"#, #"quantity: expected a whole number from 1 to 1 000 000, got "02""#),
            (#""quantity":0"#, #"quantity: expected a whole number from 1 to 1 000 000, got "0""#),
            (#""quantity":1000001"#, #"quantity: expected a whole number from 1 to 1 000 000, got "1000001""#),
            (
                #""quantity":99999999999999999999"#,
                #"quantity: expected a whole number from 1 to 1 000 000, got "99999999999999999999""#
            ),
            (#""quantity":null"#, #"quantity: expected a whole number from 1 to 1 000 000, got "null""#),
            (#""quantity":[2]"#, #"quantity: expected a whole number from 1 to 1 000 000, got "[2]""#),
            (#""quantity":2,"quantity":2"#, "quantity: is there twice in one line"),
            (#""quantity":2,"sku":"B""#, "sku: is there twice in one line"),
            (#""quantity":2,"price":1"#, #""price": is unknown in a line; expected sku and quantity"#),
            (#""amount":2"#, #""amount": is unknown in a line; expected sku and quantity"#),
        ])
    func rejectsLine(fields: String, expected: String) throws {
        let line = #"{"lines":[{"sku":"A",\#(fields)}],"id":"ord-1","shop":"s","customer":"c"}"#
        let rows = try read(line)
        #expect(rows.map(\.summary) == ["line 1: \(expected)"])
        #expect(rows.first?.id == "ord-1", "the ID behind the wrong field is known")
        #expect(rows.first.map { String(decoding: $0.text, as: UTF8.self) } == line)
    }

    @Test(
        "a field of the wrong shape is named",
        arguments: [
            (#"{"id":1}"#, "id: expected a string, got a number"),
            (#"{"shop":null}"#, "shop: expected a string, got null"),
            (#"{"customer":true}"#, "customer: expected a string, got true"),
            (#"{"type":["order.placed"]}"#, "type: expected a string, got an array"),
            (#"{"order":{}}"#, "order: expected a string, got an object"),
            (#"{"id":abc}"#, #"id: expected a string, got "abc""#),
            (#"{"lines":{}}"#, "lines: expected an array of lines, got an object"),
            (#"{"lines":null}"#, "lines: expected an array of lines, got null"),
            (#"{"lines":[1]}"#, "lines: expected objects of sku and quantity, got a number"),
            (#"{"lines":[{"sku":"A"}]}"#, "quantity: is missing"),
            (#"{"lines":[{"quantity":1}]}"#, "sku: is missing"),
            (#"{"lines":[{"sku":1}]}"#, "sku: expected a string, got a number"),
            (
                #"{"id":"1","shop":"s","customer":"c","lines":[]}"#,
                "lines: expected 1 to 100 lines, got 0"
            ),
            (#"{"id":"1","shop":"s","customer":"c"}"#, "lines: is missing"),
            (#"{"id":"1","id":"1"}"#, "id: is there twice"),
            (#"{"\u0069d":"1","id":"1"}"#, "id: is there twice"),
            (
                #"{"colour":"red"}"#,
                #""colour": is unknown; expected one of type, id, shop, customer, order, lines, attributes"#
            ),
            (#"{"id":"1","shop":"s"}"#, "customer: is missing"),
            (#"{"id":"1","customer":"c"}"#, "shop: is missing"),
            (#"{"shop":"s","customer":"c"}"#, "id: is missing"),
            (#"{}"#, "shop: is missing"),
            (
                #"{"id":"1","shop":"s","type":"order.lost"}"#,
                "type: expected one of order.placed, order.cancelled, order.returned, stock.received, stock.counted, got \"order.lost\""
            ),
            (
                #"{"id":"1","shop":"s","customer":"c","lines":"A:1","attributes":null}"#,
                #"attributes: expected a JSON object, got "null""#
            ),
            (
                #"{"id":"1","shop":"s","customer":"c","lines":"A:1","attributes":{"a":[1}}}"#,
                "attributes: expected a comma or a closing bracket, at byte 8"
            ),
            (
                #"{"id":"1","shop":"s","customer":"c","lines":"A:1","attributes":{"a":"\u0000"}}"#,
                "attributes: has a \\u0000, which Postgres can't hold, at byte 7"
            ),
        ])
    func rejects(line: String, expected: String) throws {
        #expect(try read(line, format: .ndjson).map(\.summary) == ["line 1: \(expected)"])
    }

    @Test(
        "what is not JSON is rejected with its place",
        arguments: [
            (#"["id"]"#, "expected a JSON object, got an array"),
            (#"id=1"#, #"expected a JSON object, got "id=1""#),
            (#"{"id":"1""#, "not JSON: expected a comma or a closing bracket, at byte 10"),
            (#"{"id":"1",}"#, "not JSON: expected a name in quotes, at byte 11"),
            (#"{"id" "1"}"#, "not JSON: expected a colon, at byte 7"),
            (#"{"id":}"#, "not JSON: expected a value, at byte 7"),
            (#"{"id":"1"} x"#, "not JSON: expected nothing behind the object, at byte 12"),
            (#"{"id":"1"}{"id":"2"}"#, "not JSON: expected nothing behind the object, at byte 11"),
            (#"{"id":"1"#, "not JSON: ends within a string, at byte 9"),
            (#"{"id":"\"#, "not JSON: ends within a string, at byte 9"),
            (#"{"id":"\u12"#, "not JSON: ends within a string, at byte 12"),
            (#"{id:1}"#, "not JSON: expected a name in quotes, at byte 2"),
            (#"{"id":"\x"}"#, "not JSON: has an unknown escape, at byte 8"),
            (#"{"id":"\u12g4"}"#, #"not JSON: has a \u that is no character, at byte 8"#),
            (#"{"id":"\ud800"}"#, #"not JSON: has a \u that is no character, at byte 8"#),
            (#"{"id":"\udc00\ud800"}"#, #"not JSON: has a \u that is no character, at byte 8"#),
            ("{\"id\":\"a\tb\"}", "not JSON: has a control character within a string, at byte 9"),
            ("{\"id\":\"a\u{0}b\"}", "not JSON: has a control character within a string, at byte 9"),
            ("\u{0}", "expected a JSON object, got \"�\""),
            (#"{"attributes":{"a":"}"#, "not JSON: ends within a string, at byte 22"),
            (#"{"attributes":{{{{"#, "not JSON: ends too early, at byte 19"),
            ("{", "not JSON: expected a name in quotes, at byte 2"),
        ])
    func rejectsSyntax(line: String, expected: String) throws {
        #expect(try read(line, format: .ndjson).map(\.summary) == ["line 1: \(expected)"])
    }

    @Test("a wrong line does not stop the lines behind it, and empty lines are skipped")
    func goesOn() throws {
        let good = #"{"id":"ID","shop":"s","customer":"c","lines":"A:1"}"#
        let input = "\n \t\r\n" + good + "\nnope\n\r\n" + good + "\n\n"
        let rows = try read(input, format: .ndjson)
        #expect(rows.map(\.line) == [3, 4, 6])
        #expect(rows.map(\.summary) == ["s/ID c A:1", #"line 4: expected a JSON object, got "nope""#, "s/ID c A:1"])
    }

    @Test("bytes that are not UTF-8 reject their line only")
    func rejectsInvalidUTF8() throws {
        let good = Array(#"{"id":"1","shop":"s","customer":"c","lines":"A:1"}"#.utf8)
        var bad = good
        bad[7] = 0xFF
        let rows = try read(bad + [0x0A] + good)
        #expect(rows.map(\.summary) == ["line 1: is not UTF-8", "s/1 c A:1"])
        #expect(rows.first?.text == bad, "a rejected line is kept byte for byte")
    }

    @Test("an ID that could not be one is not shown as one")
    func hostileID() throws {
        #expect(try read(#"{"id":"\u001b[2J"}"#).first?.id == nil)
        #expect(try read(#"{"id":"\#(String(repeating: "x", count: 129))"}"#).first?.id == nil)
    }

    @Test("a line beyond the limit is rejected, and the line behind it is read")
    func rejectsLongLine() throws {
        let good = #"{"id":"1","shop":"s","customer":"c","lines":"A:1"}"#
        let fits = good + String(repeating: " ", count: Limits.inputLineBytesMax - good.utf8.count)
        for ending in ["\n", "\r\n"] {
            let input =
                fits + "\n" + fits + " " + " " + ending + fits + String(repeating: "x", count: 3_000_000) + ending
                + good
            for chunk in [1000, 262_144, .max] {
                let rows = try read(input, chunk: chunk)
                #expect(
                    rows.map(\.summary) == [
                        "s/1 c A:1", "line 2: longer than 262 144 bytes", "line 3: longer than 262 144 bytes",
                        "s/1 c A:1",
                    ])
                #expect(rows.map(\.line) == [1, 2, 3, 4])
                #expect(rows.map(\.isTextCut) == [true, true, true, false])
                #expect(rows.map(\.text.count).max() == 64 * 1024)
            }
        }
    }

    @Test("a hundred lines are an order, one more is not")
    func hundredLines() throws {
        func order(_ count: Int) -> String {
            let lines = (0..<count).map { #"{"sku":"S\#($0)","quantity":1}"# }.joined(separator: ",")
            return #"{"id":"1","shop":"s","customer":"c","lines":[\#(lines)]}"#
        }
        #expect(try read(order(100)).first?.change?.lines.items.count == 100)
        #expect(try read(order(101)).map(\.summary) == ["line 1: lines: expected 1 to 100 lines, got 101"])
    }
}
