import OrderLog
import RedisClient
import ThreadedIO

/// Counts what a sink in Redis holds, and compares it with the sum that its position keeps.
///
/// The sum is written as a value in the step that changes the sink. Half of such a step, executed when the server loads
/// an append-only file, leaves the two apart; so does a hand.
struct SinkCount {
    /// Counters, or keys, that the server looks at in one call: a millisecond or less.
    private static let slice = 1000
    /// A scan may meet a counter twice while the server moves a hash: a difference counts when it is found again.
    private static let counts = 3

    let connection: RedisConnection
    let keys: Keys
    let group: Group
    let effect: SinkScripts.Effect

    /// Compares, unless that was done in this epoch.
    ///
    /// - Parameter permit: The right under which the partition was just taken over: while it holds, nobody changes the sink.
    /// - Returns: What came of it.
    /// - Throws: ``RedisError``; also when a counter is no whole number.
    func compare(under permit: Permit) throws(RedisError) -> CheckOutcome {
        let key = keys.position(permit.partition, group)
        let reply = try connection.call(
            RedisCommand("HMGET", key, "seq", "sum", "counted", "checked"), until: .after(StreamLog.timeout)
        ).requireArray(count: 4)
        guard let seq = reply[0].string else { return .moved }
        if reply[3].string == permit.history.epoch.description { return .agrees }
        let isSummed = !reply[1].isNull && reply[2].string == seq
        var last: String?
        for _ in 0..<Self.counts {
            let counted = try count(permit.partition, allKeys: !isSummed && last == nil)
            // What is written down must have been counted twice, too.
            if !isSummed, counted != last {
                last = counted
                continue
            }
            switch try settle(permit, seq: seq, counted: counted) {
            case .differs where counted != last: last = counted
            case let outcome: return outcome
            }
        }
        return .differs("the counters change while they are counted")
    }

    private func settle(_ permit: Permit, seq: String, counted: String) throws(RedisError) -> CheckOutcome {
        let reply = try ScriptReply(
            try connection.evaluate(
                Scripts.check, keys: [keys.head(permit.partition), keys.position(permit.partition, group)],
                arguments: [
                    permit.history.epoch.description, permit.history.replid, permit.token.description,
                    permit.owner.text, seq, counted, effect.isStock ? "equal" : "bound",
                ], until: .after(StreamLog.timeout)))
        switch reply.code {
        case "AGREES": return .agrees
        case "HISTORY", "MOVED": return .moved
        case "DIFFERS":
            let sum = try reply.string(1)
            return .differs(
                effect.isStock
                    ? "the stock counters come to the sum \(counted), and the position at seq \(seq) to \(sum): a part of a "
                        + "batch counts twice or not at all, or a counter was changed by hand. onewrite audit names the SKUs"
                    : "the list of deliveries holds \(counted) jobs, and \(sum) were pushed up to seq \(seq): a batch is in "
                        + "it twice, or jobs were added by hand")
        default: throw reply.unknownCode
        }
    }

    /// What there is to count; looks for shops among all keys where older builds didn't keep a list of them.
    private func count(_ partition: Partition, allKeys: Bool) throws(RedisError) -> String {
        switch effect {
        // Nothing that could be counted.
        case .elsewhere, .own: return "0"
        case .delivery:
            let key = keys.deliveries(partition)
            return String(try ask(RedisCommand("LLEN", key), of: key).requireInteger())
        case .stock:
            if allKeys { try listShops(partition) }
            var sum = StockSum()
            try scan("SSCAN", keys.shops(partition)) { reply throws(RedisError) in
                for shop in reply.elements.compactMap(\.string) { try add(partition, shop, to: &sum) }
            }
            return String(sum.value)
        }
    }

    private func add(_ partition: Partition, _ shop: String, to sum: inout StockSum) throws(RedisError) {
        let weights = StockSum.Weights(shop: shop)
        let key = keys.stock(partition, shop: shop)
        try scan("HSCAN", key) { reply throws(RedisError) in
            var strange: String?
            try reply.forEachPair { sku, value in
                guard let quantity = Self.wholeNumber(value) else {
                    strange = String(decoding: sku, as: UTF8.self)
                    return
                }
                sum.add(quantity, weight: weights.weight(of: sku))
            }
            if let strange {
                throw .reply(RedisReplyError(text: "STALLED \(key) \(strange): not a whole number"))
            }
        }
    }

    private func listShops(_ partition: Partition) throws(RedisError) {
        // A namespace holds nothing that a pattern would take for more than itself.
        let prefix = keys.stock(partition, shop: "")
        try scan("SCAN", nil, ["MATCH", prefix + "*"]) { reply throws(RedisError) in
            let shops = reply.elements.compactMap { $0.string.map { String($0.dropFirst(prefix.count)) } }
            guard !shops.isEmpty else { return }
            var command = RedisCommand("SADD", keys.shops(partition))
            for shop in shops { command.append(shop) }
            _ = try connection.call(command, until: .after(StreamLog.timeout)).requireInteger()
        }
    }

    /// Calls `body` with each slice of a scan.
    private func scan(
        _ name: String, _ key: String?, _ options: [String] = [], _ body: (RedisReply) throws(RedisError) -> Void
    ) throws(RedisError) {
        var cursor = "0"
        repeat {
            var command = RedisCommand(name)
            if let key { command.append(key) }
            command.append(cursor)
            command.append(contentsOf: options + ["COUNT", String(Self.slice)])
            let reply = try ask(command, of: key ?? "").requireArray(count: 2)
            cursor = try reply[0].requireString()
            try body(reply[1])
        } while cursor != "0"
    }

    private func ask(_ command: RedisCommand, of key: String) throws(RedisError) -> RedisReply {
        do {
            return try connection.call(command, until: .after(StreamLog.timeout))
        } catch .reply(let error) where error.code == "WRONGTYPE" {
            throw .reply(RedisReplyError(text: "STALLED \(key): \(error)"))
        }
    }

    private static func wholeNumber(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        Int64(String(decoding: bytes, as: UTF8.self))
    }
}
