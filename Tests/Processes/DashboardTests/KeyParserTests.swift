import Dashboard
import Testing

@Suite("Key parser")
struct KeyParserTests {
    @Test(
        "terminals' sequences are keys",
        arguments: [
            ("\u{1B}[A", Key.up), ("\u{1B}OB", .down), ("\u{1B}[1;5C", .right), ("\u{1B}[D", .left),
            ("\u{1B}[5~", .pageUp), ("\u{1B}[6;2~", .pageDown), ("\u{1B}[H", .home), ("\u{1B}[1~", .home),
            ("\u{1B}OF", .end), ("\u{1B}[4~", .end), ("\u{1B}[Z", .backTab), ("\t", .tab), ("\r", .enter),
            ("\n", .enter),
            ("\u{7F}", .backspace), ("\u{8}", .backspace), ("q", .character("q")), ("é", .character("é")),
            ("日", .character("日")), ("👍", .character("👍")), ("\u{3}", .control("c")), ("\u{C}", .control("l")),
        ])
    func keys(text: String, key: Key) {
        var parser = KeyParser()
        #expect(parser.feed(text.utf8) == [key])
        #expect(!parser.isWaiting)
        // The same in pieces of a byte.
        #expect(text.utf8.flatMap { parser.feed([$0]) } == [key])
        #expect(!parser.isWaiting)
    }

    @Test("a lone ESC waits, and is the Escape key when nothing follows")
    func loneEscape() {
        var parser = KeyParser()
        #expect(parser.feed([0x1B]) == [])
        #expect(parser.isWaiting)
        #expect(parser.flush() == [.escape])
        #expect(!parser.isWaiting)
        #expect(parser.flush() == [])
    }

    @Test("Escape and another key right after it are both keys")
    func escapeAndKey() {
        var parser = KeyParser()
        #expect(parser.feed("\u{1B}q".utf8) == [.escape, .character("q")])
        #expect(parser.feed("\u{1B}\u{1B}[A".utf8) == [.escape, .up])
    }

    @Test("keys in one read come in their order")
    func several() {
        var parser = KeyParser()
        #expect(
            parser.feed("j\u{1B}[Bé\u{1B}[5~q".utf8) == [
                .character("j"), .down, .character("é"), .pageUp, .character("q"),
            ])
    }

    @Test("unknown sequences, broken UTF-8 and noise are no keys, and lose no key after them")
    func noise() {
        var parser = KeyParser()
        #expect(parser.feed("\u{1B}[200~\u{1B}[?1;2cx".utf8) == [.character("x")])
        #expect(parser.feed([0xFF, 0xC3, 0x28, 0x80, 0x00, UInt8(ascii: "y")]) == [.character("("), .character("y")])
        #expect(
            parser.feed([0x1B, 0x5B] + [UInt8](repeating: 0x30, count: 10_000)).allSatisfy { $0 == .character("0") })
        _ = parser.flush()
        #expect(parser.feed([0x1B, 0x5B, 0x31]) == [])
        #expect(parser.flush() == [])
        #expect(parser.feed("z".utf8) == [.character("z")])
        #expect(parser.feed("\u{1B}[1\u{1B}[A".utf8) == [.up])
    }
}
