import Faults
package import OrderLog
package import RedisClient
package import ThreadedIO

/// The log in Redis Streams, as one consumer of one group uses it, over one connection.
///
/// Blocks its lane's thread. Every call is answered within ``timeout``, or fails.
package final class StreamLog: LogPort {
    /// How long the server may take to answer, beyond the time that it is asked to wait.
    package static let timeout: Duration = .seconds(5)

    package let connection: RedisConnection
    package let keys: Keys
    private let group: Group
    private let consumer: WorkerName
    /// Where the read that was begun looks.
    private var readAhead: [Partition] = []
    /// For a log on several servers.
    private var shards: ShardReads?

    /// The log over a connection.
    ///
    /// - Parameters:
    ///   - connection: To the server, or the cluster.
    ///   - keys: The log's keys.
    ///   - group: Which group.
    ///   - consumer: Who reads.
    ///   - bell: Ends a read that waits, where the log is on several servers; of one server the client is unblocked.
    package init(
        _ connection: RedisConnection, keys: Keys, group: Group, consumer: WorkerName, bell: Interrupt? = nil
    ) {
        shards = connection.isCluster ? ShardReads(connection, keys: keys, bell: bell) : nil
        self.connection = connection
        self.keys = keys
        self.group = group
        self.consumer = consumer
    }

    package func look(at partition: Partition) async throws -> LogLook {
        try translatingRedisErrors { () throws(RedisError) in
            try connection.look(at: partition, keys)
        }
    }

    package func isAuthoritative(for partition: Partition) async throws -> Bool {
        try translatingRedisErrors { () throws(RedisError) in
            try connection.isAuthoritative(for: keys.head(partition), until: .after(Self.timeout))
        }
    }

    /// A rewrite that waits for something else is waited for in pieces, so that the lane can go on with other partitions.
    private static let renewalWait: Duration = .milliseconds(500)

    package func beginNewFile(for partition: Partition) async throws -> String? {
        try translatingRedisErrors { () throws(RedisError) in
            let server = try connection.session(for: keys.head(partition), until: .after(Self.timeout))
            guard try server.beginNewFile(until: .after(Self.renewalWait)) == .scheduled else { return nil }
            return "Redis is to begin a new append-only file as soon as what it saves at present is saved"
        }
    }

    package func reclaim(from partition: Partition, cursor: EntryID, limit: Int) async throws -> Reclaimed {
        try call(
            RedisCommand(
                "XAUTOCLAIM", keys.log(partition), group.name, consumer.text, 0, cursor.description, "COUNT", limit)
        ) { reply throws(RedisError) in
            let parts = try reply.requireArray()
            guard parts.count >= 2, let next = EntryID(try parts[0].requireString()) else {
                throw .protocolViolation("a cursor from XAUTOCLAIM")
            }
            let missing: [EntryID] =
                parts.count > 2 ? parts[2].elements.compactMap { $0.string.flatMap(EntryID.init) } : []
            return Reclaimed(entries: try parts[1].entries(), cursor: next, missing: missing)
        }
    }

    package func read(from partitions: [Partition], limit: Int, wait: Duration) async throws -> [Delivered] {
        if let shards {
            return try translatingRedisErrors { () throws(RedisError) in
                try shards.read(from: partitions, wait: wait) { readCommand([$0], limit, .zero) }
            }
        }
        return try call(readCommand(partitions, limit, wait), within: wait + Self.timeout) { reply throws(RedisError) in
            try delivered(reply, partitions)
        }
    }

    package func sendRead(from partitions: [Partition], limit: Int) async throws {
        readAhead = partitions
        try translatingRedisErrors { () throws(RedisError) in
            if let shards { return try shards.send(to: partitions) { readCommand([$0], limit, .zero) } }
            try connection.sendAhead(readCommand(partitions, limit, .zero), until: .after(Self.timeout))
        }
    }

    package func receiveRead() async throws -> [Delivered] {
        try translatingRedisErrors { () throws(RedisError) in
            if let shards { return shards.receive() }
            let reply = try connection.receiveAhead(until: .after(Self.timeout))
            if let error = reply.error { throw .reply(error) }
            return try delivered(reply, readAhead)
        }
    }

    private func readCommand(_ partitions: [Partition], _ limit: Int, _ wait: Duration) -> RedisCommand {
        var command = RedisCommand("XREADGROUP", "GROUP", group.name, consumer.text, "COUNT", limit)
        if wait > .zero { command.append(contentsOf: ["BLOCK", String(max(1, Int(wait / .milliseconds(1))))]) }
        command.append("STREAMS")
        command.append(contentsOf: partitions.map(keys.log))
        command.append(contentsOf: partitions.map { _ in ">" })
        return command
    }

    private func delivered(_ reply: RedisReply, _ partitions: [Partition]) throws(RedisError) -> [Delivered] {
        if reply.isNull { return [] }
        var delivered: [Delivered] = []
        var unread = partitions[...]
        for stream in try reply.requireArray() {
            let parts = try stream.requireArray(count: 2)
            let name = try parts[0].requireString()
            // The server answers in the order in which it was asked.
            guard let index = unread.firstIndex(where: { keys.log($0) == name }) else {
                throw .protocolViolation("one of the streams that were asked for")
            }
            let entries = parts[1]
            delivered.append(
                Delivered(partition: unread[index], count: entries.count) {
                    try translatingRedisErrors { () throws(RedisError) in try entries.entries() }
                })
            unread = unread[(index + 1)...]
        }
        return delivered
    }

    package func range(in partition: Partition, from start: EntryID, limit: Int) async throws -> [Entry] {
        try call(RedisCommand("XRANGE", keys.log(partition), start.description, "+", "COUNT", limit)) {
            reply throws(RedisError) in try reply.entries()
        }
    }

    package func lastEntries(in partition: Partition, through end: EntryID?, limit: Int) async throws -> [Entry] {
        try call(RedisCommand("XREVRANGE", keys.log(partition), end?.description ?? "+", "-", "COUNT", limit)) {
            reply throws(RedisError) in try reply.entries()
        }
    }

    package func extent(of partition: Partition) async throws -> LogExtent {
        try translatingRedisErrors { () throws(RedisError) in
            let key = keys.log(partition)
            let replies = try connection.pipeline(
                [
                    RedisCommand("XLEN", key), RedisCommand("XRANGE", key, "-", "+", "COUNT", 1),
                    RedisCommand("XREVRANGE", key, "+", "-", "COUNT", 1),
                ], until: .after(Self.timeout))
            for reply in replies { if let error = reply.error { throw .reply(error) } }
            return LogExtent(
                first: try replies[1].entries().first, last: try replies[2].entries().first,
                count: Int(try replies[0].requireInteger()))
        }
    }

    package func createGroup(in partition: Partition, after entry: EntryID) async throws {
        do throws(RedisError) {
            _ = try connection.call(
                RedisCommand(
                    "XGROUP", "CREATE", keys.log(partition), group.name, entry.description, "MKSTREAM"),
                until: .after(Self.timeout))
        } catch {
            // Another worker was faster.
            if case .reply(let reply) = error, reply.code == "BUSYGROUP" { return }
            throw StoreError(error)
        }
    }

    package func removeIdleConsumers(from partition: Partition) async throws {
        _ = try evaluate(Scripts.consumersRemove, [keys.log(partition)], [group.name, consumer.text]) {
            reply throws(RedisError) in try reply.requireInteger()
        }
    }

    package func acknowledge(
        _ entries: [Acknowledgement], under permit: Permit, heeding heed: AcknowledgementHeed
    ) async throws -> Bool {
        let partition = permit.partition
        var names = [keys.head(partition), keys.log(partition)]
        var arguments: RedisArguments = [permit.history.epoch.description, permit.history.replid, group.name]
        switch heed {
        case .nothing: arguments.append(contentsOf: ["", "", ""])
        case .position:
            names.append(keys.position(partition, group))
            arguments.append(contentsOf: ["", "", ""])
        case .showing(let position):
            names.append(keys.position(partition, group))
            arguments.append(contentsOf: [position.seq.description, position.entry?.description ?? "", consumer.text])
        }
        for entry in entries {
            arguments.append(entry.seq?.description ?? "")
            arguments.append(entry.entry.description)
        }
        try Faults.pass(.beforeAck)
        let reply = try await connection.evaluate(Scripts.acknowledge, names, arguments, sent: .ackSent)
        try Faults.pass(.afterAck)
        return try translatingRedisErrors { () throws(RedisError) in
            try reply.requireArray().first?.string == "ACKNOWLEDGED"
        }
    }

    package func shut(_ partition: Partition, epoch: Epoch) async throws -> Bool {
        try evaluate(Scripts.shut, [keys.head(partition)], [epoch.description]) { reply throws(RedisError) in
            try reply.requireInteger() == 1
        }
    }

    package func open(
        _ partition: Partition, seen: LogLook, epoch: Epoch, identity: LogIdentity, admitted: [String],
        healing: [LedgerEntry], isLast: Bool
    ) async throws -> OpenOutcome {
        var arguments: RedisArguments = [
            seen.head?.epoch.description ?? "", seen.head?.seq.description ?? "", seen.replid, epoch.description,
            String(identity.partitioning.count), identity.log, isLast ? "1" : "0",
            admitted.count,
        ]
        arguments.append(contentsOf: admitted)
        for entry in healing {
            arguments.append(contentsOf: [entry.seq.description, entry.change?.name ?? ""])
            arguments.append(entry.change.map { NameEncoding.windowHash($0.name) } ?? 0)
            // Where the ledger was damaged, a retry is a conflict, and the log opens all the same.
            arguments.append(entry.change.flatMap { Digest($0.digest) } ?? .none)
            arguments.append(2 * entry.fields.count)
            for field in entry.fields {
                arguments.append(field.name)
                arguments.append(field.value)
            }
        }
        let names = [keys.head(partition), keys.log(partition), keys.seen(partition)]
        return try evaluate(Scripts.open, names, arguments) { reply throws(RedisError) in
            let reply = try ScriptReply(reply)
            return switch reply.code {
            case "OPENED": .opened
            case "CHANGED": .changed
            case "ORPHANED": .orphaned
            default: throw reply.unknownCode
            }
        }
    }

    // MARK: - Calls

    private func call<Result>(
        _ command: RedisCommand, within limit: Duration = StreamLog.timeout,
        _ decode: (RedisReply) throws(RedisError) -> Result
    ) throws(StoreError) -> Result {
        try translatingRedisErrors { () throws(RedisError) in
            try decode(try connection.call(command, until: .after(limit)))
        }
    }

    private func evaluate<Result>(
        _ script: RedisScript, _ keys: [String], _ arguments: RedisArguments,
        _ decode: (RedisReply) throws(RedisError) -> Result
    ) throws(StoreError) -> Result {
        try translatingRedisErrors { () throws(RedisError) in
            try decode(try connection.evaluate(script, keys: keys, arguments: arguments, until: .after(Self.timeout)))
        }
    }
}
