/// The escape of JSON's strings that names a UTF-16 unit.
///
/// <https://datatracker.ietf.org/doc/html/rfc8259#section-7>
package enum JSONEscape {
    /// Reads one `\uXXXX`, which stands for half a surrogate pair or a whole character.
    ///
    /// - Parameters:
    ///   - bytes: A JSON text.
    ///   - at: Where the backslash is, or may be: the text may end before it.
    /// - Returns: The unit; nil unless one is there.
    package static func codeUnit(_ bytes: Span<UInt8>, at: Int) -> UInt16? {
        guard at + 6 <= bytes.count, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u") else {
            return nil
        }
        var unit: UInt16 = 0
        for index in at + 2..<at + 6 {
            let digit: UInt8
            switch bytes[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = bytes[index] - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = bytes[index] - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = bytes[index] - UInt8(ascii: "A") + 10
            default: return nil
            }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }
}
