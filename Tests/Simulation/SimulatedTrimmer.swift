import Coordination
import OrderLog

/// Whoever trims: looks, and drops a little at a time, with what happens in between.
final class SimulatedTrimmer {
    private let world: SimulatedWorld
    private let process: SimulatedProcess
    private let name: WorkerName
    private var schedule: Schedule { world.schedule }

    init(_ world: SimulatedWorld, _ name: WorkerName, _ process: SimulatedProcess) {
        self.world = world
        self.process = process
        self.name = name
    }

    /// Trims until the process is killed.
    func run() async throws {
        while true {
            if process.isKilled || schedule.isOver { throw Killed() }
            await schedule.wait(process, milliseconds: schedule.generator.below(800))
            do {
                try await round()
            } catch let error as StoreError {
                schedule.note("\(name): \(error)")
            }
        }
    }

    /// Connects to where the log is now; what is old by then goes by a connection that may lead to an old master.
    private func round() async throws {
        let redis = world.address
        let line = (schedule: schedule, process: process)
        let log = SimulatedLog(redis, Wire(redis, .redis, line), .postgres, name, line)
        let ledger = SimulatedLedger(world.postgres, Wire(world.postgres, .postgres, line), note: { _ in })
        let trim = LogTrim(log: log, ledger: ledger, identity: world.identity, slice: 1 + schedule.generator.below(3))
        let retention = Retention(entries: schedule.generator.below(4))
        for partition in world.partitioning.all {
            switch try await trim.look(at: partition, keeping: retention, now: 0) {
            case .refused: break
            case .plan(let plan) where plan.count > 0: _ = try await trim.run(plan)
            case .plan: break
            }
        }
    }
}
