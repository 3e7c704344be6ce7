import CoreMetrics
import Foundation
import PrivateServers
import PrometheusMetrics
import TestSupport
import Testing

@Suite("Metrics")
struct MetricsTests {
    /// The series of a text, by name and labels; fails for a line that isn't in the format, or a series that is there twice.
    static func series(_ text: String) throws -> [String: Double] {
        var series: [String: Double] = [:]
        var types: [String: String] = [:]
        var name = ""
        for line in text.split(separator: "\n") {
            if let match = line.wholeMatch(of: /# HELP ([a-z_]+) \S.*/) {
                name = String(match.1)
                #expect(types[name] == nil, "\(name) twice")
            } else if let match = line.wholeMatch(of: /# TYPE ([a-z_]+) (counter|gauge|histogram)/) {
                #expect(String(match.1) == name)
                types[name] = String(match.2)
            } else {
                let match = try #require(
                    line.wholeMatch(of: /([a-z_]+)((?:\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+\})?) (\S+)/), "\(line)")
                let own = String(match.1)
                let isPart = types[name] == "histogram" && own.wholeMatch(of: /.*_(bucket|sum|count)/) != nil
                #expect(own == name || isPart, "\(own) under \(name)")
                #expect(types[name] != "counter" || own.hasSuffix("_total"), "\(own)")
                let key = own + match.2
                #expect(series[key] == nil, "\(key) twice")
                series[key] = Double(String(match.3))
            }
        }
        return series
    }

    @Test("metrics are in Prometheus's format and tell what happened")
    func metrics() async throws {
        try await ServedShop.with("--workers") { shop in
            for number in 0..<7 {
                #expect(
                    try await shop.submit(ServedShop.order("o-\(number)"), query: "?wait=postgres,stock,delivery")
                        .status == 201)
            }
            _ = try await shop.submit(ServedShop.order("o-1"))
            try await eventually("what was applied is told") {
                try Self.series(try await shop.get("/metrics").body)["onewrite_applied_total{group=\"stock\"}"] == 7
            }
            let answer = try await shop.get("/metrics")
            #expect(answer.header("content-type")?.hasPrefix("text/plain; version=0.0.4") == true)
            let series = try Self.series(answer.body)
            #expect(series[#"onewrite_submitted_total{outcome="accepted",durability="server"}"#] == 7)
            #expect(series[#"onewrite_submitted_total{outcome="duplicate",durability="server"}"#] == 1)
            #expect(series[#"onewrite_submit_seconds_count{durability="server"}"#] == 8)
            #expect(series[#"onewrite_submit_seconds_bucket{durability="server",le="+Inf"}"#] == 8)
            #expect(series[#"onewrite_http_requests_total{method="POST",route="/v1/changes",status="201"}"#] == 7)
            #expect(series[#"onewrite_up{server="redis"}"#] == 1 && series[#"onewrite_up{server="postgres"}"#] == 1)
            for server in ["redis", "postgres"] {
                let seconds = try #require(series["onewrite_round_trip_seconds{server=\"\(server)\"}"])
                #expect(seconds > 0 && seconds < 10)
            }
            for group in ["postgres", "stock", "delivery"] {
                #expect(series["onewrite_takeovers_total{group=\"\(group)\"}"] == 4)
                #expect(series["onewrite_takeover_seconds_count{group=\"\(group)\"}"] == 4)
                #expect(series["onewrite_batch_entries_sum{group=\"\(group)\"}"] == 7)
                let batches = try #require(series["onewrite_batch_entries_count{group=\"\(group)\"}"])
                #expect(series["onewrite_apply_seconds_count{group=\"\(group)\"}"] == batches && batches <= 7)
                #expect(series["onewrite_group_lag_entries{group=\"\(group)\"}"] == 0)
                #expect(series["onewrite_group_lag_seconds{group=\"\(group)\"}"] == 0)
                #expect(series["onewrite_group_workers{group=\"\(group)\"}"] == 1)
                #expect(series["onewrite_group_partitions{group=\"\(group)\",state=\"serving\"}"] == 4)
            }
            #expect(!answer.body.contains("onewrite_partition_"))
        }
    }

    @Test("lag in entries and in seconds, and partitions by choice")
    func lag() async throws {
        try await ServedShop.with("--partition-metrics") { shop in
            for number in 0..<5 { #expect(try await shop.submit(ServedShop.order("o-\(number)")).status == 201) }
            try await eventually("the lag grows old") {
                let series = try Self.series(try await shop.get("/metrics").body)
                #expect(series[#"onewrite_up{server="redis"}"#] == 1)
                return series[#"onewrite_group_lag_entries{group="stock"}"#] == 5
                    && series[#"onewrite_group_lag_seconds{group="stock"}"#, default: 0] > 1
                    && series[#"onewrite_warnings{code="no-worker"}"#, default: 0] > 0
            }
            let series = try Self.series(try await shop.get("/metrics").body)
            let lags = (0..<4).compactMap {
                series["onewrite_partition_lag_entries{group=\"stock\",partition=\"\($0)\"}"]
            }
            #expect(lags.count == 4 && lags.reduce(0, +) == 5)
        }
    }

    @Test("a worker tells its own metrics, and serves though it can't tell them")
    func worker() async throws {
        try await withServers { servers in
            _ = try await BuiltExecutable.run("init", on: servers)
            let log = FileManager.default.temporaryDirectory.appending(path: "ow-\(UUID().uuidString).log").path
            defer { try? FileManager.default.removeItem(atPath: log) }
            func text() -> String {
                String(decoding: FileManager.default.contents(atPath: log) ?? Data(), as: UTF8.self)
            }
            let worker = try await BuiltExecutable.spawn(
                "worker", "--group", "stock", "--metrics", "127.0.0.1:0", "--log-format", "json", on: servers,
                errors: .appended(to: log))
            try await eventually("it tells: \(text())") { text().contains(/metrics at http:\S+"/) }
            let port = try #require(text().firstMatch(of: /:(\d+)\/metrics/).flatMap { Int($0.1) })
            let order = ["submit", "--id", "a", "--shop", "main", "--customer", "c", "--line", "TEA:1", "--wait=stock"]
            _ = try Ran(try await BuiltExecutable.run(order, on: servers)).succeeded()
            try await eventually("it has applied one") {
                let answer = RawAnswer(try RawConnection(port: port), "GET /metrics")
                let body = try #require(answer.text.split(separator: "\r\n\r\n").last)
                return try Self.series(String(body))[#"onewrite_applied_total{group="stock"}"#] == 1
            }
            // Another one can't listen there, and serves all the same.
            let second = try await BuiltExecutable.spawn(
                "worker", "--group", "delivery", "--metrics", "127.0.0.1:\(port)", on: servers,
                errors: .appended(to: log))
            try await eventually("it says so, and serves: \(text())") {
                text().contains("can't be listened at") && text().contains("serving delivery")
            }
            let own = text().split(separator: "\n").filter { $0.hasPrefix("{") }
            for line in own {
                let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                #expect(object.text("level") == "info" && object.text("message")?.isEmpty == false, "\(line)")
                #expect(object.text("at")?.hasSuffix("Z") == true && object.text("name") != nil)
            }
            #expect(own.count >= 2)
            worker.send(SIGTERM)
            #expect(try await worker.exit(within: .seconds(15)) == .exited(0))
            second.send(SIGTERM)
            #expect(try await second.exit(within: .seconds(15)) == .exited(0))
        }
    }

    @Test("a label holds anything, and histograms count up")
    func text() throws {
        let registry = MetricsRegistry()
        registry.makeCounter(label: "a_total", dimensions: [("x", "a\"b\\c\nd")]).increment(by: 3)
        let timer = registry.makeTimer(label: "b_seconds", dimensions: [])
        for duration in [1_000_000, 1_000_001, 40_000_000_000] as [Int64] { timer.recordNanoseconds(duration) }
        // The same again is the same series.
        registry.makeCounter(label: "a_total", dimensions: [("x", "a\"b\\c\nd")]).increment(by: 1)
        var text = PrometheusText()
        registry.write(to: &text) { _ in "Help." }
        let series = try Self.series(text.text)
        #expect(series[#"a_total{x="a\"b\\c\nd"}"#] == 4)
        #expect(series[#"b_seconds_bucket{le="0.001"}"#] == 1 && series[#"b_seconds_bucket{le="0.0025"}"#] == 2)
        #expect(series[#"b_seconds_bucket{le="30"}"#] == 2 && series[#"b_seconds_bucket{le="+Inf"}"#] == 3)
        #expect(series["b_seconds_count"] == 3)
    }
}
