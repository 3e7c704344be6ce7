import Dashboard
import Foundation
import Inspection
import OrderLog
import Reports
import Sinks

extension LogFeed.Item {
    /// A line for people.
    var text: String {
        let begin = "\(partition):\(place.seq)  \(ChangeJSON.timestamp(entry))  "
        switch content {
        case .unusable(let quarantine, _): return begin + "unusable: \(sanitized(quarantine.error))"
        case .change(let change):
            // A cancellation's own ID says its order.
            let parts: [String?] = [
                change.kind.rawValue, change.shop, change.id, change.customer, change.lines.text, change.attributes,
            ]
            return begin + parts.compactMap { $0.map { sanitized($0) } }.joined(separator: "  ")
        }
    }

    /// One line of JSON: the place, then the change as `onewrite submit` takes it.
    var json: String {
        switch content {
        case .change(let change): ChangeJSON.text(change, of: entry, at: place, in: partition)
        case .unusable(let quarantine, _):
            ChangeJSON.text(
                ["reason": quarantine.reason.rawValue, "error": quarantine.error], of: entry, at: place, in: partition)
        }
    }
}
