package import OrderLog
package import RedisClient
import ThreadedIO

/// A partition's counters, made anew beside those that are in use, and put in their place in one step.
///
/// What is left of one that was given up is gone an hour later.
package struct StockShadow {
    /// What came of it.
    package enum Outcome: Hashable, Sendable {
        /// In use, where the sink had been at that seq before.
        case done(before: Seq)
        /// The log is in another history, or something is there by now that must not be: look again.
        case changed
        /// The log no longer holds what the sink would have to apply again.
        case trimmed
        /// Somebody deleted what was made: make it again.
        case lost
    }

    private static let life = "3600000"
    /// Counters in one call.
    private static let slice = 500

    private let redis: RedisConnection
    private let keys: Keys
    private let partition: Partition
    private let maker: WorkerName
    private var shops: [String] = []
    private var sum = StockSum()

    /// - Parameters:
    ///   - redis: The log's server.
    ///   - keys: The log's keys.
    ///   - partition: Which.
    ///   - maker: A name that nobody else has.
    package init(_ redis: RedisConnection, _ keys: Keys, _ partition: Partition, by maker: WorkerName) {
        (self.redis, self.keys, self.partition, self.maker) = (redis, keys, partition, maker)
    }

    /// Writes a shop's counters.
    ///
    /// - Parameters:
    ///   - shop: Not written before.
    ///   - onHand: SKU → on hand; not empty.
    /// - Throws: ``RedisError``.
    package mutating func write(_ shop: String, _ onHand: [Name: Int64]) throws(RedisError) {
        let key = keys.stockShadow(partition, shop: shop, by: maker)
        let weights = StockSum.Weights(shop: shop)
        let all = Array(onHand)
        var commands: [RedisCommand] = []
        for start in stride(from: 0, to: all.count, by: Self.slice) {
            var command = RedisCommand("HSET", key)
            for (sku, quantity) in all[start..<min(start + Self.slice, all.count)] {
                command.append(sku.text)
                command.append(String(quantity))
                sum.add(quantity, weight: weights.weight(of: sku.text))
            }
            commands.append(command)
        }
        commands.append(RedisCommand("PEXPIRE", key, Self.life))
        for reply in try redis.pipeline(commands, until: .after(StreamLog.timeout)) {
            if let error = reply.error { throw .reply(error) }
        }
        shops.append(shop)
    }

    /// Puts them in the place of those in use.
    ///
    /// - Parameters:
    ///   - position: What they are of.
    ///   - history: The log's.
    ///   - former: The shops that have counters now.
    /// - Returns: What came of it.
    /// - Throws: ``RedisError``.
    package func swapIn(
        _ position: Position, under history: History, former: some Sequence<Name>
    ) throws(RedisError) -> Outcome {
        let gone = Set(former).subtracting(shops.map(Name.init)).sorted()
        let arguments: RedisArguments = [
            history.epoch.description, history.replid, position.seq.description, position.entry?.description ?? "",
            String(sum.value), maker.text, shops.count,
        ]
        let names =
            [
                keys.head(partition), keys.log(partition), keys.position(partition, .stock), keys.shops(partition),
            ] + pairs + gone.map { keys.stock(partition, shop: $0.text) }
        let reply = try call(Scripts.stockSwap, names, arguments)
        return reply.code == "SWAPPED" ? .done(before: Seq(try reply.number(1))) : try outcome(reply)
    }

    /// Plants the partition with them: a shut head before what has to be put back from the ledger, the positions, and the IDs
    /// that are remembered.
    ///
    /// - Parameters:
    ///   - head: The head's place, before the first entry that is to be put back.
    ///   - look: The server, as it was looked at.
    ///   - identity: The log.
    ///   - stock: The seq up to which the counters were made.
    ///   - delivery: The seq up to which jobs are not made again.
    ///   - window: The IDs.
    /// - Returns: What came of it.
    /// - Throws: ``RedisError``.
    package func plant(
        _ head: Place, on look: LogLook, of identity: LogIdentity, stock: Seq, delivery: Seq, window: WindowShadow
    ) throws(RedisError) -> Outcome {
        let arguments: RedisArguments = [
            look.replid, identity.log, String(identity.partitioning.count), head.epoch.description,
            head.seq.description, stock.description, String(sum.value), delivery.description,
            window.count > 0 ? "1" : "0",
        ]
        let names =
            [
                keys.head(partition), keys.log(partition), keys.position(partition, .stock),
                keys.position(partition, .delivery), keys.shops(partition), keys.seen(partition),
                keys.seenBefore(partition), window.key, keys.deliveries(partition),
            ] + pairs
        let reply = try call(Scripts.plant, names, arguments)
        return reply.code == "PLANTED" ? .done(before: .none) : try outcome(reply)
    }

    /// Deletes what was written and is not in use.
    package func discard() throws(RedisError) {
        for shop in shops {
            _ = try redis.call(
                RedisCommand("UNLINK", keys.stockShadow(partition, shop: shop, by: maker)),
                until: .after(StreamLog.timeout))
        }
    }

    private var pairs: [String] {
        shops.flatMap { [keys.stockShadow(partition, shop: $0, by: maker), keys.stock(partition, shop: $0)] }
    }

    private func call(
        _ script: RedisScript, _ names: [String], _ arguments: RedisArguments
    ) throws(RedisError) -> ScriptReply {
        var arguments = arguments
        for shop in shops { arguments.append(shop) }
        return try ScriptReply(
            try redis.evaluate(script, keys: names, arguments: arguments, until: .after(StreamLog.timeout)))
    }

    private func outcome(_ reply: ScriptReply) throws(RedisError) -> Outcome {
        switch reply.code {
        case "HISTORY", "CHANGED": return .changed
        case "TRIMMED": return .trimmed
        case "LOST": return .lost
        default: throw reply.unknownCode
        }
    }
}
