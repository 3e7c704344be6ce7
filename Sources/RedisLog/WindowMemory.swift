package import OrderLog
package import RedisClient
package import ThreadedIO

/// What the idempotency window takes of Redis's memory, by some of its buckets.
package struct WindowMemory {
    /// Asks how a window is kept.
    package static func layoutQuestion(_ keys: Keys, _ partition: Partition) -> RedisCommand {
        RedisCommand("GET", keys.seen(partition))
    }

    /// What to ask for, each with how many keys it stands for.
    package let questions: [(command: RedisCommand, weight: Double)]

    /// - Parameters:
    ///   - keys: The log's keys.
    ///   - partition: Which.
    ///   - layout: The answer to ``layoutQuestion(_:_:)``.
    ///   - bucketsMax: As many buckets of a generation stand for all.
    package init(_ keys: Keys, _ partition: Partition, layout: RedisReply, bucketsMax: Int = 16) {
        var questions: [(RedisCommand, Double)] = []
        func ask(_ key: String, _ weight: Double = 1) {
            questions.append((RedisCommand("MEMORY", "USAGE", key), weight))
        }
        func ask(_ generation: IdempotencyWindow.Generation) {
            let count = min(generation.buckets, bucketsMax)
            for bucket in 0..<count {
                ask(
                    keys.seenBucket(partition, since: generation.since, bucket: bucket * generation.buckets / count),
                    Double(generation.buckets) / Double(count))
            }
        }
        switch IdempotencyWindow.Layout(layout) {
        case .divided(let today, let before, let gone):
            ask(keys.seen(partition))
            ask(today)
            if let gone { ask(gone) }
            switch before {
            case .nothing: break
            case .whole: ask(keys.seenBefore(partition))
            case .divided(let generation): ask(generation)
            }
        case .whole, nil:
            ask(keys.seen(partition))
            ask(keys.seenBefore(partition))
        }
        self.questions = questions
    }

    /// Asks, and adds up.
    ///
    /// - Parameters:
    ///   - keys: The log's keys.
    ///   - partition: Which.
    ///   - redis: The log's server.
    ///   - bucketsMax: As many buckets of a generation stand for all.
    ///   - deadline: When to give up.
    /// - Returns: Bytes.
    /// - Throws: ``RedisError``.
    package static func bytes(
        _ keys: Keys, _ partition: Partition, on redis: RedisConnection, bucketsMax: Int = 16, until deadline: Deadline
    ) throws(RedisError) -> Double {
        let layout = try redis.pipeline([layoutQuestion(keys, partition)], until: deadline)[0]
        let questions = WindowMemory(keys, partition, layout: layout, bucketsMax: bucketsMax).questions
        let replies = try redis.pipeline(questions.map(\.command), until: deadline)
        return zip(replies, questions).reduce(0) { $0 + Double($1.0.integer ?? 0) * $1.1.weight }
    }
}
