import InMemoryTracing
import Instrumentation
import Metrics
import MetricsTestKit
import Onewrite
import Testing
import TestSupport
import Tracing

@Suite("Producer: metrics and spans", .serialized)
struct ObservedTests {
    /// A process has one of each.
    private static let backends = {
        let (metrics, tracer) = (TestMetrics(), InMemoryTracer())
        MetricsSystem.bootstrap(metrics)
        InstrumentationSystem.bootstrap(tracer)
        return (metrics, tracer)
    }()

    @Test("what became of changes is counted by outcome and durability, how long it took is timed, and calls are spans")
    func observed() async throws {
        let (metrics, tracer) = Self.backends
        try await withServers { servers in
            let producer = try await producer(on: servers, timeout: .seconds(5))
            async let run: Void = producer.run()
            // A level that no other test has.
            let level = Durability.replicas(7)
            let dimensions = { (outcome: String) in [("outcome", outcome), ("durability", "replicas=7")] }
            let change = try placed(1, shop: "observed")
            guard case .unknown = try await producer.submit(change, durability: level).outcome else {
                Issue.record("there is no such replica")
                return
            }
            producer.shutDown()
            try await run
            let unknown = try metrics.expectCounter("onewrite_submitted_total", dimensions("unknown"))
            #expect(unknown.totalValue == 1)
            #expect(try metrics.expectCounter("onewrite_submitted_total", dimensions("accepted")).totalValue == 0)
            let timer = try metrics.expectTimer("onewrite_submit_seconds", [("durability", "replicas=7")])
            #expect(timer.values.count == 1)
            let span = try #require(
                tracer.finishedSpans.first { $0.attributes["onewrite.shop"]?.toSpanAttribute() == .string("observed") })
            #expect(span.operationName == "onewrite submit")
            #expect(span.attributes["onewrite.outcome"]?.toSpanAttribute() == .string("unknown"))
        }
    }
}
