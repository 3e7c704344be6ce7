package import Foundation

/// JSON as the commands print it.
package enum JSONText {
    /// A value as one line of JSON.
    ///
    /// What a terminal might obey, or what turns text around, is escaped: the JSON means the same, whoever wrote the text.
    ///
    /// - Parameters:
    ///   - value: An object.
    ///   - keys: How its keys are written.
    ///   - isSorted: Whether its keys are sorted; sorting takes time.
    /// - Returns: The line, without its end.
    /// - Throws: `EncodingError`.
    package static func line(
        of value: some Encodable, keys: JSONEncoder.KeyEncodingStrategy = .useDefaultKeys, isSorted: Bool = true
    ) throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = keys
        encoder.outputFormatting = isSorted ? [.sortedKeys, .withoutEscapingSlashes] : .withoutEscapingSlashes
        return escaped(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// The encoder leaves such characters as they are; they can only stand within strings.
    private static func escaped(_ json: String) -> String {
        if json.utf8.allSatisfy({ $0 < 0x7F }) { return json }
        var escaped = ""
        for scalar in json.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    escaped += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
