package import OrderLog

/// What the log gives for a shop's stock, in each of the two sinks that keep one, as it is folded.
///
/// Made apart from the fold that the sinks apply: it shares nothing with it.
package final class ShopStock {
    private(set) var inPostgres: [Name: Int64] = [:]
    private(set) var inRedis: [Name: Int64] = [:]

    /// Does what a change does.
    package func apply(_ change: Change, toPostgres: Bool, toRedis: Bool) {
        for line in change.lines.items {
            if toPostgres { Self.apply(line, change.kind, &inPostgres[Name(line.sku), default: 0]) }
            if toRedis { Self.apply(line, change.kind, &inRedis[Name(line.sku), default: 0]) }
        }
    }

    private static func apply(_ line: Line, _ kind: Change.Kind, _ onHand: inout Int64) {
        switch kind {
        case .orderPlaced: onHand -= line.quantity
        case .orderCancelled, .orderReturned, .stockReceived: onHand += line.quantity
        case .stockCounted: onHand = line.quantity
        }
    }

    /// Compares what the log gives with what a sink has.
    package static func compare(
        _ subject: AuditSubject, of shop: String, in partition: Partition, at seq: Seq, expected: [Name: Int64],
        found: [Name: String], _ findings: inout AuditFindings
    ) {
        findings.count(subject, expected.count)
        var differing = expected.filter { found[$0.key] != String($0.value) }.map(\.key)
        if found.count + differing.count != expected.count || !differing.isEmpty {
            differing += found.keys.filter { expected[$0] == nil }
        }
        for sku in differing.sorted() {
            findings.differ(
                subject, in: partition.number, at: seq.number, "\(shop) \(sku)",
                expected: expected[sku].map(String.init) ?? "no such SKU", found: found[sku] ?? "nothing")
        }
    }
}
