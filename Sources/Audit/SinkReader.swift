import Inspection
package import OrderLog
package import RedisClient
package import RedisLog
import Reports
import ThreadedIO

/// Reads what the sinks in Redis hold, while workers and the delivery service change it.
///
/// A shop's counters are read together with the position, in one MULTI, so they are of one moment; another shop's may be of
/// another. Nothing is written.
///
/// Redis: <https://redis.io/docs/latest/develop/interact/transactions/>
package struct SinkReader {
    /// A shop's counters at a position.
    package struct Stock {
        package let seq: Seq
        /// SKU → on hand, as it stands there; nil when the key holds something else than a hash.
        package let onHand: [Name: String]?
    }

    /// Why a sink can't be looked at.
    package struct Trouble: Error {
        package let text: String
    }

    /// Shops in one round trip.
    private static let shopsMax = 50

    package let redis: RedisConnection
    package let keys: Keys

    package init(redis: RedisConnection, keys: Keys) { (self.redis, self.keys) = (redis, keys) }

    private var deadline: Deadline { .after(.seconds(30)) }

    /// How far a sink got; 0 when it never began.
    package func position(_ partition: Partition, _ group: Group) throws -> Seq {
        let reply = try redis.call(RedisCommand("HGET", keys.position(partition, group), "seq"), until: deadline)
        return try Self.seq(reply, group)
    }

    /// How far a store is that isn't built in, and what its position counts.
    package struct OwnSink {
        package let seq: Seq
        /// Changes that it was handed, and how many it should have been: nil where it doesn't count them there.
        package let handed: (found: Int64, expected: Int64)?
    }

    /// Reads position and dead letters of one moment.
    ///
    /// - Parameters:
    ///   - partition: Which.
    ///   - group: Whose.
    ///   - definition: The group's: where it began.
    /// - Returns: What is there.
    /// - Throws: ``Trouble``, `RedisError`.
    package func own(_ partition: Partition, _ group: Group, _ definition: GroupDefinition) throws -> OwnSink {
        let replies = try redis.pipeline(
            [
                RedisCommand("MULTI"),
                RedisCommand("HMGET", keys.position(partition, group), "seq", "sum", "counted"),
                RedisCommand("XRANGE", keys.dead(partition, group), "-", "+"), RedisCommand("EXEC"),
            ], until: deadline)
        let parts = try Self.transaction(replies[3])
        let fields = try parts[0].requireArray(count: 3)
        let seq = try Self.seq(fields[0], group)
        guard let sum = fields[1].string.flatMap({ Int64($0) }), fields[2].string == fields[0].string else {
            return OwnSink(seq: seq, handed: nil)
        }
        let began = min(seq.number, definition.beginning(of: partition)?.seq ?? 0)
        var aside: Int64 = 0
        for letter in try parts[1].requireArray() where letter.count == 2 {
            var names: [String: String] = [:]
            let texts = letter[1].elements.map { $0.string ?? "" }
            for index in stride(from: 0, to: texts.count - 1, by: 2) { names[texts[index]] = texts[index + 1] }
            let isPlaced = names["reason"] != Quarantine.Reason.addedByHand.rawValue
            if isPlaced, let place = names["seq"].flatMap({ Int64($0) }), place > began, place <= seq.number {
                aside += 1
            }
        }
        return OwnSink(seq: seq, handed: (sum, seq.number - began - aside))
    }

    /// The shops that have counters, whether or not they should have.
    ///
    /// Looks through all keys of the database, a thousand at a time.
    package func shops(_ partitioning: Partitioning) throws(RedisError) -> [Partition: Set<Name>] {
        let prefixes = partitioning.all.map { ($0, keys.stock($0, shop: "")) }
        var found: [Partition: Set<Name>] = [:]
        try redis.forEachKey(like: "{\(keys.namespace):*}:stock:*") { names in
            for key in names {
                // No name that isn't UTF-8 is ours.
                guard let key = key.string,
                    let (partition, prefix) = prefixes.first(where: { key.utf8.starts(with: $0.1.utf8) })
                else { continue }
                // By bytes: a name may begin with what Swift takes for a part of the character before it.
                let shop = String(decoding: key.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
                found[partition, default: []].insert(Name(shop))
            }
        }
        return found
    }

    /// The counters of shops.
    package func stock(of shops: some Sequence<Name>, in partition: Partition) throws -> [Name: Stock] {
        var found: [Name: Stock] = [:]
        let shops = Array(shops)
        for start in stride(from: 0, to: shops.count, by: Self.shopsMax) {
            let some = shops[start..<min(start + Self.shopsMax, shops.count)]
            let replies = try redis.pipeline(
                some.flatMap { shop in
                    [
                        RedisCommand("MULTI"), RedisCommand("HGET", keys.position(partition, .stock), "seq"),
                        RedisCommand("HGETALL", keys.stock(partition, shop: shop.text)), RedisCommand("EXEC"),
                    ]
                }, until: deadline)
            for (index, shop) in some.enumerated() {
                let parts = try Self.transaction(replies[4 * index + 3])
                found[shop] = Stock(seq: try Self.seq(parts[0], .stock), onHand: Self.hash(parts[1]))
            }
        }
        return found
    }

    /// What a sink set aside: the seqs of entries that a person took, and entries that were added by hand.
    package func aside(
        _ partition: Partition, _ group: Group
    ) throws(RedisError) -> (taken: Set<Seq>, byHand: Set<EntryID>) {
        var taken: Set<Seq> = []
        var byHand: Set<EntryID> = []
        var from = "-"
        while true {
            let letters = try redis.call(
                RedisCommand("XRANGE", keys.dead(partition, group), from, "+", "COUNT", 1000), until: deadline
            ).requireArray()
            for letter in letters {
                let fields = letter.count == 2 ? letter[1] : letter
                var (reason, seq, entry): (String?, Int64?, EntryID?) = (nil, nil, nil)
                for index in stride(from: 0, to: fields.count - 1, by: 2) {
                    // The entry's own fields come first: the last `reason` is ours.
                    if fields[index].string == "reason" { reason = fields[index + 1].string }
                    if fields[index].string == "entry" { entry = fields[index + 1].string.flatMap { EntryID($0) } }
                    if fields[index].string == "seq" { seq = fields[index + 1].string.flatMap { Int64($0) } }
                }
                if reason == LedgerSnapshot.takenReason, let seq, seq > 0 { taken.insert(Seq(seq)) }
                if reason == Quarantine.Reason.addedByHand.rawValue, let entry { byHand.insert(entry) }
            }
            guard letters.count == 1000, let last = letters.last, let id = EntryID(try last[0].requireString()) else {
                return (taken, byHand)
            }
            from = id.successor.description
        }
    }

    /// The replies of a transaction's commands.
    package static func transaction(_ reply: RedisReply) throws(RedisError) -> RedisReply.Elements {
        if let error = reply.error { throw .reply(error) }
        return try reply.requireArray(count: 2)
    }

    package static func seq(_ reply: RedisReply, _ group: Group) throws -> Seq {
        if reply.isNull { return .none }
        if let error = reply.error { throw Trouble(text: "the position of \(group.name) can't be read: \(error)") }
        guard let number = reply.string.flatMap({ Int64($0) }), number >= 0 else {
            throw Trouble(text: "the position of \(group.name) is no number")
        }
        return Seq(number)
    }

    private static func hash(_ reply: RedisReply) -> [Name: String]? {
        guard reply.kind == .array else { return nil }
        var hash: [Name: String] = [:]
        hash.reserveCapacity(reply.count / 2)
        for index in stride(from: 0, to: reply.count - 1, by: 2) {
            hash[Name(reply[index].repairedText ?? "?")] = reply[index + 1].repairedText ?? "?"
        }
        return hash
    }
}
