package import OrderLog
package import RedisClient
package import ThreadedIO

/// Reads the idempotency window: which changes are in the log, as far as it remembers them.
///
/// `window.lua` says how it is kept.
package struct IdempotencyWindow {
    /// A change that is remembered.
    package struct Known: Hashable, Sendable {
        package let digest: Digest
        package let seq: Seq
        package let entry: EntryID
    }

    /// A generation of buckets.
    struct Generation: Hashable, Sendable {
        /// Since when it is written to, in milliseconds.
        let since: String
        let buckets: Int
    }

    /// How it is kept.
    enum Layout: Hashable, Sendable {
        /// One hash, and one of the window before.
        case whole
        /// Buckets, and what was before.
        case divided(Generation, before: Before, gone: Generation?)

        enum Before: Hashable, Sendable {
            case nothing
            case whole
            case divided(Generation)
        }

        /// Reads what GET says of `seen`: another type is one hash; nil for a text that is no window.
        ///
        /// - Parameter reply: The answer.
        init?(_ reply: RedisReply) {
            guard let text = reply.string else {
                self = .whole
                return
            }
            let words = text.split(separator: " ").map(String.init)
            guard words.count == 9, words[0] == "buckets", let buckets = Int(words[2]), buckets > 0,
                let bucketsBefore = Int(words[5])
            else { return nil }
            let gone = Int(words[7]).flatMap { $0 > 0 ? Generation(since: words[6], buckets: $0) : nil }
            let before: Before =
                switch words[4] {
                case "-": .nothing
                case "old": .whole
                default: .divided(Generation(since: words[4], buckets: max(1, bucketsBefore)))
                }
            self = .divided(Generation(since: words[1], buckets: buckets), before: before, gone: gone)
        }

        /// Those in buckets.
        var generations: [Generation] {
            guard case .divided(let today, let before, let gone) = self else { return [] }
            var generations = [today]
            if case .divided(let generation) = before { generations.append(generation) }
            return generations + (gone.map { [$0] } ?? [])
        }
    }

    private let redis: RedisConnection
    private let keys: Keys

    /// - Parameters:
    ///   - redis: The log's server.
    ///   - keys: The log's keys.
    package init(_ redis: RedisConnection, _ keys: Keys) { (self.redis, self.keys) = (redis, keys) }

    /// Looks for changes.
    ///
    /// - Parameters:
    ///   - names: As ``NameEncoding/windowName(shop:id:)`` makes them.
    ///   - partition: Of their shops.
    ///   - deadline: When to give up.
    /// - Returns: In the same order what is remembered, nil for what isn't.
    /// - Throws: ``RedisError``.
    package func known(
        _ names: some Collection<String>, in partition: Partition, until deadline: Deadline
    ) throws(RedisError) -> [Known?] {
        var tries = 0
        while true {
            let layout = try layout(partition, until: deadline)
            do throws(RedisError) {
                return try known(names, in: partition, layout, until: deadline)
            } catch .reply(let error) where error.code == "WRONGTYPE" && tries < 2 {
                // It was divided between the two looks.
                tries += 1
            }
        }
    }

    /// The buckets that there are now, for who puts another window in their place.
    ///
    /// - Parameter partition: Which.
    /// - Returns: What deletes them, when they are in use no more.
    /// - Throws: ``RedisError``.
    package func bucketsToDelete(in partition: Partition) throws(RedisError) -> () throws(RedisError) -> Void {
        let generations = try layout(partition, until: .after(StreamLog.timeout)).generations
        return { () throws(RedisError) in
            for generation in generations {
                for start in stride(from: 0, to: generation.buckets, by: 1000) {
                    var command = RedisCommand("UNLINK")
                    for bucket in start..<min(start + 1000, generation.buckets) {
                        command.append(keys.seenBucket(partition, since: generation.since, bucket: bucket))
                    }
                    _ = try redis.call(command, until: .after(StreamLog.timeout))
                }
            }
        }
    }

    private func layout(_ partition: Partition, until deadline: Deadline) throws(RedisError) -> Layout {
        let replies = try redis.pipeline([WindowMemory.layoutQuestion(keys, partition)], until: deadline)
        for error in replies.compactMap(\.error) where error.code != "WRONGTYPE" { throw .reply(error) }
        guard let layout = replies.first.flatMap({ Layout($0) }) else {
            throw .protocolViolation("an idempotency window at \(keys.seen(partition))")
        }
        return layout
    }

    private func known(
        _ names: some Collection<String>, in partition: Partition, _ layout: Layout, until deadline: Deadline
    ) throws(RedisError) -> [Known?] {
        var commands: [RedisCommand] = []
        for name in names {
            commands += keys.places(of: name, partition, layout).map { RedisCommand("HGET", $0, name) }
        }
        let replies = try redis.pipeline(commands, until: deadline)
        for reply in replies { if let error = reply.error { throw .reply(error) } }
        let each = names.isEmpty ? 0 : replies.count / names.count
        return (0..<names.count).map { index in
            replies[(index * each)..<((index + 1) * each)].lazy.compactMap { $0.withBytes { Known($0) } }.first
        }
    }
}

extension IdempotencyWindow.Known {
    /// Reads a digest of 32 hexadecimal digits, `<seq> <entry ID>`; or one of 16 bytes, `<seq> `, six bytes of milliseconds,
    /// and `-<number>`.
    init?(_ text: UnsafeRawBufferPointer) {
        let space = UInt8(ascii: " ")
        guard text.count > 16 else { return nil }
        let isWhole = text.firstIndex { !Self.isHexDigit($0) } == 32 && text[32] == space
        let digest: Digest? =
            isWhole ? Digest(String(decoding: text[..<32], as: UTF8.self)) : Digest(text[..<16])
        let place = text[(isWhole ? 33 : 16)...]
        guard let digest, let blank = place.firstIndex(of: space),
            let seq = UInt64(digits: place[..<blank]).flatMap({ Int64(exactly: $0) }), seq > 0
        else { return nil }
        var name = place[(blank + 1)...]
        var time: [UInt8] = []
        if !isWhole {
            guard name.count > 6 else { return nil }
            time = Array(String(name.prefix(6).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }).utf8)
            name = name.dropFirst(6)
        }
        guard let entry = (time + name).withUnsafeBytes({ EntryID(text: $0) }) else { return nil }
        self.init(digest: digest, seq: Seq(seq), entry: entry)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
        default: false
        }
    }
}

extension Keys {
    /// Where a name may be, the newest first.
    fileprivate func places(of name: String, _ partition: Partition, _ layout: IdempotencyWindow.Layout) -> [String] {
        guard case .divided(let today, let before, _) = layout else { return [seen(partition), seenBefore(partition)] }
        func bucket(_ generation: IdempotencyWindow.Generation) -> String {
            seenBucket(
                partition, since: generation.since, bucket: NameEncoding.windowHash(name) % generation.buckets)
        }
        return switch before {
        case .nothing: [bucket(today)]
        case .whole: [bucket(today), seenBefore(partition)]
        case .divided(let generation): [bucket(today), bucket(generation)]
        }
    }
}
