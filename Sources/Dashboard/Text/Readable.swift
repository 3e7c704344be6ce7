import FoundationEssentials
import Reports

/// Numbers and ages as a person reads them; unknown is `?`.
package enum Readable {
    static let unknown = "?"
    static let none = "–"

    /// An age: `0.4s`, `41.7s`, `3m 12s`, `2h 5m`, `3d 4h`.
    package static func age(milliseconds: Int) -> String {
        let milliseconds = max(0, milliseconds)
        if milliseconds < 59_950 {
            let tenths = (milliseconds + 50) / 100
            return "\(tenths / 10).\(tenths % 10)s"
        }
        let seconds = milliseconds / 1000 + (milliseconds % 1000 >= 500 ? 1 : 0)
        if seconds < 3600 { return "\(seconds / 60)m \(seconds % 60)s" }
        if seconds < 86_400 { return "\(seconds / 3600)h \(seconds % 3600 / 60)m" }
        return "\(seconds / 86_400)d \(seconds % 86_400 / 3600)h"
    }

    /// An age in whole seconds, which doesn't flicker: `12s`, `3m 12s`.
    static func age(wholeSeconds age: Duration) -> String {
        let seconds = Int(max(.zero, age).components.seconds)
        return seconds < 60 ? "\(seconds)s" : Self.age(milliseconds: seconds * 1000)
    }

    /// An interval as it is typed: `1s`, `250ms`.
    static func interval(_ interval: Duration) -> String {
        let milliseconds = interval.milliseconds
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }

    /// The age of the oldest pending entry: `–` when nothing is pending.
    static func oldest(_ group: Snapshot.Group) -> String {
        if let milliseconds = group.oldestPendingMilliseconds { return age(milliseconds: milliseconds) }
        return group.pending == 0 ? none : unknown
    }

    /// The age of the oldest entry that isn't applied: `–` when all are.
    static func behind(_ group: Snapshot.Group) -> String {
        if let milliseconds = group.oldestUnappliedMilliseconds { return age(milliseconds: milliseconds) }
        return group.lag == 0 ? none : unknown
    }

    /// When a group will have caught up: `–` when it is less than a second's work behind, since it always is a little.
    static func catchUp(_ group: Snapshot.Group) -> String {
        if let lag = group.lag, Double(lag) <= group.appliedPerSecond ?? 0 { return none }
        switch group.catchUp {
        case .after(let seconds): return age(milliseconds: Int(min(seconds, 1e9) * 1000))
        case .never: return "never"
        case .unknown: return unknown
        }
    }

    /// A whole number as it is, or `?`.
    static func plain(_ count: Int?) -> String {
        count.map(String.init) ?? unknown
    }

    /// A whole number with its thousands apart, `1 204 318`; from 16 digits on in short, `9.2E`.
    package static func count(_ count: Int?) -> String {
        guard let count else { return unknown }
        let digits = String(count.magnitude)
        guard digits.count < 16 else { return short(Double(count)) }
        var spaced = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { spaced.append(" ") }
            spaced.append(digit)
        }
        return count < 0 ? "-" + spaced : spaced
    }

    /// A size: `512 B`, `3.9 MB`, `31 GB`; in thousands, as disks count.
    package static func bytes(_ bytes: Int) -> String {
        var (scaled, units) = (Double(bytes), ["B", "kB", "MB", "GB", "TB"][...])
        while scaled.magnitude >= 999.5, units.count > 1 {
            scaled /= 1000
            units = units.dropFirst()
        }
        let isExact = units.first == "B" || scaled.magnitude >= 99.95
        let number = isExact ? "\(Int(scaled.rounded()))" : "\((scaled * 10).rounded() / 10)"
        return "\(number) \(units.first ?? "")"
    }

    /// A rate: `0`, `3.2` under ten, `412` from there on.
    static func rate(_ perSecond: Double?) -> String {
        guard let perSecond, perSecond.isFinite else { return unknown }
        let tenths = (perSecond * 10).rounded()
        if tenths == 0 { return "0" }
        if tenths.magnitude < 100 { return "\(tenths / 10)" }
        guard perSecond.magnitude < 1e15 else { return short(perSecond) }
        return count(Int(perSecond.rounded(.toNearestOrEven)))
    }

    /// The time of day in UTC, `14:02:31Z`.
    static func clock(_ date: Date) -> String {
        let second = Int(date.timeIntervalSince1970.rounded(.down))
        let ofDay = ((second % 86_400) + 86_400) % 86_400
        return [ofDay / 3600, ofDay % 3600 / 60, ofDay % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
            .joined(separator: ":") + "Z"
    }

    private static func short(_ number: Double) -> String {
        var scaled = number / 1e12
        for unit in ["T", "P", "E"] {
            if scaled.magnitude < 999.95 || unit == "E" { return "\((scaled * 10).rounded() / 10)\(unit)" }
            scaled /= 1000
        }
        return unknown
    }
}

extension Duration {
    /// Whole milliseconds, rounded down.
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
    }
}
