package import OrderLog
package import RedisClient
package import ThreadedIO

/// Appends changes to the log, idempotently.
///
/// Two phases, so that several partitions' calls travel together and the caller works meanwhile: ``send(_:to:)`` for
/// each partition, then ``receive(until:)`` as often. When an answer doesn't come, nobody knows what happened: connect
/// again and send the same changes again. With one call of a partition in flight at a time, a retry can't overtake.
package struct Appender {
    /// What became of one change.
    package struct Result: Hashable, Sendable {
        package enum Outcome: String, Sendable {
            case accepted
            /// It was in the log already, with this payload.
            case duplicate
            /// Its ID is in the log with another payload.
            case conflict
        }

        package let outcome: Outcome
        package let seq: Seq
        package let entry: EntryID

        package init(outcome: Outcome, seq: Seq, entry: EntryID) {
            self.outcome = outcome
            self.seq = seq
            self.entry = entry
        }
    }

    /// What became of one call.
    package enum Reply: Hashable, Sendable {
        /// A result for each change, in order.
        case appended(epoch: Epoch, [Result])
        /// Redis was restarted or replaced; try again when the log is open.
        case closed
        case noLog
        /// Another log lives here than the one that was asked for.
        case mismatch
    }

    private let connection: RedisConnection
    private let keys: Keys
    private let identity: LogIdentity
    private let windowMilliseconds: Int

    /// - Parameters:
    ///   - connection: Carries the calls, in order.
    ///   - keys: The log's keys.
    ///   - identity: The log as the caller knows it.
    ///   - window: How long an ID is remembered, at least.
    package init(_ connection: RedisConnection, keys: Keys, identity: LogIdentity, window: Duration) {
        self.connection = connection
        self.keys = keys
        self.identity = identity
        windowMilliseconds = Int(window / .milliseconds(1))
    }

    /// Makes sure that the server holds the script, so that ``send(_:to:)`` sends its digest instead of its text.
    ///
    /// - Parameter deadline: When to give up.
    /// - Throws: ``StoreError``.
    package func load(until deadline: Deadline) throws(StoreError) {
        _ = try translatingRedisErrors { () throws(RedisError) in try connection.load(Scripts.append, until: deadline) }
    }

    /// Queues a call.
    ///
    /// - Parameters:
    ///   - changes: Of this partition, at most ``Limits/appendChangesMax``.
    ///   - partition: Where the changes' shops belong.
    package func send(_ changes: some Collection<Change>, to partition: Partition) {
        let (keys, arguments) = call(changes, to: partition)
        connection.sendEvaluate(Scripts.append, keys: keys, arguments: arguments)
    }

    /// Waits for the answer to the earliest call that has none yet.
    ///
    /// - Parameter deadline: When to give up.
    /// - Returns: The answer; nil when the server doesn't hold the script: nothing ran, use ``append(_:to:until:)``.
    /// - Throws: ``StoreError``.
    package func receive(until deadline: Deadline) throws(StoreError) -> Reply? {
        try translatingRedisErrors { () throws(RedisError) in
            let reply = try connection.receive(until: deadline)
            if let error = reply.error {
                if error.isMissingScript { return nil }
                throw .reply(error)
            }
            return try decode(reply)
        }
    }

    /// Sends a call and waits for its answer; loads the script where it is missing.
    package func append(
        _ changes: some Collection<Change>, to partition: Partition, until deadline: Deadline
    ) throws(StoreError) -> Reply {
        let (keys, arguments) = call(changes, to: partition)
        return try translatingRedisErrors { () throws(RedisError) in
            try decode(try connection.evaluate(Scripts.append, keys: keys, arguments: arguments, until: deadline))
        }
    }

    private func call(
        _ changes: some Collection<Change>, to partition: Partition
    ) -> (keys: [String], arguments: RedisArguments) {
        precondition(changes.count <= Limits.appendChangesMax, "a call takes a bounded number of changes")
        let names = [
            keys.head(partition), keys.log(partition), keys.seen(partition), keys.seenBefore(partition),
        ]
        var arguments: RedisArguments = [identity.log, identity.partitioning.count, windowMilliseconds]
        for change in changes {
            let fields = change.stringFields
            let appended = AppendedChange(change)
            arguments.append(appended.name)
            arguments.append(appended.digest)
            arguments.append(2 * fields.count)
            for field in fields {
                arguments.append(field.name)
                arguments.append(field.value)
            }
        }
        return (names, arguments)
    }

    private func decode(_ reply: RedisReply) throws(RedisError) -> Reply {
        let reply = try ScriptReply(reply)
        switch reply.code {
        case "CLOSED": return .closed
        case "NOLOG": return .noLog
        case "MISMATCH": return .mismatch
        case "OK": break
        default: throw reply.unknownCode
        }
        var results: [Result] = []
        for index in stride(from: 2, to: reply.count, by: 3) {
            guard let outcome = Result.Outcome(rawValue: try reply.string(index)),
                let entry = EntryID(try reply.string(index + 2))
            else { throw .protocolViolation("an outcome and an entry's ID of append.lua") }
            results.append(Result(outcome: outcome, seq: Seq(try reply.number(index + 1)), entry: entry))
        }
        return .appended(epoch: Epoch(try reply.number(1)), results)
    }
}
