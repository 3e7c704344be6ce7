import Coordination
import OrderLog

/// Whoever counts what may be sold where that has to be counted, and whoever turns admission on and off.
final class SimulatedKeeper {
    private let world: SimulatedWorld
    private let process: SimulatedProcess
    private let name: WorkerName
    private var schedule: Schedule { world.schedule }

    init(_ world: SimulatedWorld, _ name: WorkerName, _ process: SimulatedProcess) {
        self.world = world
        self.process = process
        self.name = name
    }

    /// Counts until the process is killed.
    func run() async throws {
        while true {
            if process.isKilled || schedule.isOver { throw Killed() }
            await schedule.wait(process, milliseconds: schedule.generator.below(400))
            do {
                for partition in world.partitioning.all { try await count(partition) }
            } catch let error as StoreError {
                schedule.note("\(name): \(error)")
            }
        }
    }

    /// Turns admission on in every partition, Postgres first, and sometimes off again.
    func turn() async throws {
        await schedule.wait(process, milliseconds: schedule.generator.below(1500))
        for partition in world.partitioning.all {
            // What was sent over a connection that broke may arrive later, also behind what was done since.
            guard try await turn(true, partition), schedule.generator.chance(300) else { continue }
            await schedule.wait(process, milliseconds: schedule.generator.below(1500))
            _ = try await turn(false, partition)
        }
    }

    /// - Returns: Whether all of it went well at once.
    private func turn(_ isOn: Bool, _ partition: Partition) async throws -> Bool {
        world.postgres.admits[partition.number] = isOn
        var isAtOnce = true
        while true {
            if process.isKilled || schedule.isOver { throw Killed() }
            do {
                let redis = world.address
                let wire = Wire(redis, .redis, (schedule, process))
                if let history = try await wire.call({ redis.look(partition) }).history {
                    let state = try await wire.call { redis.turnAdmission(isOn, partition, under: history) }
                    if let state, isOn == (state != nil) {
                        schedule.note("\(process.name): admission is \(isOn ? "on" : "off") in \(partition)")
                        return isAtOnce
                    }
                }
            } catch let error as StoreError {
                schedule.note("\(process.name): \(error)")
                isAtOnce = false
            }
            await schedule.wait(process, milliseconds: 20 + schedule.generator.below(200))
        }
    }

    private func count(_ partition: Partition) async throws {
        let redis = world.address
        let wire = Wire(redis, .redis, (schedule, process))
        guard let state = try await wire.call({ redis.keys(partition).admission }), state != .on,
            let history = try await wire.call({ redis.look(partition) }).history,
            try await wire.call({ redis.countAvailable(partition, under: history) }) != nil
        else { return }
        try await wire.call { [schedule, name] in
            redis.endCounting(partition, state, under: history)
            schedule.note("\(name): what may be sold in \(partition) is counted")
        }
    }
}
