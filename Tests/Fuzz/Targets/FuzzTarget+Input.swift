import ChangeInput
import Foundation
@testable import OrderLog

extension FuzzTarget {
    /// Orders a line.
    static let ndjson = FuzzTarget("ndjson") { bytes in
        try readsAlike(bytes, as: .ndjson) { row, change in
            guard !row.isTextCut else { return }
            let object = try? JSONSerialization.jsonObject(with: Data(row.text)) as? [String: Any]
            guard let object else { throw FuzzFinding("accepted, and is no JSON object for others") }
            try require(object["shop"] as? String == change.shop, "others read another shop")
        }
    }

    /// Rows of orders.
    static let csv = FuzzTarget("csv") { bytes in try readsAlike(bytes, as: .csv) { _, _ in } }

    /// Exports of shops: the first byte says whose, and whether it is JSON.
    static let exports = FuzzTarget("exports") { bytes in
        guard let first = bytes.first else { return }
        let known = KnownExport.allCases
        let shape = known[Int(first & 0x0F) % known.count].shape.changed { mapping in
            mapping.setShop("main")
            mapping.missingSKU = first & 0x40 == 0 ? .skip : .name
        }
        try readsAlike(Array(bytes.dropFirst()), as: first & 0x20 == 0 ? .csv : .ndjson, shape) { _, change in
            try require(change.shop == "main" && change.lines.items.allSatisfy { $0.quantity > 0 }, "\(change)")
        }
    }

    /// Reads input at once and in pieces, which must give the same; what is accepted can be read from the log again.
    private static func readsAlike(
        _ bytes: [UInt8], as format: InputFormat, _ shape: ExportShape? = nil,
        _ check: (InputRow, Change) throws -> Void
    ) throws {
        let whole = rows(of: [bytes[...]], as: format, shape)
        let inPieces = rows(of: bytes.pieces, as: format, shape)
        try require(whole.rows.map(text) == inPieces.rows.map(text), "pieces give other rows")
        try require(whole.error == inPieces.error, "pieces give another error")
        for row in whole.rows {
            guard case .success(let change) = row.result else { continue }
            try require(decoded(change.fields) == .change(change), "\(change) is another one in the log")
            try check(row, change)
        }
    }

    private static func rows(
        of pieces: [ArraySlice<UInt8>], as format: InputFormat, _ shape: ExportShape?
    ) -> (rows: [InputRow], error: String?) {
        var rest = pieces[...]
        var reader = ChangeReader(format: format, shape: shape) {
            rest.popFirst().map(Array.init)
        }
        var rows: [InputRow] = []
        do {
            while let row = try reader.next() { rows.append(row) }
            return (rows, nil)
        } catch {
            return (rows, "\(error)")
        }
    }

    private static func text(of row: InputRow) -> String {
        "\(row.line) \(row.id ?? "-") \(row.isTextCut) \(row.text) \(row.result)"
    }

    /// An entry's fields: each a byte for its name's length, or above 240 for one of the log's own names; the name; a byte
    /// for its value's length; the value.
    static let entries = FuzzTarget("entries") { bytes in
        let names = ["epoch", "seq", "type", "id", "shop", "customer", "order", "lines", "attributes"]
        var rest = bytes[...]
        func take(_ count: Int) -> [UInt8] {
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        var fields: [EntryField] = []
        while let length = rest.popFirst() {
            let name = length > 240 ? Array(names[Int(length) % names.count].utf8) : take(Int(length))
            fields.append(EntryField(name: name, value: take(Int(rest.popFirst() ?? 0))))
        }
        guard case .change(let change) = decoded(fields) else { return }
        try require(decoded(change.fields) == .change(change), "\(change) is another one when it is read again")
        if let attributes = change.attributes {
            let object = try? JSONSerialization.jsonObject(with: Data(attributes.utf8)) as? [String: Any]
            try require(object != nil, "attributes that are no JSON object for others: \(attributes)")
        }
        let applied = Batch.Applied(id: entryID, place: Place(epoch: Epoch(1), seq: Seq(1)), change: change)
        if let job = DeliveryJob.json(for: applied, in: Partition(0)) {
            let object = try? JSONSerialization.jsonObject(with: Data(job.utf8)) as? [String: Any]
            try require(object?["customer"] as? String == change.customer, "a job that others read otherwise: \(job)")
        }
    }

    private static func decoded(_ fields: [EntryField]) -> Entry.Content {
        var decoder = EntryDecoder()
        for field in fields {
            field.name.withUnsafeBytes { name in
                field.value.withUnsafeBytes { decoder.add(name: name, value: $0) }
            }
        }
        return decoder.finish(id: entryID) { [] }.content
    }

    private static let entryID = EntryID(milliseconds: 1, counter: 1)
}
