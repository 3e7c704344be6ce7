package import FoundationEssentials

// The contract `onewrite/status/v1`. Written by hand so that unknown is an explicit null (synthesised conformances leave
// the key out) and renaming a property can't change the contract.

extension Snapshot: Encodable {
    /// The schema of ``encode(to:)``.
    public static let schema = "onewrite/status/v1"

    private enum CodingKeys: String, CodingKey {
        case schema, at, environment, partitions, redis, postgres, memory, groups, warnings
        case redisError = "redis_error"
        case postgresError = "postgres_error"
    }

    /// Encodes the snapshot as `onewrite/status/v1`.
    ///
    /// A server that isn't configured or can't be reached is null; why is in `redis_error` and `postgres_error`. The page
    /// of pending entries is left out: it has a command of its own.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(Self.schema, forKey: .schema)
        try container.encode(Self.timestamp(at), forKey: .at)
        try container.encode(environment, forKey: .environment)
        try container.encode(partitions, forKey: .partitions)
        try container.encode(redis, forKey: .redis)
        try container.encode(redis.error, forKey: .redisError)
        try container.encode(postgres, forKey: .postgres)
        try container.encode(postgres.error, forKey: .postgresError)
        try container.encode(memory, forKey: .memory)
        try container.encode(groups, forKey: .groups)
        try container.encode(warnings, forKey: .warnings)
    }

    /// ISO 8601 in UTC with milliseconds, `2025-11-23T14:02:31.204Z`.
    package static func timestamp(_ date: Date) -> String {
        // The style cuts, so that .204 held as .20399… would become .203.
        let milliseconds = (date.timeIntervalSince1970 * 1000).rounded()
        let nudged = Date(timeIntervalSince1970: (milliseconds + 0.25) / 1000)
        return nudged.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}

extension Snapshot.Server: Encodable {
    private enum CodingKeys: String, CodingKey { case name, version }

    /// Encodes `{"version":…}`, for Redis with the `name` of the server, or null when the server didn't answer or isn't configured.
    public func encode(to encoder: any Encoder) throws {
        guard let version else {
            var container = encoder.singleValueContainer()
            try container.encodeNil()
            return
        }
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(name, forKey: .name)
        try container.encode(version, forKey: .version)
    }
}

extension Snapshot.Group: Encodable {
    private enum CodingKeys: String, CodingKey {
        case name, lag, pending
        case oldestPendingMilliseconds = "oldest_pending_ms"
        case oldestUnappliedMilliseconds = "oldest_unapplied_ms"
        case dead, refused
        case appendPerSecond = "append_per_second"
        case appliedPerSecond = "applied_per_second"
        case secondsToCatchUp = "seconds_to_catch_up"
        case workers, partitions
    }

    /// Encodes an element of the contract's `groups`.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(lag, forKey: .lag)
        try container.encode(pending, forKey: .pending)
        try container.encode(oldestPendingMilliseconds, forKey: .oldestPendingMilliseconds)
        try container.encode(oldestUnappliedMilliseconds, forKey: .oldestUnappliedMilliseconds)
        try container.encode(dead, forKey: .dead)
        try container.encode(refused, forKey: .refused)
        // JSON has no infinity: a rate over no time is unknown.
        try container.encode(appendPerSecond.flatMap { $0.isFinite ? $0 : nil }, forKey: .appendPerSecond)
        try container.encode(appliedPerSecond.flatMap { $0.isFinite ? $0 : nil }, forKey: .appliedPerSecond)
        let seconds: Double? = if case .after(let seconds) = catchUp { seconds } else { nil }
        try container.encode(seconds, forKey: .secondsToCatchUp)
        try container.encode(workers, forKey: .workers)
        try container.encode(partitions, forKey: .partitions)
    }
}

extension Snapshot.Partition: Encodable {
    private enum CodingKeys: String, CodingKey {
        case partition, epoch, head, position, lag, pending, owner, token, refused, state, error
    }

    /// Encodes an element of the contract's `partitions` of a group.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(partition, forKey: .partition)
        try container.encode(epoch, forKey: .epoch)
        try container.encode(head, forKey: .head)
        try container.encode(position, forKey: .position)
        try container.encode(lag, forKey: .lag)
        try container.encode(pending, forKey: .pending)
        try container.encode(owner, forKey: .owner)
        try container.encode(token, forKey: .token)
        try container.encode(refused, forKey: .refused)
        try container.encode(state, forKey: .state)
        try container.encode(error, forKey: .error)
    }
}

extension Snapshot.Warning: Encodable {
    private enum CodingKeys: String, CodingKey { case code, group, partition, hint }

    /// Encodes an element of the contract's `warnings`; what a warning isn't about is left out.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(code, forKey: .code)
        try container.encodeIfPresent(group, forKey: .group)
        try container.encodeIfPresent(partition, forKey: .partition)
        try container.encode(hint, forKey: .hint)
    }
}

extension PendingEntry: Encodable {
    private enum CodingKeys: String, CodingKey {
        case group, partition, entry, seq, consumer
        case idleMilliseconds = "idle_ms"
        case deliveries, id, type, state
    }

    /// Encodes a line of `pending --json`.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(group, forKey: .group)
        try container.encode(partition, forKey: .partition)
        try container.encode(entry, forKey: .entry)
        try container.encode(seq, forKey: .seq)
        try container.encode(consumer, forKey: .consumer)
        try container.encode(idleMilliseconds, forKey: .idleMilliseconds)
        try container.encode(deliveries, forKey: .deliveries)
        try container.encode(id, forKey: .id)
        try container.encode(type, forKey: .type)
        try container.encode(state, forKey: .state)
    }
}
