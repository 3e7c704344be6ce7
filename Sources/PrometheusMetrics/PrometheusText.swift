/// Metrics in Prometheus's text format, version 0.0.4, written series by series.
package struct PrometheusText {
    package enum Kind: String {
        case counter, gauge, histogram
    }

    /// How many values were no larger than each bound.
    package struct Histogram {
        let bounds: [Double]
        /// For each bound, and for what is beyond the last.
        let counts: [UInt64]
        let sum: Double
    }

    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    package private(set) var text = ""
    private var name = ""

    package init() {}

    /// Begins a metric; its series follow.
    ///
    /// - Parameters:
    ///   - name: As it is queried.
    ///   - kind: What it is.
    ///   - help: What it means, in one line.
    package mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
        self.name = name
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    /// Adds a series of the metric that was begun; one that isn't known is left out.
    package mutating func add(_ labels: [(String, String)], _ value: Double?) {
        guard let value else { return }
        add(labels: Self.labels(labels), value)
    }

    /// Adds the metric's only series; one that isn't known is left out.
    package mutating func add(_ value: Double?) { add([], value) }

    mutating func add(labels: String, _ value: Double) {
        text += "\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(Self.number(value))\n"
    }

    mutating func add(labels: String, _ histogram: Histogram) {
        let lead = labels.isEmpty ? "" : labels + ","
        var total: UInt64 = 0
        for (bound, count) in zip(histogram.bounds, histogram.counts) {
            total += count
            text += "\(name)_bucket{\(lead)le=\"\(Self.number(bound))\"} \(total)\n"
        }
        total += histogram.counts.last ?? 0
        let own = labels.isEmpty ? "" : "{\(labels)}"
        text += "\(name)_bucket{\(lead)le=\"+Inf\"} \(total)\n"
        text += "\(name)_sum\(own) \(Self.number(histogram.sum))\n\(name)_count\(own) \(total)\n"
    }

    static func labels(_ pairs: [(String, String)]) -> String {
        pairs.map { "\($0.0)=\"\(escaped($0.1))\"" }.joined(separator: ",")
    }

    private static func escaped(_ value: String) -> String {
        // As nearly all are: nothing to escape.
        let isPlain = value.utf8.allSatisfy {
            $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\n")
        }
        if isPlain { return value }
        return value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }
}
