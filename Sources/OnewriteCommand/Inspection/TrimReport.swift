import Coordination
import Dashboard
import Foundation
import OrderLog
import Upkeep

/// A plan of what is to be trimmed, and what became of it, as `onewrite trim` prints it.
struct TrimReport: Encodable {
    struct Hold: Encodable {
        let group: String
        /// Up to where it has applied; null where a pending entry is in the way.
        let seq: Int64?
        let sinceMilliseconds: UInt64?

        enum CodingKeys: String, CodingKey { case group, seq, sinceMilliseconds = "since_ms" }
    }

    struct Row: Encodable {
        let partition: Int
        /// The first seq that is there; null when nothing can be said.
        let first: Int64?
        /// The last one to go; null when none goes.
        let last: Int64?
        let entries: Int
        let bytes: Int?
        let stays: Int64?
        let heldBy: Hold?
        let dropped: Int?
        let error: String?

        enum CodingKeys: String, CodingKey {
            case partition, first, last, entries, bytes, stays, dropped, error
            case heldBy = "held_by"
        }
    }

    let schema = "onewrite/trim/v1"
    let keepMilliseconds: Int64?
    let keepEntries: Int?
    let partitions: [Row]

    enum CodingKeys: String, CodingKey {
        case schema, partitions
        case keepMilliseconds = "keep_ms"
        case keepEntries = "keep_entries"
    }

    init(_ rows: [TrimRun.Row], keeping retention: Retention) {
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

    fileprivate var text: String {
        guard let first, let stays else { return "partition \(partition): \(error ?? "?")" }
        var parts: [String] = []
        if let last {
            let size = bytes.map { ", \(Readable.bytes($0))" } ?? ""
            let what = "seq \(first) to \(last) (\(Readable.count(entries)) entries\(size))"
            parts.append(dropped == nil ? "\(what) can go" : "\(what): \(Readable.count(dropped)) dropped")
        } else {
            parts.append("nothing to drop")
        }
        parts.append("\(Readable.count(Int(stays))) stay")
        if let heldBy { parts.append("held back by \(heldBy.text)") }
        if let error { parts.append(error) }
        return "partition \(partition): " + parts.joined(separator: "; ")
    }
}

extension TrimReport.Hold {
    fileprivate var text: String {
        let place = seq.map { ", which is at seq \($0)" } ?? ", which has an entry pending"
        let since = sinceMilliseconds.map {
            " since " + Date(timeIntervalSince1970: Double($0) / 1000).formatted(.iso8601)
        }
        return group + place + (since ?? "")
    }
}

extension TrimReport {
    /// A line a partition, and their sum.
    var lines: [String] {
        let entries = partitions.reduce(0) { $0 + $1.entries }
        let sizes = partitions.compactMap(\.bytes)
        let size = sizes.count == partitions.count ? ", \(Readable.bytes(sizes.reduce(0, +)))" : ""
        let stays = partitions.reduce(0) { $0 + ($1.stays ?? 0) }
        let dropped = partitions.compactMap(\.dropped)
        let sum =
            dropped.isEmpty
            ? "\(Readable.count(entries)) entries can go\(size)"
            : "\(Readable.count(dropped.reduce(0, +))) of \(Readable.count(entries)) entries dropped\(size)"
        return partitions.map(\.text) + ["\(partitions.count) partitions: \(sum); \(Readable.count(Int(stays))) stay"]
    }
}
