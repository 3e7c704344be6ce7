package import Coordination
import Foundation
package import OrderLog
package import RedisClient
import ThreadedIO

/// A worker's membership of its group: leases, heartbeat, presence and its report, over two connections.
package final class GroupMembership: CoordinationPort {
    /// A report that is not renewed says nothing any more.
    static let reportLife: Duration = .seconds(10)
    /// A worker that is neither heard nor subscribed is forgotten after this.
    static let silence: Duration = .seconds(15)

    package let fileRefusal: String?
    package let serverUptime: Duration
    package var server: String { "\(connection.serverName) \(connection.serverVersion)" }
    private let connection: RedisConnection
    private let presence: Presence
    private let keys: Keys
    private let group: Group
    private let worker: WorkerName
    private let term: LeaseTerm

    /// Joins: the presence is shown before anybody can see the worker among the members.
    ///
    /// - Parameters:
    ///   - configuration: The server.
    ///   - keys: The log's keys.
    ///   - group: Which group.
    ///   - worker: Who joins.
    ///   - term: How long leases last.
    /// - Throws: ``StoreError``.
    package init(
        _ configuration: RedisConfiguration, keys: Keys, group: Group, worker: WorkerName, term: LeaseTerm
    ) throws(StoreError) {
        self.keys = keys
        self.group = group
        self.worker = worker
        self.term = term
        do throws(RedisError) {
            let connection = try RedisConnection(
                connectingTo: configuration, until: .after(configuration.connectTimeout), interrupt: nil)
            // A replica would take no heartbeat; a Sentinel's master was asked already.
            if !connection.isBySentinel { try connection.requireMaster(until: .after(StreamLog.timeout)) }
            self.connection = connection
            presence = try Presence(
                on: keys.presencePrefix(group) + worker.text, at: configuration, beside: connection)
            let uptime = try connection.call(
                RedisCommand("INFO", "server").beside(keys.workers(group)), until: .after(StreamLog.timeout)
            ).requireInfo()["uptime_in_seconds"]
            // Before anything is written: the leases and heartbeats of workers come ahead of any opening.
            var refusal: String?
            for server in connection.openSessions {
                if case .refused(let why) = try server.beginNewFile(until: Deadline(.now)) { refusal = why }
            }
            fileRefusal = refusal
            serverUptime = .seconds(uptime.flatMap { Int($0) } ?? 0)
        } catch {
            throw StoreError(error)
        }
    }

    package func members(isBeating: Bool) async throws -> [Member] {
        try translatingRedisErrors { () throws(RedisError) in
            let reply = try connection.evaluate(
                Scripts.members, keys: [keys.workers(group)],
                arguments: [
                    worker.text, isBeating ? "1" : "0", keys.presencePrefix(group),
                    Int(Self.silence / .milliseconds(1)),
                ], until: .after(StreamLog.timeout)
            ).requireArray()
            guard let now = try reply.first?.requireInteger(), reply.count % 3 == 1 else {
                throw .protocolViolation("a moment and three values a member of members.lua")
            }
            var members: [Member] = []
            for index in stride(from: 1, to: reply.count, by: 3) {
                // A name that no worker could have was added by hand.
                guard let name = reply[index].string.flatMap({ WorkerName($0) }) else { continue }
                members.append(
                    Member(
                        name: name, silence: .milliseconds(max(0, now - (try reply[index + 1].requireInteger()))),
                        subscribers: Int(try reply[index + 2].requireInteger())))
            }
            return members
        }
    }

    package func acquire(
        _ partition: Partition, gone: (holder: WorkerName, remaining: Duration)?
    ) async throws -> LeaseOutcome {
        let channel = gone.map { keys.presencePrefix(group) + $0.holder.text } ?? ""
        return try translatingRedisErrors { () throws(RedisError) in
            let reply = try connection.evaluate(
                Scripts.leaseAcquire, keys: [keys.lease(partition, group)],
                arguments: [
                    worker.text, term.milliseconds, gone?.holder.text ?? "", channel,
                    Int((gone?.remaining ?? .zero) / .milliseconds(1)),
                ], until: .after(StreamLog.timeout)
            ).requireArray()
            guard reply.count >= 2 else { throw .protocolViolation("a lease's holder of lease_acquire.lua") }
            let holder = try reply[1].requireString()
            if try reply[0].requireString() == "ACQUIRED" { return .acquired(from: WorkerName(holder)) }
            guard reply.count == 3 else { throw .protocolViolation("a lease's remaining time of lease_acquire.lua") }
            // A holder that no worker can be holds until its time is over.
            return .held(
                by: WorkerName(holder) ?? worker, remaining: .milliseconds(max(0, try reply[2].requireInteger())))
        }
    }

    package func renew(_ partition: Partition) async throws -> Bool {
        try translatingRedisErrors { () throws(RedisError) in
            try connection.evaluate(
                Scripts.leaseRenew, keys: [keys.lease(partition, group)],
                arguments: [worker.text, term.milliseconds], until: .after(StreamLog.timeout)
            ).requireInteger() == 1
        }
    }

    package func release(_ partition: Partition) async throws {
        try translatingRedisErrors { () throws(RedisError) in
            _ = try connection.evaluate(
                Scripts.leaseRelease, keys: [keys.lease(partition, group)], arguments: [worker.text],
                until: .after(StreamLog.timeout))
        }
    }

    package func unblock(_ clients: [Int64]) async throws {
        try translatingRedisErrors { () throws(RedisError) in
            for client in clients {
                _ = try connection.call(
                    RedisCommand("CLIENT", "UNBLOCK", String(client), "TIMEOUT"), until: .after(StreamLog.timeout))
            }
        }
    }

    package func publish(_ report: WorkerReport) async throws {
        let json = String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
        try translatingRedisErrors { () throws(RedisError) in
            _ = try connection.evaluate(
                Scripts.report, keys: [keys.report(group, worker)],
                arguments: [json, Int(Self.reportLife / .milliseconds(1))], until: .after(StreamLog.timeout))
        }
    }

    package func checkPresence() async throws {
        try translatingRedisErrors { () throws(RedisError) in
            try presence.check()
        }
    }

    package func leave() async throws {
        try translatingRedisErrors { () throws(RedisError) in
            _ = try connection.call(
                RedisCommand("ZREM", keys.workers(group), worker.text), until: .after(StreamLog.timeout))
            _ = try connection.call(RedisCommand("DEL", keys.report(group, worker)), until: .after(StreamLog.timeout))
        }
        presence.close()
        connection.close()
    }
}

extension LeaseTerm {
    fileprivate var milliseconds: Int { Int(duration / .milliseconds(1)) }
}
