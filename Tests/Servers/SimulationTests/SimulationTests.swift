import Simulation
import Testing

@Suite("The simulated protocol")
struct SimulationTests {
    @Test("loses, doubles and forks nothing under faults, and comes to rest behind them")
    func holds() {
        for seed: UInt64 in 1...300 {
            let outcome = Simulation.run(seed: seed)
            #expect(outcome.violations.isEmpty, "seed \(seed): scripts/simulate --seed \(seed)")
        }
    }

    @Test("is told by its seed alone", arguments: [3, 17, 205] as [UInt64])
    func replays(_ seed: UInt64) {
        let first = Simulation.run(seed: seed, isRecorded: true)
        #expect(Simulation.run(seed: seed, isRecorded: true).trace == first.trace)
        #expect(first.steps > 50)
        #expect(Simulation.run(seed: seed + 1, isRecorded: true).trace != first.trace)
    }
}
