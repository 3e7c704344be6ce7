import Foundation
import Harness
import OrderLog
import TestSupport
import Testing

@Suite struct AttributesCheckTests {
    static let good = [
        "{}", " { } ", "\n\t\r{}\r\n", #"{"a":1}"#, #"{"":""}"#, #"{"a":1,"a":2}"#, #"{"a":[]}"#, #"{"a":[[],{}]}"#,
        #"{"a":{"b":{"c":[1,2,{"d":null}]}}}"#, #"{"a":true,"b":false,"c":null}"#, #"{"a" : [ 1 , 2 ] , "b" : { } }"#,
        #"{"a":0}"#, #"{"a":-0}"#, #"{"a":-1.50}"#, #"{"a":0.001}"#, #"{"a":1e5}"#, #"{"a":1E+5}"#, #"{"a":1.5e-5}"#,
        #"{"a":1e308}"#, #"{"a":1e-308}"#, #"{"a":1e+0000308}"#, #"{"a":1e00}"#,
        #"{"a":12345678901234567890123456789012345678901234567890}"#,
        #"{"a":"\"\\\/\b\f\n\r\t"}"#, #"{"a":"\u0001\u00e9\uFFFF"}"#, #"{"a":"\ud83c\udf75"}"#,
        #"{"a":"\uDBFF\uDFFF"}"#, #"{"\u0061":"\\u0000"}"#, #"{"茶":"🍵é"}"#, "{\"a\":\"\u{7F}\u{80}\u{2028}\"}",
        #"{"a":"}]{[,:"}"#,
    ]

