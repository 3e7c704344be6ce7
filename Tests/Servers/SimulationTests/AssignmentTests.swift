import Coordination
import OrderLog
import Simulation
import Testing

@Suite("Sharing out partitions, simulated")
struct AssignmentTests {
    @Test(
        "settles whoever comes and goes; pauses last some looks",
        arguments: [(1, 64, 10), (2, 7, 3), (3, 16, 40), (4, 256, 60)])
    func settles(seed: UInt64, partitions: Int, workers: Int) throws {
        let partitioning = try #require(Partitioning(count: partitions))
        var world = AssignmentSimulation(seed: seed, partitioning, batchMax: .milliseconds(20))
        let begun = world.start(workers)
        #expect(begun.settled != nil)
        let looks = PresenceWatch.interval(of: workers + 1) + .milliseconds(100)
        for outcome in [world.kill(1), world.start(1), world.kill(max(1, workers / 3)), world.start(2)] {
            let settled = try #require(outcome.settled)
            // Two looks until somebody is known to be gone, two more until the shares are the same again, and a tick for each.
            #expect(settled <= looks * 4 + .seconds(1), "\(settled)")
            #expect(outcome.moved >= outcome.needed)
            #expect((outcome.pauses.last ?? .zero) <= looks * 4, "\(outcome.pauses.last ?? .zero)")
        }
    }

    @Test("a look waits the longer the more there are, and as ever for few")
    func looks() {
        #expect(PresenceWatch.interval(of: 0) == .milliseconds(100))
        #expect(PresenceWatch.interval(of: 20) == .milliseconds(100))
        #expect(PresenceWatch.interval(of: 200) == .seconds(1))
    }

    @Test(
        "replacing all in turn leaves every partition with its owner, whatever they are called",
        arguments: [true, false])
    func replaced(keepsNames: Bool) throws {
        let partitioning = try #require(Partitioning(count: 32))
        var world = AssignmentSimulation(seed: 5, partitioning, batchMax: .milliseconds(50))
        _ = world.start(5)
        let outcome = world.replaceAll(keepsNames: keepsNames)
        #expect(outcome.settled != nil && outcome.moved > 0)
        #expect(keepsNames ? outcome.needed == 0 : outcome.needed == 32)
        #expect((outcome.pauses.last ?? .zero) < .milliseconds(500))
    }
}
