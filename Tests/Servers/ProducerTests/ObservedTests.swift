import InMemoryTracing
import Instrumentation
import Metrics
import MetricsTestKit
import Onewrite
import Testing
import TestSupport
import Tracing

@Suite("Producer and Worker: metrics and spans", .serialized)
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

    @Test("an order's trace goes along in its attributes, and the spans of its effects are linked to it")
    func traced() async throws {
        let (_, tracer) = Self.backends
        try await withServers { servers in
            let span = startSpan("checkout", context: .topLevel)
            let order = try Change.orderPlaced(
                id: "traced-1", shop: "traced", customer: "c-1", lines: [Line(sku: "TEA", quantity: 1)],
                attributes: #"{"gift" : true, "note":"a } b"}"#)
            let traced = try order.carryingTrace(span.context)
            span.end()
            let context = try #require(span.context.inMemorySpanContext)
            let attributes = try #require(traced.attributes)
            #expect(attributes.hasPrefix(#"{"gift" : true, "note":"a } b","#) && attributes.contains(context.traceID))
            #expect(try traced.carryingTrace(startSpan("again", context: .topLevel).context) == traced)
            #expect(try order.carryingTrace(.topLevel) == order, "there is nothing to carry")
            for bare in [nil, "{}", "{ }"] {
                let order = try Change.orderPlaced(
                    id: "traced-2", shop: "traced", customer: "c-1", lines: [Line(sku: "TEA", quantity: 1)],
                    attributes: bare)
                #expect(try order.carryingTrace(span.context).attributes?.contains(context.traceID) == true)
            }
            try await running(try await producer(on: servers)) { producer in
                try await serving(servers) { try await producer.wait(for: try await producer.submit(traced)) }
            }
            for group in Group.builtIn {
                let found = tracer.finishedSpans.first { finished in
                    finished.operationName == "onewrite apply"
                        && finished.attributes["onewrite.group"]?.toSpanAttribute() == .string(group.name)
                        && finished.links.contains { $0.context.inMemorySpanContext?.spanID == context.spanID }
                }
                let span = try #require(found, "\(group.name)")
                #expect(
                    span.kind == .consumer
                        && span.startInstant.nanosecondsSinceEpoch <= span.endInstant.nanosecondsSinceEpoch)
            }
        }
    }

    @Test("without a span there is no trace to take along")
    func untraced() throws {
        let order = try Change.orderPlaced(
            id: "ord-1001", shop: "main", customer: "c-17", lines: [Line(sku: "TEA-250", quantity: 2)]
        ).carryingTrace()
        #expect(order.attributes == nil)
    }

    @Test("a worker counts the batches that a store refuses, since somebody else took over")
    func refused() async throws {
        let (metrics, _) = Self.backends
        try await withServers { servers in
            func count() -> Int64 {
                do {
                    return try metrics.expectCounter("onewrite_refused_total", [("group", "stock")]).totalValue
                } catch {
                    return 0
                }
            }
            let before = count()
            try await running(try await producer(on: servers)) { producer in
                try await serving(servers) {
                    try await producer.wait(for: try await producer.submit(try placed(1, shop: "main")), in: [.stock])
                    try raiseTokens(of: .stock, servers)
                    try await producer.wait(for: try await producer.submit(try placed(2, shop: "main")), in: [.stock])
                }
            }
            #expect(count() > before)
        }
    }

    @Test("a worker counts what it applies, group by group")
    func worker() async throws {
        let (metrics, _) = Self.backends
        try await withServers { servers in
            try await running(try await producer(on: servers)) { producer in
                try await serving(servers) {
                    let receipts = try await producer.submit((0..<25).map { try placed($0, shop: "shop-\($0)") })
                    try await producer.wait(for: receipts)
                }
            }
            for group in Group.builtIn {
                // Other tests of this process may have workers too.
                let counter = try metrics.expectCounter("onewrite_applied_total", [("group", group.name)])
                #expect(counter.totalValue >= 25, "\(group.name)")
            }
        }
    }
}