    static let bad = [
        ("", #"expected a JSON object, got """#), ("  ", #"expected a JSON object, got "  ""#),
        ("[]", #"expected a JSON object, got "[]""#), ("null", #"expected a JSON object, got "null""#),
        ("1", #"expected a JSON object, got "1""#), (#""{}""#, #"expected a JSON object, got ""{}"""#),
        ("\u{FEFF}{}", #"expected a JSON object, got "�{}""#), ("\u{A0}{}", "expected a JSON object, got \"\u{A0}{}\""),
        ("{", "ends too early, at byte 2"), ("{}}", "expected nothing behind the object, at byte 3"),
        ("{}{}", "expected nothing behind the object, at byte 3"),
        ("{} x", "expected nothing behind the object, at byte 4"),
        ("{]", "expected a name in quotes, at byte 2"), ("{,}", "expected a name in quotes, at byte 2"),
        ("{a:1}", "expected a name in quotes, at byte 2"), ("{'a':1}", "expected a name in quotes, at byte 2"),
        ("{1:1}", "expected a name in quotes, at byte 2"), (#"{"a"}"#, "expected a colon, at byte 5"),
        (#"{"a" 1}"#, "expected a colon, at byte 6"), (#"{"a":}"#, "expected a value, at byte 6"),
        (#"{"a":1,}"#, "expected a name in quotes, at byte 8"),
        (#"{"a":1 "b":2}"#, "expected a comma or a closing bracket, at byte 8"),
        (#"{"a":1]"#, "expected a comma or a closing bracket, at byte 7"),
        (#"{"a":[1}"#, "expected a comma or a closing bracket, at byte 8"),
        (#"{"a":[1,]}"#, "expected a value, at byte 9"), (#"{"a":[,1]}"#, "expected a value, at byte 7"),
        (#"{"a":[}]"#, "expected a value, at byte 7"),
        (#"{"a":[1:2]}"#, "expected a comma or a closing bracket, at byte 8"),
        (#"{"a":[1 2]}"#, "expected a comma or a closing bracket, at byte 9"),
        (#"{"a":["#, "ends too early, at byte 7"),
        (#"{"a":tru}"#, "expected a value, at byte 6"), (#"{"a":True}"#, "expected a value, at byte 6"),
        (#"{"a":nul"#, "expected a value, at byte 6"),
        (#"{"a":nullx}"#, "expected a comma or a closing bracket, at byte 10"),
        (#"{"a":NaN}"#, "expected a value, at byte 6"), (#"{"a":Infinity}"#, "expected a value, at byte 6"),
        (#"{"a":+1}"#, "expected a value, at byte 6"), (#"{"a":.5}"#, "expected a value, at byte 6"),
        (#"{"a":01}"#, "has a number with a leading zero, at byte 6"),
        (#"{"a":-01}"#, "has a number with a leading zero, at byte 7"),
        (#"{"a":-}"#, "expected a digit, at byte 7"), (#"{"a":1.}"#, "expected a digit, at byte 8"),
        (#"{"a":1.e5}"#, "expected a digit, at byte 8"), (#"{"a":1e}"#, "expected a digit, at byte 8"),
        (#"{"a":1e+}"#, "expected a digit, at byte 9"), (#"{"a":1e"#, "expected a digit, at byte 8"),
        (#"{"a":0x10}"#, "expected a comma or a closing bracket, at byte 7"),
        (#"{"a":1e309}"#, "has a number that is too large or too small, at byte 6"),
        (#"{"a":1e-309}"#, "has a number that is too large or too small, at byte 6"),
        (#"{"a":0e99999999999999999999999}"#, "has a number that is too large or too small, at byte 6"),
        (#"{"a":"b}"#, "ends within a string, at byte 9"), (#"{"a":"\"#, "ends within a string, at byte 8"),
        (#"{"a":"\x"}"#, "has an unknown escape, at byte 7"), (#"{"a":"\U0041"}"#, "has an unknown escape, at byte 7"),
        (#"{"a":"\u12"}"#, #"has a \u without four hexadecimal digits, at byte 7"#),
        (#"{"a":"\u12g4"}"#, #"has a \u without four hexadecimal digits, at byte 7"#),
        (#"{"a":"\u0000"}"#, #"has a \u0000, which Postgres can't hold, at byte 7"#),
        (#"{"\u0000":1}"#, #"has a \u0000, which Postgres can't hold, at byte 3"#),
        (#"{"a":"\ud800"}"#, "has half of a surrogate pair, at byte 7"),
        (#"{"a":"\ud800\u0041"}"#, "has half of a surrogate pair, at byte 7"),
        (#"{"a":"\ud800\ud800"}"#, "has half of a surrogate pair, at byte 7"),
        (#"{"a":"\ud800x"}"#, "has half of a surrogate pair, at byte 7"),
        (#"{"a":"\udc00"}"#, "has half of a surrogate pair, at byte 7"),
        (#"{"a":"\ud83c"#, "has half of a surrogate pair, at byte 7"),
        ("{\"a\":\"\u{0}\"}", "has a control character within a string, at byte 7"),
        ("{\"a\":\"\n\"}", "has a control character within a string, at byte 7"),
        ("{\"a\":\"\u{1F}\"}", "has a control character within a string, at byte 7"),
        ("{\"a\u{0}\":1}", "has a control character within a string, at byte 4"),
        ("{\u{0}}", "expected a name in quotes, at byte 2"),
        ("{}\u{0}", "expected nothing behind the object, at byte 3"),
        ("{\"a\":1\u{B}}", "expected a comma or a closing bracket, at byte 7"),
        ("{/**/}", "expected a name in quotes, at byte 2"),
    ]

    @Test("a JSON object passes, byte for byte", arguments: good)
    func accepts(text: String) throws {
        #expect(Array(try AttributesCheck.check(text).utf8) == Array(text.utf8))
    }

    @Test("anything else is rejected, with its place", arguments: bad)
    func rejects(text: String, message: String) {
        #expect(throws: FieldError("attributes", message)) { try AttributesCheck.check(text) }
    }

    @Test("32 levels pass, 33 don't, and any number of them is harmless")
    func depth() throws {
        func nested(_ depth: Int) -> String {
            #"{"a":"# + String(repeating: "[", count: depth - 1) + String(repeating: "]", count: depth - 1) + "}"
        }
        func objects(_ depth: Int) -> String {
            String(repeating: #"{"a":"#, count: depth - 1) + "{}" + String(repeating: "}", count: depth - 1)
        }
        _ = try AttributesCheck.check(nested(32))
        _ = try AttributesCheck.check(objects(32))
        for text in [nested(33), objects(33), nested(8000), objects(2000)] {
            #expect(throws: FieldError.self) { try AttributesCheck.check(text) }
        }
        // What is open is told apart on every level, also at the deepest.
        let mixed = String(repeating: #"{"a":["#, count: 16)
        _ = try AttributesCheck.check(mixed + String(repeating: "]}", count: 16))
        #expect(throws: FieldError.self) { try AttributesCheck.check(mixed + String(repeating: "}]", count: 16)) }
    }

    @Test("16 KiB pass, one byte more does not")
    func size() throws {
        let fits = #"{"a":""# + String(repeating: "é", count: (16 * 1024 - 8) / 2) + #""}"#
        #expect(fits.utf8.count == 16 * 1024)
        _ = try AttributesCheck.check(fits)
        #expect(throws: FieldError("attributes", "expected at most 16384 bytes, got 16385")) {
            try AttributesCheck.check(fits + " ")
        }
    }

    @Test("a number passes up to the last digit that Postgres's numeric takes")
    func scale() throws {
        // Seen on PostgreSQL 15: these pass with 16 383 digits behind the point, and overflow with one more.
        func number(_ zeros: Int, _ exponent: String) -> String {
            #"{"a":0."# + String(repeating: "0", count: zeros) + "1\(exponent)}"
        }
        _ = try AttributesCheck.check(number(16_074, "e-308"))
        _ = try AttributesCheck.check(number(16_370, "e308"))
        _ = try AttributesCheck.check(number(16_360, ""))
        #expect(throws: FieldError("attributes", "has a number that is too large or too small, at byte 6")) {
            try AttributesCheck.check(number(16_075, "e-308"))
        }
    }

    @Test("it agrees with Foundation's parser on random texts")
    func agreesWithFoundation() throws {
        let seed = ProcessSeed.take()
        var random = SeededGenerator(seed: seed)
        let pieces =
            Array(#"{}[]:,"\u19dea0.-+e tnrlfs"#).map(String.init) + [
                "true", "null", "\"a\":", "[1,", "é", "\\ud83c\\udf75",
            ]
        var valid = 0
        for turn in 0..<20_000 {
            var text = Array(Self.good[Int.random(in: 0..<Self.good.count, using: &random)]).map(String.init)
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let place = Int.random(in: 0..<text.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: text[place] = pieces[Int.random(in: 0..<pieces.count, using: &random)]
                case 1: text.insert(pieces[Int.random(in: 0..<pieces.count, using: &random)], at: place)
                default: text.remove(at: place)
                }
                if text.isEmpty { text = ["{"] }
            }
            let json = text.joined()
            if differsOnPurpose(json) { continue }
            let ours = (try? AttributesCheck.check(json)) != nil
            let theirs = (try? JSONSerialization.jsonObject(with: Data(json.utf8))) is [String: Any]
            #expect(ours == theirs, "seed \(seed), turn \(turn): \(json)")
            if ours { valid += 1 }
        }
        #expect(valid > 1000)
    }

    /// Jsonb's own limits, numbers beyond Foundation's Double, and the trailing commas that Foundation tolerates.
    private func differsOnPurpose(_ json: String) -> Bool {
        json.contains(/\\u0000|[0-9]{15}|[eE][+-]?[0-9]{3}|,\s*[\]}]/)
    }
}
