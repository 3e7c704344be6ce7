import OrderLog

/// A submitter: appends its changes in order, one call at a time, and sends a call again until it has an answer.
final class SimulatedSubmitter {
    private let world: SimulatedWorld
    private let process: SimulatedProcess
    private let partition: Partition
    private let submissions: [Submission]
    /// Whether it submits when nothing fails any more: what it is told holds.
    private let isLast: Bool
    private var schedule: Schedule { world.schedule }

    init(
        _ world: SimulatedWorld, _ process: SimulatedProcess, _ partition: Partition, _ submissions: [Submission],
        isLast: Bool
    ) {
        self.world = world
        self.process = process
        self.partition = partition
        self.submissions = submissions
        self.isLast = isLast
    }

    func run() async throws {
        var next = 0
        while next < submissions.count {
            var call = Array(submissions[next...].prefix(1 + schedule.generator.below(3)))
            next += call.count
            if schedule.generator.chance(100), let again = call.first { call.append(again) }
            try await send(call)
            await schedule.wait(process, milliseconds: schedule.generator.below(schedule.isFaulty ? 500 : 3))
        }
    }

    private func send(_ call: [Submission]) async throws {
        var connection: (redis: SimulatedRedis, wire: Wire)?
        while true {
            let (redis, wire) =
                connection
                ?? {
                    (world.address, Wire(world.address, .redis, (schedule, process)))
                }()
            connection = (redis, wire)
            do {
                switch try await wire.call({ [partition] in redis.append(partition, call) }) {
                case .appended(let results):
                    for (submission, result) in zip(call, results) {
                        if result.outcome == .conflict {
                            world.judge.violated("\(submission.name) was submitted again, and called a conflict")
                        }
                        guard isLast else { continue }
                        if result.outcome == .refused {
                            world.refused[partition.number].insert(submission.change.id)
                        } else {
                            world.refused[partition.number].remove(submission.change.id)
                        }
                    }
                    return
                case .closed, .noLog, .counting:
                    // An old master says this for ever; the address is asked again now and then.
                    if schedule.generator.chance(300) { connection = nil }
                    await schedule.wait(process, milliseconds: 20 + schedule.generator.below(150))
                }
            } catch let error as StoreError {
                schedule.note("\(process.name): \(error)")
                connection = nil
                await schedule.wait(process, milliseconds: schedule.generator.below(100))
            }
        }
    }
}
