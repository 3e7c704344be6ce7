package import OrderLog
package import RedisLog

/// A sink in Redis: `stock`, a hash a shop of SKU → on hand, or `delivery`, a list of jobs.
///
/// Each batch is one script, which checks history, token and position, and acknowledges in the same step.
package final class RedisSink: BuiltInSink {
    private let scripts: SinkScripts
    private let effect: SinkScripts.Effect

    private init(_ scripts: SinkScripts, _ effect: SinkScripts.Effect) {
        self.scripts = scripts
        self.effect = effect
    }

    /// The sink `stock`.
    package static func stock(_ scripts: SinkScripts) -> RedisSink {
        RedisSink(scripts, .stock)
    }

    /// The sink delivery.
    ///
    /// The delivery service takes jobs from the list's left.
    package static func delivery(_ scripts: SinkScripts) -> RedisSink {
        RedisSink(scripts, .delivery)
    }

    package var acknowledgesOnApply: Bool { true }

    package func fence(
        _ partition: Partition, under history: History, owner: WorkerName
    ) async throws -> FenceOutcome {
        try scripts.fence(partition, under: history, owner: owner)
    }

    package func check(_ permit: Permit) async throws -> CheckOutcome { try scripts.check(permit, of: effect) }

    package func apply(_ batch: Batch, meanwhile: () async -> Void) async throws -> ApplyOutcome {
        try await scripts.apply(batch, to: effect, meanwhile: meanwhile)
    }
}
