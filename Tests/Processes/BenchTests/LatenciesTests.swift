import OrderLog
import Testing

@testable import Bench

@Suite("the benchmark's arithmetic")
struct LatenciesTests {
    private let start = ContinuousClock.now

    private func after(_ milliseconds: Int) -> ContinuousClock.Instant { start + .milliseconds(milliseconds) }

    private func step(_ group: Group, _ partition: Int, _ seq: Int64, at milliseconds: Int) -> PositionTrace.Step {
        PositionTrace.Step(group: group, partition: partition, seq: seq, at: after(milliseconds))
    }

    @Test("percentiles are exact: of a hundred orders p99 is the 99th")
    func percentiles() {
        let percentiles = Latencies.Percentiles((1...100).reversed().map { .milliseconds($0) })
        #expect([percentiles.p50, percentiles.p90, percentiles.p99, percentiles.max] == [50, 90, 99, 100])
        let one = Latencies.Percentiles([.microseconds(1234)])
        #expect([one.p50, one.p99, one.max] == [1.234, 1.234, 1.234])
    }

    @Test("an order is due at its time, whatever came of those before it")
    func schedule() {
        let schedule = OrderSchedule(start: start, rate: 200, count: 3)
        #expect((0..<3).map { start.duration(to: schedule.moment(of: $0)) } == [0, 5, 10].map { .milliseconds($0) })
        #expect([-1, 0, 4, 5, 10, 100].map { schedule.due(at: after($0)) } == [0, 1, 1, 2, 3, 3])
    }

    @Test("a stall counts for every order that was due meanwhile, in each sink and in all")
    func stall() throws {
        // Due at 0, 10, 20, 30 and 40 ms; the first is to warm up. Everything waits for one answer until 50 ms.
        let schedule = OrderSchedule(start: start, rate: 100, count: 5)
        let places = [(0, 1), (1, 1), (0, 2), (0, 3), (1, 2)].enumerated().map { order, place in
            OrderPlace(partition: place.0, seq: Int64(place.1), acceptedAt: order == 0 ? after(1) : after(50))
        }
        let stock = [step(.stock, 0, 1, at: 2), step(.stock, 1, 2, at: 51), step(.stock, 0, 3, at: 52)]
        let postgres = [
            step(.postgres, 0, 1, at: 3), step(.postgres, 0, 3, at: 60), step(.postgres, 1, 1, at: 61),
            step(.postgres, 1, 2, at: 62),
        ]
        let latencies = Latencies(schedule, places: places, steps: stock + postgres, warmUp: 1)
        #expect([latencies.accepted.p50, latencies.accepted.max] == [20, 40])
        let found = try #require(latencies.sinks[.stock])
        // 41, 32, 22 and 11 ms.
        #expect([found.p50, found.max] == [22, 41])
        // 51, 40, 30 and 22 ms: Postgres is the last each time.
        #expect([latencies.all.p50, latencies.all.p90, latencies.all.max] == [30, 51, 51])
    }

    @Test("rounds are summed up by their middle and their ends")
    func spread() throws {
        let three = try #require(Spread([3, 1, 2]))
        #expect([three.min, three.median, three.max] == [1, 2, 3])
        #expect(Spread([1, 2])?.median == 1.5)
        #expect(Spread([]) == nil)
    }

    @Test("numbers are rounded to the digits wanted")
    func numbers() {
        #expect(BenchTable.number(0.996, 2) == "1.00")
        #expect(BenchTable.number(12.345, 1) == "12.3")
        #expect(BenchTable.number(27.5, 0) == "28")
    }
}
