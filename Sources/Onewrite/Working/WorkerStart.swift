import Connections
import Coordination
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
import ThreadedIO

/// What has to be right before a worker serves.
///
/// Servers and a log that aren't there yet are waited for, as they are when they go later; what waiting can't mend ends it.
/// For a lane, whose thread it blocks.
struct WorkerStart {
    let servers: Servers
    let sink: SinkDefinition
    let worker: WorkerName
    let outages: Outages
    /// Ends the waiting.
    let interrupt: Interrupt

    /// Returns when the worker can serve.
    ///
    /// - Returns: The log, and the group's definition; nil when the interrupt was signalled.
    /// - Throws: ``LogError`` or the servers' errors, for what waiting can't mend.
    func run() throws -> (identity: LogIdentity, definition: GroupDefinition)? {
        var backoff = Backoff(most: .seconds(2))
        var generator = SystemRandomNumberGenerator()
        while !interrupt.isSignalled {
            do {
                if let found = try check() {
                    outages.over(for: .start, at: .now)
                    return found
                }
            } catch {
                guard let error = StoreError(anyOf: error) else { throw error }
                switch error.kind {
                case .interrupted: continue
                case .unavailable, .busy, .replica, .refused:
                    if error.store == .postgres { outages.over(for: .start, with: .redis, at: .now) }
                    outages.note(error, doing: "starting", by: .start, at: .now)
                case .notPermitted, .misconfigured, .malformed, .groupMissing: throw error
                }
            }
            interrupt.wait(until: .after(backoff.next(using: &generator)))
        }
        return nil
    }

    /// Looks once; nil when there is no log yet.
    private func check() throws -> (identity: LogIdentity, definition: GroupDefinition)? {
        let group = sink.group
        let redis = try servers.master(interrupt: interrupt)
        guard let identity = try redis.identity(servers.keys) else {
            outages.over(for: .start, with: .redis, at: .now)
            outages.note(.log, servers.missingLog(redis), by: .start, at: .now)
            return nil
        }
        if sink.needsPostgres {
            try Servers.requireSchema(of: identity, on: servers.primary(interrupt: interrupt))
        }
        let present = try redis.call(
            RedisCommand("PUBSUB", "NUMSUB", servers.keys.presencePrefix(group) + worker.text),
            until: .after(StreamLog.timeout))
        if present.count == 2, let count = present[1].integer, count > 0 {
            throw LogError(.tryAgain, "a worker named \(worker) serves \(group.name) already. Choose another --name")
        }
        let definition =
            sink.isBuiltIn
            ? GroupDefinition(kind: group.name, from: .start)
            : try redis.add(group, from: sink.start, servers.keys, identity.partitioning).definition
        return (identity, definition)
    }
}
