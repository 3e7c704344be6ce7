import Connections
import Coordination
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import SinkKinds
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

    /// What a worker needs to serve its group.
    struct Found {
        let identity: LogIdentity
        let definition: GroupDefinition
        /// Where the log says what the sink is.
        let store: (any SinkKind)?
    }

    /// Returns when the worker can serve.
    ///
    /// - Returns: What it needs; nil when the interrupt was signalled.
    /// - Throws: ``LogError`` or the servers' errors, for what waiting can't mend.
    func run() throws -> Found? {
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
                case .unavailable, .partUnavailable, .busy, .replica, .refused:
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
    private func check() throws -> Found? {
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
        let definition = try definition(redis, identity)
        return Found(identity: identity, definition: definition, store: try store(definition))
    }

    private func definition(_ redis: RedisConnection, _ identity: LogIdentity) throws -> GroupDefinition {
        if sink.isBuiltIn, sink.group != .delivery { return GroupDefinition(kind: sink.group.name, from: .start) }
        guard sink.isRecorded || sink.isBuiltIn else {
            return try redis.add(sink.group, from: sink.start, servers.keys, identity.partitioning).definition
        }
        let known = try redis.groupDefinitions(servers.keys)
        guard let definition = known.first(where: { $0.group == sink.group })?.definition else {
            throw LogError(
                .badConfiguration,
                "there is no group \(sink.group); there are \(known.map(\.group.name).joined(separator: ", ")). To add it: "
                    + "onewrite group add")
        }
        if definition.kind == GroupDefinition.changing {
            throw StoreError(
                .own, .refused,
                "group \(sink.group) is being led to another store. Should nobody be at it: onewrite group change again"
            )
        }
        return definition
    }

    private func store(_ definition: GroupDefinition) throws -> (any SinkKind)? {
        guard sink.isRecorded || sink.isBuiltIn else { return nil }
        let store = try definition.store(of: sink.group)
        if store == nil, sink.isRecorded {
            throw LogError(
                .badConfiguration,
                "group \(sink.group) is for a sink of one's own: the application that brings it serves it, too")
        }
        return store
    }
}
