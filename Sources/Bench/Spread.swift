/// Rounds' figures: the middle one, and the outermost.
struct Spread: Sendable, Encodable {
    let median: Double
    let min: Double
    let max: Double

    /// Sums figures up; nil of none.
    init?(_ figures: [Double]) {
        let sorted = figures.sorted()
        guard let first = sorted.first, let last = sorted.last else { return nil }
        let middle = sorted.count / 2
        median = sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
        min = first
        max = last
    }
}
