import Onewrite
import OnewriteTesting
import Testing

@Suite("The conformance suite for sinks of one's own")
struct ConformanceTests {
    @Test("a sink as it should be passes")
    func good() async throws {
        let store = MemoryStore()
        try await SinkConformance {
            MemorySink(store)
        } contents: {
            store.orders(in: $0)
        }.check()
    }

    @Test("each mistake is found, and by the rule that it breaks", arguments: BadSink.Mistake.allCases)
    func bad(_ mistake: BadSink.Mistake) async throws {
        let store = MemoryStore()
        let found = try await SinkConformance {
            BadSink(store, mistake)
        } contents: {
            store.orders(in: $0)
        }.findings()
        let expected: SinkConformance.Rule = mistake == .ignoresTokens ? .olderToken : .atomic
        #expect(found.contains { $0.rule == expected }, "\(found)")
    }
}
