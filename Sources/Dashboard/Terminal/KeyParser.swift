/// Turns the bytes that a terminal sends into keys.
///
/// Sequences may come in pieces. A lone ESC could be the Escape key or the start of a sequence: it waits for more, or for
/// ``flush()`` after a short time.
///
/// xterm's control sequences: <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>
package struct KeyParser: Sendable {
    /// No sequence of a key is longer; a longer one is noise.
    private static let sequenceBytesMax = 32

    private var buffer: [UInt8] = []
    /// A sequence that is too long has begun, and not ended.
    private var isInNoise = false

    /// Makes a parser that has read nothing.
    package init() {}

    /// Whether bytes wait that are no key yet.
    package var isWaiting: Bool { !buffer.isEmpty }

    /// Takes bytes, and gives the keys that they complete.
    package mutating func feed(_ bytes: some Sequence<UInt8>) -> [Key] {
        buffer.append(contentsOf: bytes)
        var keys: [Key] = []
        while let (key, length) = next() {
            buffer.removeFirst(length)
            if let key { keys.append(key) }
        }
        return keys
    }

    /// Ends what waits: a lone ESC is the Escape key, the rest is dropped.
    package mutating func flush() -> [Key] {
        defer { (buffer, isInNoise) = ([], false) }
        return buffer == [0x1B] ? [.escape] : []
    }

    /// The first key in the buffer (`nil` for bytes that mean nothing) and its length; `nil` when more bytes are needed.
    private mutating func next() -> (Key?, Int)? {
        guard let first = buffer.first else { return nil }
        if isInNoise {
            isInNoise = (0x20...0x3F).contains(first)
            if (0x20...0x7E).contains(first) { return (nil, 1) }
        }
        switch first {
        case 0x1B: return escapeSequence()
        case 0x09: return (.tab, 1)
        case 0x0A, 0x0D: return (.enter, 1)
        case 0x08, 0x7F: return (.backspace, 1)
        case 0x01...0x1A: return (.control(Character(Unicode.Scalar(first + 0x60))), 1)
        case 0x00...0x1F: return (nil, 1)
        case 0x20..<0x7F: return (.character(Character(Unicode.Scalar(first))), 1)
        default: return multibyteCharacter(first)
        }
    }

    private mutating func escapeSequence() -> (Key?, Int)? {
        guard buffer.count > 1 else { return nil }
        switch buffer[1] {
        case UInt8(ascii: "["): return controlSequence()
        case UInt8(ascii: "O"):
            // SS3: what the cursor keys send in application mode.
            guard buffer.count > 2 else { return nil }
            return (Self.cursorKey(buffer[2]), 3)
        default:
            // Escape, and soon after it another key.
            return (.escape, 1)
        }
    }

    /// CSI, parameters, intermediates, final byte.
    private mutating func controlSequence() -> (Key?, Int)? {
        var end = 2
        while end < buffer.count, (0x20...0x3F).contains(buffer[end]) { end += 1 }
        guard end < Self.sequenceBytesMax else {
            isInNoise = true
            return (nil, end)
        }
        guard end < buffer.count else { return nil }
        let final = buffer[end]
        // Another control character in the middle starts afresh.
        guard (0x40...0x7E).contains(final) else { return (nil, end) }
        guard final == UInt8(ascii: "~") else { return (Self.cursorKey(final), end + 1) }
        let number = buffer[2..<end].prefix { (0x30...0x39).contains($0) }
        switch String(decoding: number, as: UTF8.self) {
        case "1", "7": return (.home, end + 1)
        case "4", "8": return (.end, end + 1)
        case "5": return (.pageUp, end + 1)
        case "6": return (.pageDown, end + 1)
        default: return (nil, end + 1)
        }
    }

    private static func cursorKey(_ final: UInt8) -> Key? {
        switch final {
        case UInt8(ascii: "A"): .up
        case UInt8(ascii: "B"): .down
        case UInt8(ascii: "C"): .right
        case UInt8(ascii: "D"): .left
        case UInt8(ascii: "F"): .end
        case UInt8(ascii: "H"): .home
        case UInt8(ascii: "Z"): .backTab
        case UInt8(ascii: "M"): .enter
        default: nil
        }
    }

    private func multibyteCharacter(_ first: UInt8) -> (Key?, Int)? {
        let length: Int
        switch first {
        case 0xC2...0xDF: length = 2
        case 0xE0...0xEF: length = 3
        case 0xF0...0xF4: length = 4
        default: return (nil, 1)
        }
        for index in 1..<length {
            guard index < buffer.count else { return nil }
            guard (0x80...0xBF).contains(buffer[index]) else { return (nil, index) }
        }
        let text = String(decoding: buffer[..<length], as: UTF8.self)
        guard let character = text.first, character != "\u{FFFD}" else { return (nil, length) }
        return (.character(character), length)
    }
}
