import ChangeInput
import OrderLog
import Testing

@Suite("JSON documents")
struct DocumentTests {
    private static func object(_ id: String, _ more: String = "") -> String {
        #"{"id":"\#(id)","shop":"m","customer":"c [{\"","lines":[{"sku":"A","quantity":1}]\#(more)}"#
    }

    private static let pretty = """
        {
          "id": "2",
          "shop": "m",
          "customer": "c",
          "lines": [
            { "sku": "A", "quantity": 1 }
          ],
          "attributes": { "note": "]}" }
        }
        """

    @Test(
        "a list of objects, on a line or on many, is read as an object a line would be, in any pieces",
        arguments: [Int.max, 1, 7])
    func list(chunk: Int) throws {
        let text = "\u{FEFF}[\(Self.object("1")),\n\(Self.pretty) ,\n\n\(Self.object("3"))\n]\n"
        let rows = try read(text, chunk: chunk)
        #expect(
            rows.map(\.summary) == [
                #"m/1 c [{" A:1"#, #"m/2 c A:1 { "note": "]}" }"#, #"m/3 c [{" A:1"#,
            ])
        #expect(rows.map(\.line) == [1, 2, 12])
        #expect(rows.dropFirst().first.map { String(decoding: $0.text, as: UTF8.self) } == Self.pretty)
        #expect(
            try read(Self.pretty + "\n" + Self.pretty.replacing("\"2\"", with: "\"4\""), chunk: chunk).map(\.id) == [
                "2", "4",
            ])
        #expect(try read("[]", chunk: chunk).isEmpty && read(" [\n ] \n", chunk: chunk).isEmpty)
    }

    @Test("what is wrong in a list is told with its line, and the others are read", arguments: [Int.max, 5])
    func wrong(chunk: Int) throws {
        let text = "[\n\(Self.object("1")),\n\(Self.object("2", #","colour":"red""#)),\n7,\n\(Self.object("3"))\n]"
        let rows = try read(text, chunk: chunk)
        #expect(rows.map(\.line) == [2, 3, 4, 5])
        #expect(rows.map { $0.change?.id } == ["1", nil, nil, "3"])
        #expect(rows.dropFirst().first?.summary.contains("line 3: ") == true)
        // One that isn't closed takes all that follows.
        #expect(try read("[{\"id\":\"1\",\n" + Self.object("2"), chunk: chunk).map { $0.change == nil } == [true])
        let long = try read(
            "[" + Self.object("1", ",\"attributes\":{\"a\":\"\(String(repeating: "x", count: 300_000))\"}") + ","
                + Self.object("2") + "]", chunk: chunk == 5 ? 4096 : chunk)
        #expect(long.map { $0.change?.id } == [nil, "2"] && long.first?.summary == "line 1: longer than 262 144 bytes")
    }
}
