import OrderLog

/// The sink stock in a simulated Redis.
final class SimulatedSink: BuiltInSink {
    private let redis: SimulatedRedis
    private let wire: Wire
    private let group: Group
    private let note: (String) -> Void

    init(_ redis: SimulatedRedis, _ wire: Wire, _ group: Group, note: @escaping (String) -> Void) {
        self.redis = redis
        self.wire = wire
        self.group = group
        self.note = note
    }

    var acknowledgesOnApply: Bool { true }

    func fence(_ partition: Partition, under history: History, owner: WorkerName) async throws -> FenceOutcome {
        try await wire.call { [redis, group] in try redis.fence(partition, group, under: history, owner: owner) }
    }

    func check(_ permit: Permit) async throws -> CheckOutcome {
        try await wire.call { [redis, group] in redis.check(permit, group) }
    }

    func apply(_ batch: Batch, meanwhile: () async -> Void) async throws -> ApplyOutcome {
        let outcome = try await wire.call { [redis, group, note] in
            let outcome = redis.apply(batch, group)
            note(
                "\(batch.permit.owner): applies \(batch.first) to \(batch.last) to \(group) on \(redis.name): \(outcome)"
            )
            return outcome
        }
        await meanwhile()
        return outcome
    }
}
