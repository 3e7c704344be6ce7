import Coordination
package import OrderLog
package import RedisClient
import ThreadedIO

extension RedisConnection {
    /// One atomic look at a partition's head and the server.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - keys: The log's keys.
    /// - Returns: What was seen.
    /// - Throws: ``RedisError``.
    package func look(at partition: Partition, _ keys: Keys) throws(RedisError) -> LogLook {
        let reply = try evaluate(
            Scripts.look, keys: [keys.head(partition)], arguments: [], until: .after(StreamLog.timeout))
        return try LogLook(script: reply)
    }

    /// What `init` settled; nil when there is no log.
    ///
    /// - Parameters:
    ///   - keys: The log's keys.
    ///   - formats: Those that the caller can do with.
    /// - Returns: The log's identity.
    /// - Throws: ``RedisError``; ``StoreError`` with the kind `misconfigured` for a log of another format.
    package func identity(
        _ keys: Keys, in formats: ClosedRange<LogFormat> = LogFormat.known
    ) throws -> LogIdentity? {
        let reply = try call(
            RedisCommand("HMGET", keys.meta, "version", "partitions", "log"), until: .after(StreamLog.timeout))
        let fields = try reply.requireArray(count: 3)
        if fields.allSatisfy(\.isNull) { return nil }
        guard let format = fields[0].string.flatMap({ Int($0) }).map(LogFormat.init) else {
            throw RedisError.protocolViolation("the log's version at \(keys.meta)")
        }
        try format.require(in: formats, of: "the log at \(keys.namespace) in Redis", .redis)
        guard let partitioning = fields[1].string.flatMap({ Int($0) }).flatMap(Partitioning.init(count:)),
            let log = fields[2].string
        else { throw RedisError.protocolViolation("partitions and log at \(keys.meta)") }
        return LogIdentity(partitioning: partitioning, log: log, format: format)
    }

    /// Writes down what `init` settled, unless something is there already.
    ///
    /// - Parameters:
    ///   - identity: The log's identity.
    ///   - keys: The log's keys.
    /// - Throws: ``RedisError``.
    package func establish(_ identity: LogIdentity, _ keys: Keys) throws(RedisError) {
        // HSETNX one by one would leave a half-written record behind a crash; one HSET guarded by EXISTS can't, and two
        // inits at once write the same: the ID comes from Postgres, where one of them won.
        guard try call(RedisCommand("EXISTS", keys.meta), until: .after(StreamLog.timeout)).requireInteger() == 0 else {
            return
        }
        _ = try call(
            RedisCommand(
                "HSET", keys.meta, "version", identity.format.number, "partitions", identity.partitioning.count, "log",
                identity.log),
            until: .after(StreamLog.timeout))
    }

    /// Brings the log's record in Redis to another format.
    ///
    /// - Parameters:
    ///   - format: The next one.
    ///   - identity: The log and the format as they were read.
    ///   - keys: The log's keys.
    /// - Returns: Whether they were still the same; else nothing was changed.
    /// - Throws: ``RedisError``.
    package func upgrade(
        to format: LogFormat, _ identity: LogIdentity, _ keys: Keys
    ) throws(RedisError) -> Bool {
        try evaluate(
            Scripts.upgrade, keys: [keys.meta],
            arguments: [identity.log, identity.format.description, format.description],
            until: .after(StreamLog.timeout)
        ).requireInteger() == 1
    }
}

extension LogLook {
    init(script reply: RedisReply) throws(RedisError) {
        let parts = try reply.requireArray()
        guard parts.count == 2 || parts.count == 8 else { throw .protocolViolation("two or eight values of look.lua") }
        var head: Head?
        if parts.count == 8 {
            guard let epoch = Int64(try parts[2].requireString()), let seq = Int64(try parts[3].requireString()),
                let first = Int64(try parts[7].requireString()), epoch >= 0, seq >= 0, first >= 0
            else { throw .protocolViolation("a head with epoch, seq and first") }
            head = Head(
                epoch: Epoch(epoch), seq: Seq(seq), replid: try parts[4].requireString(),
                partitions: Int(try parts[5].requireString()), log: try parts[6].requireString(), first: Seq(first))
        }
        self.init(
            replid: try parts[0].requireString(), isMaster: try parts[1].requireString() == "master", head: head)
    }
}
