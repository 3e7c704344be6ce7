import OrderLog

/// Reads orders that are JSON objects, as shops' webhooks and APIs give them.
///
/// What an order is made of are members, named by their paths: `billing.email`; `line_items.sku` of each element of a list. An
/// order becomes the rows that its CSV would have, one for each element.
struct ExportObjects {
    private let columns: CSVColumns
    /// Where each path's value goes.
    private let indexes: [String: Int]
    /// The paths of what has such members.
    private let parents: Set<String>

    init(_ mapping: ExportMapping) {
        let names = mapping.columns
        indexes = Dictionary(zip(names, names.indices)) { first, _ in first }
        parents = Set(
            names.flatMap { name in
                let parts = name.split(separator: ".")
                return parts.indices.dropFirst().map { parts[..<$0].joined(separator: ".") }
            })
        columns = CSVColumns(of: mapping)
    }

    /// Reads an order.
    ///
    /// - Parameters:
    ///   - range: Where the object is.
    ///   - bytes: What it is in.
    ///   - line: The line it begins on.
    ///   - noting: Takes each of its rows.
    /// - Returns: The order, perhaps rejected.
    func order(_ range: Range<Int>, of bytes: [UInt8], line: Int, noting: (CSVRow) -> Void) -> CSVOrder {
        var found = Found(count: indexes.count)
        var problem: FieldError?
        do throws(FieldError) {
            guard bytes[range].isUTF8 else { throw .notUTF8 }
            var scanner = JSONScanner(bytes, range)
            scanner.skipSpace()
            guard scanner.peek == UInt8(ascii: "{") else {
                throw .row("expected a JSON object, got \(scanner.describeValue())")
            }
            try take(&scanner, "", &found)
            try scanner.expectEnd()
        } catch {
            problem = error
        }
        var rows = (found.items.isEmpty ? [found.order] : found.items).map { item in
            // What the order as a whole says stands in each of its rows.
            zip(item, found.order).map { $0 ?? $1 ?? "" }
        }
        let first = CSVRow(line: line, bytes[range], rows.removeFirst(), columns, problem)
        noting(first)
        var order = CSVOrder(first, isOfExport: true)
        for fields in rows {
            let row = CSVRow(line: line, [], fields, columns, nil)
            noting(row)
            order.append(row)
        }
        return order
    }

    /// The values by column: the order's, and those of each element of a list.
    private struct Found {
        var order: [String?]
        var items: [[String?]] = []
        var isInItem = false

        init(count: Int) { order = Array(repeating: nil, count: count) }

        mutating func set(_ index: Int, _ text: String) {
            if isInItem {
                items[items.count - 1][index] = items[items.count - 1][index] ?? text
            } else {
                order[index] = order[index] ?? text
            }
        }
    }

    private func take(
        _ scanner: inout JSONScanner, _ path: String, _ found: inout Found
    ) throws(FieldError) {
        try scanner.takeMembers { (scanner, name) throws(FieldError) in
            try takeValue(&scanner, path.isEmpty ? name : path + "." + name, &found)
        }
    }

    /// Goes no deeper than the paths do.
    private func takeValue(
        _ scanner: inout JSONScanner, _ path: String, _ found: inout Found
    ) throws(FieldError) {
        switch scanner.peek {
        case UInt8(ascii: "{") where parents.contains(path):
            try take(&scanner, path, &found)
        case UInt8(ascii: "[") where parents.contains(path) && !found.isInItem:
            try scanner.takeElements { scanner throws(FieldError) in
                guard scanner.peek == UInt8(ascii: "{") else { return try scanner.skipValue() }
                found.items.append(Array(repeating: nil, count: indexes.count))
                found.isInItem = true
                defer { found.isInItem = false }
                try take(&scanner, path, &found)
            }
        default:
            guard let index = indexes[path] else { return try scanner.skipValue() }
            if scanner.peek == UInt8(ascii: "\"") {
                found.set(index, try scanner.takeString(path))
            } else {
                // What isn't so says as little as what isn't there.
                let text = try scanner.takeRaw()
                if text != "null", text != "false" { found.set(index, text) }
            }
        }
    }
}
