import ChangeInput
import OrderLog

/// Reads a whole input, in chunks of a given size.
func read(
    _ input: [UInt8], format: InputFormat? = nil, chunk: Int = .max
) throws(InputError) -> [InputRow] {
    var rest = input[...]
    var reader = ChangeReader(format: format) {
        if rest.isEmpty { return nil }
        let next = Array(rest.prefix(chunk))
        rest = rest.dropFirst(next.count)
        return next
    }
    var rows: [InputRow] = []
    while let row = try reader.next() { rows.append(row) }
    return rows
}

func read(_ input: String, format: InputFormat? = nil, chunk: Int = .max) throws(InputError) -> [InputRow] {
    try read(Array(input.utf8), format: format, chunk: chunk)
}

extension InputRow {
    /// The change in one line: `main/ord-1 c-17 TEA-250:2`, or the error as a person reads it.
    var summary: String {
        switch result {
        case .success(let change):
            let parts = [change.customer, change.order, change.lines.text, change.attributes].compactMap(\.self)
            let kind = change.kind == .orderPlaced ? "" : "\(change.kind.rawValue) "
            return "\(kind)\(change.shop)/\(change.id) \(parts.joined(separator: " "))"
        case .failure(let error):
            return error.description
        }
    }

    /// All there is to compare.
    var everything: String {
        "\(line) \(id ?? "-") \(isTextCut) \(summary) \(String(decoding: text, as: UTF8.self))"
    }

    var change: Change? {
        if case .success(let change) = result { change } else { nil }
    }
}
