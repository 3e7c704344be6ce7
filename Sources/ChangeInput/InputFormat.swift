/// How changes are written in a file or on standard input.
package enum InputFormat: Sendable {
    /// A JSON object a line.
    case ndjson
    /// A header, and a row an order's line.
    case csv

    /// Takes the format from a file's name.
    ///
    /// - Parameter path: The file's path; nil comes of any ending but `.csv`, `.ndjson` and `.jsonl`.
    package init?(path: String) {
        let name = path.lowercased()
        if name.hasSuffix(".csv") {
            self = .csv
        } else if name.hasSuffix(".ndjson") || name.hasSuffix(".jsonl") {
            self = .ndjson
        } else {
            return nil
        }
    }

    /// Takes the format from the input's beginning: NDJSON opens with a brace, CSV with its header.
    init(beginning: ArraySlice<UInt8>) {
        let first = beginning.first { !$0.isSpace }
        self = first == nil || first == UInt8(ascii: "{") ? .ndjson : .csv
    }
}

extension UInt8 {
    /// White space as JSON knows it.
    var isSpace: Bool { self == 0x20 || self == 0x0A || self == 0x0D || self == 0x09 }
}
