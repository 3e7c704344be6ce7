import Dashboard
import Inspection
import OrderLog
import Reports

extension OrderTrail {
    /// The trail for people: a line for each place where the order is, was, or should be.
    var text: String {
        var lines = ["\(id)  shop \(shop)  \(status)"]
        if let stored {
            lines.append(Self.line("placed", "\(sanitized(stored.placedAt)) by \(sanitized(stored.customer))"))
            let items = stored.lines.map { line in
                "\(sanitized(line.sku)) × \(line.quantity)" + (line.returned > 0 ? " (\(line.returned) back)" : "")
            }
            lines.append(Self.line("lines", items.joined(separator: ", ")))
        }
        lines += placed.lines(partition)
        for way in [cancellation].compactMap(\.self) + returns {
            lines.append("\(way.id)")
            lines += way.lines(partition)
        }
        lines += (incidents ?? []).map { Self.line("incident", $0.text) }
        if let postgresError { lines.append("! postgres can't be asked: \(sanitized(postgresError))") }
        return lines.map { $0 + "\n" }.joined()
    }

    private var status: String {
        if let stored { return sanitized(stored.status) }
        return postgresError == nil ? "not in Postgres" : "?"
    }

    fileprivate static func line(_ name: String, _ text: String) -> String {
        "  " + name + String(repeating: " ", count: max(1, 10 - name.count)) + text
    }
}

extension OrderTrail.Way {
    fileprivate func lines(_ partition: Int) -> [String] {
        var lines: [String] = []
        if let place {
            let epoch = place.epoch.map(String.init) ?? "?"
            lines.append(
                OrderTrail.line("log", "partition \(partition)  seq \(place.seq)  epoch \(epoch)  \(place.entry)"))
        } else {
            lines.append(OrderTrail.line("log", "partition \(partition)  seq ?"))
        }
        lines += steps.map { OrderTrail.line($0.group.name, $0.text) }
        lines.append(OrderTrail.line("job", job.text))
        return lines
    }
}

extension OrderTrail.Step {
    fileprivate var text: String {
        switch state {
        case .applied: "applied" + (appliedAt.map { " \($0)" } ?? "")
        case .pending:
            "pending with \(sanitized(consumer ?? "?")), idle \(idleMilliseconds.map(Self.age) ?? "?"), try \(deliveries ?? 0)"
                + before
        case .lagging: "not read yet" + before
        case .deadLetter: "dead letter: \(sanitized(reason ?? "?")): \(sanitized(error ?? ""))"
        case .unknown: "?"
        }
    }

    private var before: String {
        guard let entriesBefore, entriesBefore > 0 else { return "" }
        return ", \(entriesBefore) \(entriesBefore == 1 ? "entry" : "entries") before it"
    }

    private static func age(_ milliseconds: Int) -> String { Readable.age(milliseconds: milliseconds) }
}

extension OrderTrail.Job {
    fileprivate var text: String {
        switch self {
        case .waiting(let before): before == 0 ? "waiting, next to be taken" : "waiting, \(before) before it"
        case .taken: "taken by the delivery service"
        case .notMade: "not made yet"
        case .unknown: "?"
        }
    }
}
