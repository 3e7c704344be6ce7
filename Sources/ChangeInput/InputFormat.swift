/// How changes are written in a file or on standard input.
package enum InputFormat: Sendable {
    /// A JSON object a line; or a JSON document, a list of objects or one that stretches over lines.
    case ndjson
    /// A header, and a row an order's line.
    case csv

    /// Takes the format from a file's name.
    ///
    /// - Parameter path: The file's path; nil comes of any ending but `.csv`, `.ndjson` and `.jsonl`, perhaps with what says
    ///   that it is compressed behind it.
    package init?(path: String) {
        var name = path.lowercased()[...]
        for ending in [".gz", ".zst"] where name.hasSuffix(ending) { name = name.dropLast(ending.count) }
        if name.hasSuffix(".csv") {
            self = .csv
        } else if name.hasSuffix(".ndjson") || name.hasSuffix(".jsonl") {
            self = .ndjson
        } else {
            return nil
        }
    }

    /// Takes the format from the input's beginning: JSON opens with a brace or a bracket, CSV with its header.
    init(beginning: ArraySlice<UInt8>) {
        let first = beginning.first { !$0.isSpace }
        self = first == nil || first == UInt8(ascii: "{") || first == UInt8(ascii: "[") ? .ndjson : .csv
    }

    /// Whether JSON is a document rather than an object a line: a list, or an object whose first line only opens it.
    ///
    /// - Returns: nil when the beginning is too short to tell.
    static func isDocument(_ beginning: ArraySlice<UInt8>) -> Bool? {
        let rest = beginning.drop(while: \.isSpace)
        guard let first = rest.first else { return nil }
        switch first {
        case UInt8(ascii: "["):
            return rest.dropFirst().first { !$0.isSpace }.map { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "]") }
        case UInt8(ascii: "{"):
            return rest.dropFirst().first { !$0.isSpace || $0 == 0x0A }.map { $0 == 0x0A }
        default: return false
        }
    }
}

extension UInt8 {
    /// White space as JSON knows it.
    var isSpace: Bool { self == 0x20 || self == 0x0A || self == 0x0D || self == 0x09 }
}
