package import CoreMetrics
import Synchronization

/// What swift-metrics reports to, and tells in Prometheus's text format.
///
/// Format: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>
///
/// Timers and recorders are histograms, timers in seconds; counters and meters are what they are. Bounded: beyond
/// ``seriesMax`` series new ones are counted and told nowhere.
package final class MetricsRegistry: MetricsFactory {
    private static let seriesMax = 2000
    /// Seconds, from a call on this machine to a wait that people notice.
    private static let secondsBounds = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    ]
    /// Sizes of batches.
    private static let sizeBounds: [Double] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]

    private struct Key: Hashable, Comparable {
        let name: String
        let labels: String

        static func < (left: Key, right: Key) -> Bool { (left.name, left.labels) < (right.name, right.labels) }
    }

    private struct State {
        var values: [Key: Value] = [:]
        var histograms: [Key: Histogram] = [:]
        var dropped = 0
    }

    private let state = Mutex(State())

    package init() {}

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        value(label, dimensions, isCounter: true)
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        value(label, dimensions, isCounter: false)
    }

    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        guard aggregate else { return value(label, dimensions, isCounter: false) }
        return histogram(label, dimensions, Self.sizeBounds)
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label, dimensions, Self.secondsBounds)
    }

    // Series stay: what was counted must not begin anew.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    private func value(_ label: String, _ dimensions: [(String, String)], isCounter: Bool) -> Value {
        let key = Key(name: label, labels: PrometheusText.labels(dimensions))
        return state.withLock { state in
            if let value = state.values[key] { return value }
            let value = Value(isCounter: isCounter)
            if state.values.count < Self.seriesMax { state.values[key] = value } else { state.dropped += 1 }
            return value
        }
    }

    private func histogram(_ label: String, _ dimensions: [(String, String)], _ bounds: [Double]) -> Histogram {
        let key = Key(name: label, labels: PrometheusText.labels(dimensions))
        return state.withLock { state in
            if let histogram = state.histograms[key] { return histogram }
            let histogram = Histogram(bounds)
            if state.histograms.count < Self.seriesMax {
                state.histograms[key] = histogram
            } else {
                state.dropped += 1
            }
            return histogram
        }
    }

    /// Writes all series.
    ///
    /// - Parameters:
    ///   - text: Where they go.
    ///   - help: What a metric means, in one line, by its name.
    package func write(to text: inout PrometheusText, help: (String) -> String) {
        let (values, histograms) = state.withLock { ($0.values, $0.histograms) }
        for (name, series) in Dictionary(grouping: values, by: \.key.name).sorted(by: { $0.key < $1.key }) {
            let isCounter = series.contains { $0.value.isCounter }
            text.begin(name, isCounter ? .counter : .gauge, help(name))
            for (key, value) in series.sorted(by: { $0.key < $1.key }) { text.add(labels: key.labels, value.number) }
        }
        for (name, series) in Dictionary(grouping: histograms, by: \.key.name).sorted(by: { $0.key < $1.key }) {
            text.begin(name, .histogram, help(name))
            for (key, histogram) in series.sorted(by: { $0.key < $1.key }) {
                text.add(labels: key.labels, histogram.reading)
            }
        }
    }
}

/// A counter or a meter.
private final class Value: CounterHandler, MeterHandler, RecorderHandler {
    let isCounter: Bool
    private let held = Mutex(0.0)

    init(isCounter: Bool) { self.isCounter = isCounter }

    var number: Double { held.withLock { $0 } }

    func increment(by amount: Int64) { held.withLock { $0 += Double(amount) } }
    // A counter that begins anew is none.
    func reset() {}
    func set(_ value: Int64) { held.withLock { $0 = Double(value) } }
    func set(_ value: Double) { held.withLock { $0 = value } }
    func increment(by amount: Double) { held.withLock { $0 += amount } }
    func decrement(by amount: Double) { held.withLock { $0 -= amount } }
    func record(_ value: Int64) { set(value) }
    func record(_ value: Double) { set(value) }
}

/// Counts by size.
private final class Histogram: TimerHandler, RecorderHandler {
    private let bounds: [Double]
    private let state: Mutex<(counts: [UInt64], sum: Double)>

    init(_ bounds: [Double]) {
        self.bounds = bounds
        state = Mutex((Array(repeating: 0, count: bounds.count + 1), 0))
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        let index = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[index] += 1
            state.sum += value
        }
    }

    var reading: PrometheusText.Histogram {
        let (counts, sum) = state.withLock { $0 }
        return PrometheusText.Histogram(bounds: bounds, counts: counts, sum: sum)
    }
}
