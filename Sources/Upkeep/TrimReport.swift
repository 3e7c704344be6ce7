import Coordination
package import OrderLog

/// A plan of what is to be trimmed, and what became of it, as `onewrite trim` prints it: `onewrite/trim/v1`.
package struct TrimReport: Encodable, Sendable {
    package struct Hold: Encodable, Sendable {
        package let group: String
        /// Up to where it has applied; null where a pending entry is in the way.
        package let seq: Int64?
        package let sinceMilliseconds: UInt64?

        enum CodingKeys: String, CodingKey { case group, seq, sinceMilliseconds = "since_ms" }
    }

    package struct Row: Encodable, Sendable {
        package let partition: Int
        /// The first seq that is there; null when nothing can be said.
        package let first: Int64?
        /// The last one to go; null when none goes.
        package let last: Int64?
        package let entries: Int
        package let bytes: Int?
        package let stays: Int64?
        package let heldBy: Hold?
        package let dropped: Int?
        package let error: String?

        enum CodingKeys: String, CodingKey {
            case partition, first, last, entries, bytes, stays, dropped, error
            case heldBy = "held_by"
        }
    }

    package let schema = "onewrite/trim/v1"
    package let keepMilliseconds: Int64?
    package let keepEntries: Int?
    package let partitions: [Row]

    enum CodingKeys: String, CodingKey {
        case schema, partitions
        case keepMilliseconds = "keep_ms"
        case keepEntries = "keep_entries"
    }

    /// - Parameters:
    ///   - rows: What was planned or done.
    ///   - retention: What stays although all have applied it.
    package init(_ rows: [TrimRun.Row], keeping retention: Retention) {
        keepMilliseconds = retention.age.map { Int64($0 / .milliseconds(1)) }
        keepEntries = retention.entries
        partitions = rows.map(Row.init)
    }
}

extension TrimReport.Row {
    fileprivate init(_ row: TrimRun.Row) {
        let plan = row.plan
        self.init(
            partition: row.partition.number, first: plan?.first.number,
            last: plan.flatMap { $0.count > 0 ? $0.keep.previous.number : nil }, entries: plan?.count ?? 0,
            bytes: row.bytes, stays: plan.map { $0.last.number - $0.keep.number + 1 },
            heldBy: plan?.hold.map {
                TrimReport.Hold(group: $0.group.name, seq: $0.seq?.number, sinceMilliseconds: $0.since)
            },
            dropped: row.dropped, error: row.refusal ?? row.reason)
    }
}
