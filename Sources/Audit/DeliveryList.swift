package import OrderLog
import RedisClient
import RedisLog
import ThreadedIO

/// The jobs that are still in a partition's delivery list, as they followed each other, and the position at which they were read.
///
/// The delivery service takes from the left while workers push on the right. So it is read from the right, a thousand jobs at a time,
/// each time with the last job of before: wherever that one stands by now, what is left of it comes next. What is taken
/// meanwhile was there, and what is pushed meanwhile lies above the position.
package struct DeliveryList {
    /// A job by its place in the log, and a hash of what it says: the epoch may be another, when Redis was healed.
    package struct Job: Hashable {
        /// nil when it isn't one of ours.
        package let seq: Int64?
        package let hash: Int

        package init(_ json: UnsafeRawBufferPointer) {
            if let (seq, hash) = JSONMeaning.object(json, seq: "seq", ignoring: "epoch") {
                (self.seq, self.hash) = (seq, hash)
            } else {
                var hasher = Hasher()
                hasher.combine(bytes: json)
                (seq, hash) = (nil, hasher.finalize())
            }
        }

        package init(_ json: String) {
            var json = json
            self = json.withUTF8 { Job(UnsafeRawBufferPointer($0)) }
        }
    }

    private static let chunk = 1000

    /// The position when the right end was read: the list has every job up to it that was not taken.
    package let seq: Seq
    /// From left to right; nil when the key holds something else than a list.
    package let jobs: [Job]?

    /// - Throws: ``SinkReader/Trouble`` when somebody else than the two moves jobs about, or the position can't be read.
    package init(_ partition: Partition, _ reader: SinkReader) throws {
        let (redis, key) = (reader.redis, reader.keys.deliveries(partition))
        let patience: Duration = .seconds(30)
        let replies = try redis.pipeline(
            [
                RedisCommand("MULTI"), RedisCommand("HGET", reader.keys.position(partition, .delivery), "seq"),
                RedisCommand("LRANGE", key, -Self.chunk, -1), RedisCommand("EXEC"),
            ], until: .after(patience))
        let parts = try SinkReader.transaction(replies[3])
        seq = try SinkReader.seq(parts[0], .delivery)
        guard parts[1].kind == .array else {
            jobs = nil
            return
        }
        // From right to left.
        var found = parts[1].elements.reversed().map { $0.withBytes(Job.init) }
        // Where the last one found stands by now, counted from the right end.
        var offset = found.count
        var mayBeMore = found.count == Self.chunk
        while mayBeMore {
            let window = try redis.call(
                RedisCommand("LRANGE", key, -(offset + Self.chunk), -offset), until: .after(patience)
            ).requireArray().map { $0.withBytes(Job.init) }
            guard let rightmost = window.last else { break }
            guard let known = found.lastIndex(of: rightmost) else {
                throw SinkReader.Trouble(text: "the delivery list was changed meanwhile by somebody else")
            }
            // What was pushed since moved the window to the right by as much.
            let overlap = found.count - known
            let new = window.dropLast(overlap)
            found += new.reversed()
            offset += overlap - 1 + new.count
            mayBeMore = window.count > Self.chunk
        }
        jobs = found.reversed()
    }
}
