import Dashboard
import Foundation
import Upkeep

extension TrimReport.Row {
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
