/// What the delivery service takes from its list: one JSON object a job.
package enum DeliveryJob {
    /// The job that an entry makes.
    ///
    /// - Parameters:
    ///   - entry: An entry that is applied.
    ///   - partition: Where it lies.
    /// - Returns: The JSON text; nil when its change is none of the delivery service's business.
    package static func json(for entry: Batch.Applied, in partition: Partition) -> String? {
        let change = entry.change
        let job: String
        let order: String
        switch change.kind {
        case .orderPlaced: (job, order) = ("prepare", change.id)
        case .orderCancelled: (job, order) = ("cancel", change.order ?? "")
        case .orderReturned: (job, order) = ("return", change.order ?? "")
        case .stockReceived, .stockCounted: return nil
        }
        // An order may come back several times: its returns are told apart by their IDs.
        let id = change.kind == .orderReturned ? ",\"id\":\(quoted(change.id))" : ""
        var json = "{\"job\":\"\(job)\"\(id),\"order\":\(quoted(order)),\"shop\":\(quoted(change.shop)),\"customer\":"
        json += change.customer.map(quoted) ?? "null"
        json += ",\"lines\":["
        for (index, line) in change.lines.items.enumerated() {
            json += "\(index == 0 ? "" : ","){\"sku\":\(quoted(line.sku)),\"quantity\":\(line.quantity)}"
        }
        json += "],\"attributes\":\(change.attributes ?? "null"),\"partition\":\(partition)"
        json += ",\"epoch\":\(entry.place.epoch),\"seq\":\(entry.place.seq)}"
        return json
    }

    /// A JSON string.
    ///
    /// Names and customers hold no control characters, so two escapes are enough.
    private static func quoted(_ text: String) -> String {
        // As nearly all are.
        if !text.utf8.contains(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) { return "\"\(text)\"" }
        var json = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { json += "\\" }
            json.unicodeScalars.append(scalar)
        }
        return json + "\""
    }
}
