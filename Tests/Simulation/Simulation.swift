import OrderLog

/// One run of the whole protocol against simulated servers, told by its seed alone.
package enum Simulation {
    /// What came of a run.
    package struct Outcome: Sendable {
        package let seed: UInt64
        /// Things that happened: resumptions and late arrivals.
        package let steps: Int
        package let faults: Int
        /// Entries that Postgres holds in the end.
        package let applied: Int
        /// What must not have happened, the earliest first.
        package let violations: [String]
        /// What happened, if it was recorded.
        package let trace: [String]
    }

    /// Runs one.
    ///
    /// First a phase of faults, in which nothing unsafe may happen; then one without, in which everything must come to rest.
    ///
    /// - Parameters:
    ///   - seed: Tells everything that is left to chance.
    ///   - isRecorded: Whether to write down what happens.
    /// - Returns: What came of it.
    package static func run(seed: UInt64, isRecorded: Bool = false) -> Outcome {
        let executor = StageExecutor()
        let stage = Stage(executor, seed: seed, isRecorded: isRecorded)
        stage.assumeIsolated { $0.raise() }
        repeat { executor.drain() } while stage.assumeIsolated { $0.goOn() }
        return stage.assumeIsolated { $0.outcome(seed: seed) }
    }
}

/// Where a simulation's tasks run, one at a time: whatever they share is isolated to it.
actor Stage {
    /// Steps within which everything must have come to rest once nothing fails any more.
    static let patience = 20_000

    private let executor: StageExecutor
    private let world: SimulatedWorld
    private let trace: Trace
    private var faults = 0
    private var schedule: Schedule { world.schedule }

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ executor: StageExecutor, seed: UInt64, isRecorded: Bool) {
        self.executor = executor
        let trace = Trace()
        self.trace = trace
        world = SimulatedWorld(schedule: Schedule(seed: seed, record: isRecorded ? { trace.lines.append($0) } : nil))
    }

    /// Starts every process.
    func raise() {
        for number in 1...(2 + schedule.generator.below(2)) {
            Task(executorPreference: executor) {
                await self.keepAlive("p\(number)") { try await self.work(.postgres, $0, $1) }
            }
        }
        for number in 1...2 {
            Task(executorPreference: executor) {
                await self.keepAlive("s\(number)") { try await self.work(.stock, $0, $1) }
            }
        }
        // Half of the worlds have a log that is never trimmed.
        for number in 0..<(schedule.generator.below(2) * 2) {
            Task(executorPreference: executor) {
                await self.keepAlive("t\(number + 1)") { try await self.trim($0, $1) }
            }
        }
        // A third of the worlds has admission from the beginning; in another it is turned on, and perhaps off, on the way.
        let admission = schedule.generator.below(3)
        if admission > 0 {
            for number in 1...2 {
                Task(executorPreference: executor) {
                    await self.keepAlive("k\(number)") { try await self.count($0, $1) }
                }
            }
        }
        if admission == 1 { world.beginWithAdmission() }
        if admission == 2 { Task(executorPreference: executor) { await self.turnAdmission() } }
        for partition in world.partitioning.all {
            let all = world.changes[partition.number].map(Submission.init)
            let half = all.count / 2
            world.busySubmitters += 2
            Task(executorPreference: executor) { await self.submit("a", partition, Array(all[...half])) }
            Task(executorPreference: executor) { await self.submit("b", partition, Array(all[(half - 2)...])) }
        }
        Task(executorPreference: executor) { await self.direct() }
    }

    func goOn() -> Bool { schedule.advance() }

    func outcome(seed: UInt64) -> Simulation.Outcome {
        Simulation.Outcome(
            seed: seed, steps: schedule.steps, faults: faults,
            applied: world.postgres.records.reduce(0) { $0 + $1.count }, violations: world.judge.violations,
            trace: trace.lines)
    }

    // MARK: - Processes

    private func work(_ group: Group, _ name: WorkerName, _ process: SimulatedProcess) async throws {
        try await SimulatedWorker(world, group, name, process).run()
    }

    private func trim(_ name: WorkerName, _ process: SimulatedProcess) async throws {
        try await SimulatedTrimmer(world, name, process).run()
    }

    private func count(_ name: WorkerName, _ process: SimulatedProcess) async throws {
        try await SimulatedKeeper(world, name, process).run()
    }

    private func turnAdmission() async {
        let process = SimulatedProcess("operator")
        do {
            try await SimulatedKeeper(world, .opener, process).turn()
        } catch is Killed {
            // The simulation is over.
        } catch {
            world.judge.violated("\(process.name) ended with \(error)")
        }
    }

    /// Workers that are killed come back as new processes.
    private func keepAlive(_ text: String, _ run: (WorkerName, SimulatedProcess) async throws -> Void) async {
        let supervisor = SimulatedProcess(text)
        var life = 0
        while !schedule.isOver {
            life += 1
            let process = SimulatedProcess("\(text).\(life)")
            guard let name = WorkerName(process.name) else { return }
            world.workers.append(process)
            do {
                try await run(name, process)
            } catch is Killed {
                world.workers.removeAll { $0 === process }
            } catch {
                world.judge.violated("\(name) ended with \(error)")
                return
            }
            await schedule.wait(supervisor, milliseconds: 20 + schedule.generator.below(600))
        }
    }

    private func submit(
        _ name: String, _ partition: Partition, _ submissions: [Submission]
    ) async {
        let process = SimulatedProcess("submitter \(name)\(partition)")
        do {
            try await SimulatedSubmitter(world, process, partition, submissions, isLast: name == "c").run()
            world.busySubmitters -= 1
        } catch is Killed {
            // The simulation is over.
        } catch {
            world.judge.violated("\(process.name) ended with \(error)")
        }
    }

    // MARK: - Phases

    private func direct() async {
        let director = SimulatedProcess("director")
        await schedule.wait(director, milliseconds: schedule.generator.below(500))
        let chaos = Chaos(world)
        for _ in 0..<(1 + schedule.generator.below(8)) {
            chaos.strike()
            faults += 1
            let pause = [60, 600, 2000][schedule.generator.below(3)]
            await schedule.wait(director, milliseconds: schedule.generator.below(pause))
        }
        await schedule.wait(director, milliseconds: schedule.generator.below(2000))
        schedule.note("no more faults")
        schedule.isFaulty = false
        world.retireOldMasters()
        for process in world.workers where process.stoppedUntil > schedule.now {
            process.stoppedUntil = schedule.now + Int64(schedule.generator.below(500_000))
        }
        // Whoever is not sure submits again: it must be in the log once.
        for partition in world.partitioning.all {
            let all = world.changes[partition.number].map(Submission.init)
            world.busySubmitters += 1
            Task(executorPreference: executor) { await self.submit("c", partition, all) }
        }
        let limit = schedule.steps + Self.patience
        var (unrest, isNudged) = (world.unrest, false)
        while unrest != nil && schedule.steps < limit && world.judge.violations.isEmpty {
            await schedule.wait(director, milliseconds: 100)
            // A reservation that arrives when nothing is appended any more is noticed with the next change.
            if !isNudged, schedule.steps > limit - Self.patience / 2 {
                isNudged = true
                for partition in world.partitioning.all {
                    let nudge = [Submission(OrderStock.nudge(of: world.changes[partition.number]))]
                    world.busySubmitters += 1
                    Task(executorPreference: executor) { await self.submit("d", partition, nudge) }
                }
            }
            unrest = world.unrest
        }
        if world.judge.violations.isEmpty {
            if let unrest { world.judge.violated("it doesn't come to rest: \(unrest)") } else { world.audit() }
        }
        schedule.end()
    }
}

/// What happened, line by line.
final class Trace {
    var lines: [String] = []
}
