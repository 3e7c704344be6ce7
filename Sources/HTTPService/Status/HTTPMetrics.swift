import HTTPTypes
import Metrics
import Synchronization

/// Counts requests, by what they asked and how they were answered.
///
/// The paths are the routes', so that nobody can make series.
final class HTTPMetrics: Sendable {
    private struct Key: Hashable {
        let method: String
        let route: String
        let status: Int
    }

    private let counters = Mutex<[Key: Counter]>([:])
    private let timers = Mutex<[String: Timer]>([:])

    func note(
        _ method: HTTPRequest.Method, _ route: String?, _ status: HTTPResponse.Status,
        since begun: ContinuousClock.Instant
    ) {
        let route = route ?? "none"
        let known = [.get, .post, .delete, .head].contains(method) ? method.rawValue : "other"
        let key = Key(method: known, route: route, status: status.code)
        let counter = counters.withLock { counters in
            if let counter = counters[key] { return counter }
            let counter = Counter(
                label: "onewrite_http_requests_total",
                dimensions: [("method", known), ("route", route), ("status", "\(status.code)")])
            counters[key] = counter
            return counter
        }
        counter.increment()
        let timer = timers.withLock { timers in
            if let timer = timers[route] { return timer }
            let timer = Timer(label: "onewrite_http_request_seconds", dimensions: [("route", route)])
            timers[route] = timer
            return timer
        }
        timer.record(duration: ContinuousClock.now - begun)
    }
}
