import Dashboard
import Foundation
import Inspection
import OrderLog
import Reports

extension LogFeed.Item {
    /// When it was appended, by Redis's clock.
    private var appendedAt: String {
        Snapshot.timestamp(Date(timeIntervalSince1970: Double(entry.milliseconds) / 1000))
    }

    /// A line for people.
    var text: String {
        let begin = "\(partition):\(place.seq)  \(appendedAt)  "
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
    ///
    /// - Throws: `EncodingError`.
    func json() throws -> String {
        var members = [
            ("partition", "\(partition)"), ("seq", "\(place.seq)"), ("epoch", "\(place.epoch)"),
            ("entry", try Self.quoted(entry.description)), ("at", try Self.quoted(appendedAt)),
        ]
        switch content {
        case .unusable(let quarantine, _):
            members.append(("reason", try Self.quoted(quarantine.reason.rawValue)))
            members.append(("error", try Self.quoted(quarantine.error)))
        case .change(let change):
            for (name, value) in change.stringFields {
                switch name {
                case "lines": members.append((name, try Self.json(change.lines)))
                // JSON already; its line breaks can only stand between its parts.
                case "attributes": members.append((name, value.replacing(/[\r\n\t]/, with: " ")))
                default: members.append((name, try Self.quoted(value)))
                }
            }
        }
        return "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    private static func json(_ lines: Lines) throws -> String {
        let items = try lines.items.map { "{\"sku\":\(try quoted($0.sku)),\"quantity\":\($0.quantity)}" }
        return "[" + items.joined(separator: ",") + "]"
    }

    private static func quoted(_ text: String) throws -> String {
        if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
        {
            return "\"\(text)\""
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return String(decoding: try encoder.encode(text), as: UTF8.self)
    }
}
