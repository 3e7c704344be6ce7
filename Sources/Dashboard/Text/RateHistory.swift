/// A group's rate over the last minute, for its sparkline.
struct RateHistory: Sendable, Equatable {
    /// How far back it goes.
    static let span = Duration.seconds(60)

    private var samples: [(at: Duration, rate: Double)] = []

    static func == (left: RateHistory, right: RateHistory) -> Bool {
        left.samples.elementsEqual(right.samples) { $0.at == $1.at && $0.rate == $1.rate }
    }

    /// Adds a rate measured at a moment, and forgets what is older than ``span``.
    mutating func add(_ rate: Double?, at moment: Duration) {
        // A refresh at every key press must not grow it: what is closer than 50 ms to the last one replaces it.
        if let last = samples.last, moment - last.at < .milliseconds(50) { samples.removeLast() }
        if let rate, rate.isFinite { samples.append((moment, max(0, rate))) }
        samples.removeAll { moment - $0.at > Self.span + .seconds(2) }
    }

    /// Draws the last minute in so many columns, newest at the right.
    ///
    /// A known zero is the base line, what isn't known stays empty. A column shows the mean of its time; one between two
    /// samples that lie no further apart than `gap` repeats the earlier.
    func sparkline(columns: Int, now: Duration, gap: Duration) -> String {
        guard columns > 0 else { return "" }
        let width = Self.span / columns
        // Columns keep to multiples of their width, so that the line moves on without flickering.
        let last = Int(now / width)
        let means = (0..<columns).map { column in mean(from: width * (last - columns + 1 + column), width, gap, now) }
        let highest = means.compactMap { $0 }.max() ?? 0
        return String(means.map { Self.bar($0, of: highest) })
    }

    private func mean(from start: Duration, _ width: Duration, _ gap: Duration, _ now: Duration) -> Double? {
        let end = start + width
        let inside = samples.filter { start <= $0.at && $0.at < end }
        if !inside.isEmpty { return inside.reduce(0) { $0 + $1.rate } / Double(inside.count) }
        guard let before = samples.last(where: { $0.at < start }), min(end, now) - before.at <= gap else { return nil }
        return before.rate
    }

    private static func bar(_ rate: Double?, of highest: Double) -> Character {
        guard let rate else { return " " }
        guard rate > 0 else { return bars[0] }
        let level = (rate / highest * Double(bars.count - 1)).rounded(.up)
        return bars[min(max(1, Int(level)), bars.count - 1)]
    }

    private static let bars: [Character] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
}
