package import OrderLog
package import RedisClient
package import RedisLog
package import Reports

/// What the log's keys take of Redis's memory: of all partitions, or of some that stand for all.
///
/// Redis: <https://redis.io/docs/latest/commands/memory-usage/>
package struct MemoryLook {
    /// As many partitions are measured; the others are like them.
    private static let partitionsMax = 16
    /// As many shops of each.
    private static let shopsMax = 3

    /// The partitions that are measured.
    package let partitions: [Partition]
    private let scale: Double

    package init(_ partitioning: Partitioning) {
        let count = partitioning.count
        let step = max(1, count / Self.partitionsMax)
        partitions = stride(from: 0, to: count, by: step).prefix(Self.partitionsMax).map { Partition($0) }
        scale = Double(count) / Double(max(1, partitions.count))
    }

    /// Asks for shops whose counters stand for all, and how the idempotency windows are kept: two for each partition.
    package func partQuestions(_ keys: Keys) -> [RedisCommand] {
        partitions.flatMap {
            [
                RedisCommand("SRANDMEMBER", keys.shops($0), Self.shopsMax), WindowMemory.layoutQuestion(keys, $0),
            ]
        }
    }

    /// The tickets of one partition's questions.
    private struct Asked {
        let partition: Partition
        let log, length, deliveries, first, dayAgo, shops: Int
        let stocks: [Int]
        /// Each with how many keys it stands for.
        let window: [(ticket: Int, weight: Double)]
    }

    /// The questions, among others.
    package struct Questioned {
        private let asked: [Asked]
        private let scale: Double
        private let now: Int

        fileprivate init(
            _ partitions: [Partition], _ scale: Double, _ keys: Keys, parts: [RedisReply], now: Int,
            asking questions: inout Questions
        ) {
            self.scale = scale
            self.now = now
            var asked: [Asked] = []
            for (index, partition) in partitions.enumerated() {
                let (shops, layout) = (parts[2 * index], parts[2 * index + 1])
                func usage(_ key: String) -> Int { questions.ask(RedisCommand("MEMORY", "USAGE", key)) }
                let log = keys.log(partition)
                asked.append(
                    Asked(
                        partition: partition, log: usage(log), length: questions.ask(RedisCommand("XLEN", log)),
                        deliveries: usage(keys.deliveries(partition)),
                        first: questions.ask(RedisCommand("XRANGE", log, "-", "+", "COUNT", 1)),
                        dayAgo: questions.ask(
                            RedisCommand("XRANGE", log, max(0, now - dayMilliseconds), "+", "COUNT", 1)),
                        shops: questions.ask(RedisCommand("SCARD", keys.shops(partition))),
                        stocks: shops.elements.compactMap { $0.string }.map { usage(keys.stock(partition, shop: $0)) },
                        window: WindowMemory(keys, partition, layout: layout).questions.map {
                            (questions.ask($0.command), $0.weight)
                        }))
            }
            self.asked = asked
        }

        /// What the server said.
        ///
        /// - Parameters:
        ///   - replies: To all questions.
        ///   - facts: Of the server.
        ///   - heads: By partition number.
        /// - Returns: The parts; what couldn't be measured is nil.
        package func answer(_ replies: [RedisReply], _ facts: ServerFacts, _ heads: [HeadLook]) -> Snapshot.Memory {
            func bytes(_ ticket: Int) -> Int? {
                let reply = replies[ticket]
                return reply.error != nil ? nil : reply.isNull ? 0 : reply.wholeNumber
            }
            func whole(_ parts: [Int?]) -> Int? { GroupFindings.sum(parts).map { Int(Double($0) * scale) } }
            let stock = asked.map { asked -> Int? in
                guard let shops = bytes(asked.shops), let sample = GroupFindings.sum(asked.stocks.map(bytes)) else {
                    return nil
                }
                return asked.stocks.isEmpty ? 0 : sample * shops / asked.stocks.count
            }
            return Snapshot.Memory(
                used: facts.usedMemory, max: facts.maxMemory, log: whole(asked.map { bytes($0.log) }),
                window: whole(
                    asked.flatMap { $0.window.map { part in bytes(part.ticket).map { Int(Double($0) * part.weight) } } }
                ),
                stock: whole(stock),
                deliveries: whole(asked.map { bytes($0.deliveries) }),
                logGrowthPerDay: whole(asked.map { growth($0, replies, heads) }),
                isTrimmed: heads.contains { ($0.look?.head?.first ?? Seq(1)) > Seq(1) })
        }

        /// The last day's entries, in bytes.
        private func growth(_ asked: Asked, _ replies: [RedisReply], _ heads: [HeadLook]) -> Int? {
            guard let bytes = replies[asked.log].isNull ? 0 : replies[asked.log].wholeNumber,
                let length = replies[asked.length].wholeNumber
            else { return nil }
            guard length > 0, let head = heads[asked.partition.number].look?.head?.seq.number,
                let first = replies[asked.first].elements.first.flatMap(AppendTimes.Probed.init)
            else { return 0 }
            guard let start = replies[asked.dayAgo].elements.first.flatMap(AppendTimes.Probed.init),
                let seq = start.seq?.number
            else { return 0 }
            var perDay = Double(max(0, head - seq + 1))
            // A log that is younger than a day has no more to tell by.
            let age = now - Int(clamping: first.id.milliseconds)
            if age < dayMilliseconds { perDay *= Double(dayMilliseconds) / Double(max(age, dayMilliseconds / 24)) }
            return Int(perDay * Double(bytes) / Double(length))
        }
    }

    /// Adds the questions.
    ///
    /// - Parameters:
    ///   - keys: The log's keys.
    ///   - parts: The answers to ``partQuestions(_:)``.
    ///   - now: Redis's time, in milliseconds.
    ///   - questions: Takes them.
    /// - Returns: What reads the answers.
    package func ask(_ keys: Keys, parts: [RedisReply], now: Int, _ questions: inout Questions) -> Questioned {
        Questioned(partitions, scale, keys, parts: parts, now: now, asking: &questions)
    }
}

private let dayMilliseconds = 86_400_000
