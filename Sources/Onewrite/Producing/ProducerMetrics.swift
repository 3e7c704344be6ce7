import Metrics
import OrderLog

/// What a producer tells the process's metrics backend, if there is one.
///
/// `onewrite_submitted_total` counts changes by `outcome` and `durability`; `onewrite_submit_seconds` is the time from the
/// hand-over to the receipt.
struct ProducerMetrics: Sendable {
    private let outcomes: [String: Counter]
    private let duration: Metrics.Timer

    init(_ durability: Durability) {
        let level = ("durability", durability.description)
        outcomes = Dictionary(
            uniqueKeysWithValues: Receipt.Outcome.names.map { name in
                (name, Counter(label: "onewrite_submitted_total", dimensions: [("outcome", name), level]))
            })
        duration = Timer(
            label: "onewrite_submit_seconds", dimensions: [level], preferredDisplayUnit: .seconds)
    }

    func note(_ receipt: Receipt, since moment: ContinuousClock.Instant) {
        outcomes[receipt.outcome.name]?.increment()
        duration.record(duration: ContinuousClock.now - moment)
    }
}

extension Receipt.Outcome {
    static let names = ["accepted", "duplicate", "conflict", "refused", "rejected", "unknown", "unsent"]

    /// For a metric's dimension, or a span's attribute.
    var name: String {
        switch self {
        case .accepted: "accepted"
        case .duplicate: "duplicate"
        case .conflict: "conflict"
        case .refused: "refused"
        case .rejected: "rejected"
        case .unknown: "unknown"
        case .unsent: "unsent"
        }
    }
}
