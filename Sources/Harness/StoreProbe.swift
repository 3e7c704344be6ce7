import Foundation
import PostgresClient
package import PrivateServers
import RedisClient
package import ThreadedIO

/// Looks at the servers from outside while the workers work, with plain SQL and plain Redis commands.
///
/// It has a thread of its own, since its connections block.
package actor StoreProbe {
    /// A kill between apply and acknowledge.
    package struct Hit: Sendable {
        /// Entries that Postgres had applied and that nobody had acknowledged when the process died.
        package let entries: Int
        /// How often the process was stopped to look, this time included.
        package let looks: Int
    }

    private let executor = ThreadExecutor(name: "probe")
    private let servers: Shop
    private let partitions: Int
    private let connections: ShopConnections

    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    package init(_ servers: Shop, partitions: Int) {
        self.servers = servers
        connections = ShopConnections(servers)
        self.partitions = partitions
    }

    /// Connects anew with the next look, after servers went away.
    package func renew() { connections.renew() }

    /// The worker that holds each partition of a group; nil where nobody does.
    package func holders(of group: String) throws -> [String?] {
        let commands = tags.map { RedisCommand("GET", "\($0):lease:\(group)") }
        return try connections.redis().pipeline(commands, until: limit).map(\.string)
    }

    /// The worker for which each partition of a group was fenced last.
    package func owners(of group: String) throws -> [String?] {
        guard group == "postgres" else {
            let commands = tags.map { RedisCommand("HGET", "\($0):position:\(group)", "owner") }
            return try connections.redis().pipeline(commands, until: limit).map(\.string)
        }
        return try connections.postgres().query("SELECT owner FROM partitions ORDER BY partition", until: limit).map {
            $0.string(0)
        }
    }

    /// How many entries some group has not applied, or not acknowledged.
    package func backlog() throws -> Int64 {
        var sum: Int64 = 0
        let heads = try connections.redis().pipeline(
            tags.map { RedisCommand("HGET", "\($0):head", "seq") }, until: limit
        )
        .map { $0.string.flatMap { Int64($0) } ?? 0 }
        let rows = try connections.postgres().query("SELECT seq FROM partitions ORDER BY partition", until: limit)
        for (head, row) in zip(heads, rows) { sum += head - (row.int64(0) ?? 0) }
        for group in ["stock", "delivery"] {
            let commands = tags.map { RedisCommand("HGET", "\($0):position:\(group)", "seq") }
            let seqs = try connections.redis().pipeline(commands, until: limit)
            for (head, seq) in zip(heads, seqs) { sum += head - (seq.string.flatMap { Int64($0) } ?? 0) }
        }
        for group in StoreContents.groups {
            let summaries = try connections.redis().pipeline(
                tags.map { RedisCommand("XPENDING", "\($0):log", group) }, until: limit)
            for summary in summaries {
                // A group that was destroyed, and that no worker has made again yet, is not done.
                let isGone = summary.error?.code == "NOGROUP"
                sum += isGone ? 1 : try summary.requireArray(count: 4)[0].requireInteger()
            }
        }
        return sum
    }

    /// Whether every partition is open on this server, and the sinks in Redis were compared with their sums since.
    package func isOpenAndChecked() throws -> Bool {
        let info = try connections.redis().call(RedisCommand("INFO", "replication"), until: limit).requireInfo()
        for tag in tags {
            let head = try connections.redis().call(
                RedisCommand("HMGET", "\(tag):head", "replid", "epoch"), until: limit)
            guard let replid = head[0].string, replid == info["master_replid"].map(String.init) else { return false }
            for group in ["stock", "delivery"] {
                let command = RedisCommand("HGET", "\(tag):position:\(group)", "checked")
                guard try connections.redis().call(command, until: limit).string == head[1].string else { return false }
            }
        }
        return true
    }

    /// Why a worker halted, by its own report; nil when none has.
    package func halted() throws -> String? {
        let names = try connections.redis().call(
            RedisCommand("KEYS", "\(servers.namespace):worker:*"), until: limit
        ).elements.compactMap(\.string)
        for name in names {
            let report = try connections.redis().call(RedisCommand("GET", name), until: limit).bytes
            guard let report, let json = try JSONSerialization.jsonObject(with: Data(report)) as? [String: Any],
                let partitions = json["partitions"] as? [[String: Any]]
            else { continue }
            for partition in partitions where partition["state"] as? String == "halted" {
                return partition["error"] as? String ?? "?"
            }
        }
        return nil
    }

    /// How many jobs a list holds.
    package func length(ofList key: String) throws -> Int64 {
        try connections.redis().call(RedisCommand("LLEN", key), until: limit).requireInteger()
    }

    /// Kills a worker of the group postgres where it has committed entries in Postgres and not yet acknowledged them in
    /// Redis.
    ///
    /// Looks until it sees that, stops the process where it stands (SIGSTOP), lets the servers finish what they had been
    /// sent, and looks again. If the entries are still applied and pending, `kill -9`; if not, the process runs on.
    ///
    /// - Returns: nil when the moment wasn't met until the deadline.
    package func killBetweenApplyAndAcknowledge(
        _ process: ChildProcess, named name: String, until deadline: Deadline
    ) throws -> Hit? {
        var looks = 0
        while !deadline.hasPassed && !Task.isCancelled {
            guard try appliedAndPending(of: name, limit: 1) > 0 else { continue }
            looks += 1
            process.send(SIGSTOP)
            while process.isRunning && !ProcessTable.isStopped(process.pid) { sched_yield() }
            pause(.milliseconds(15))
            let entries = try appliedAndPending(of: name, limit: 1000)
            if entries > 0 {
                process.send(SIGKILL)
                return Hit(entries: entries, looks: looks)
            }
            process.send(SIGCONT)
            pause(.milliseconds(10))
        }
        return nil
    }

    /// Kills a worker of any group as soon as it has entries in hand; at the deadline all the same.
    ///
    /// - Returns: How many entries were delivered to it and not acknowledged when it was dead.
    package func killInTheMiddle(
        _ process: ChildProcess, group: String, named name: String, until deadline: Deadline
    ) async throws -> Int {
        while !deadline.hasPassed && !Task.isCancelled {
            if try pending(of: name, in: group, limit: 1) > 0 { break }
        }
        process.send(SIGKILL)
        await process.kill()
        return try pending(of: name, in: group, limit: 1000)
    }

    private func pending(of name: String, in group: String, limit count: Int) throws -> Int {
        let commands = tags.map { RedisCommand("XPENDING", "\($0):log", group, "-", "+", count, name) }
        return try connections.redis().pipeline(commands, until: limit).map { try $0.requireArray().count }.reduce(0, +)
    }

    /// Entries in the ledger that are still pending for the worker.
    private func appliedAndPending(of worker: String, limit count: Int) throws -> Int {
        let rows = try connections.postgres().query(
            "SELECT partition, entry FROM partitions WHERE owner = $1 AND entry <> ''", [.text(worker)], until: limit)
        // Stream IDs ascend: what is pending up to the position's own entry was applied before this look.
        let commands = try rows.map { row in
            RedisCommand(
                "XPENDING", tags[Int(try row.requireInt64(0))] + ":log", "postgres", "-", try row.requireString(1),
                count, worker)
        }
        guard !commands.isEmpty else { return 0 }
        return try connections.redis().pipeline(commands, until: limit).map { try $0.requireArray().count }.reduce(0, +)
    }

    private var limit: Deadline { .after(.seconds(10)) }
    private var tags: [String] { (0..<partitions).map { "{\(servers.namespace):\($0)}" } }

    private func pause(_ duration: Duration) {
        Interrupt().wait(until: .after(duration))
    }
}
