package import OrderLog
package import RedisClient
import ThreadedIO

/// Which shops admit orders only as far as stock covers them, and what each of them may still sell.
///
/// What may be sold is stock as it will be when all that is in the log is applied. The append takes and gives; here it is turned on
/// and off, counted, and compared. Each step is a script, of one moment and under one history.
package struct AdmissionBook {
    /// How far a shop's counting is.
    package struct State: Hashable, Sendable {
        package enum Phase: String, Sendable, Encodable {
            /// Orders are refused that aren't covered.
            case on
            /// It is counted for the first time; nothing is refused yet.
            case starting
            /// It is counted anew, and orders wait for that.
            case counting
            case off
        }

        package static let off = State(text: "")

        /// As it is written down: each counting that begins has another.
        let text: String

        package var phase: Phase {
            text.split(separator: " ").first.flatMap { Phase(rawValue: String($0)) }
                ?? (text.isEmpty ? .off : .counting)
        }
    }

    package enum Wish: String, Sendable {
        case on, off
        /// To be counted anew.
        case anew
    }

    /// A SKU of which something else may be sold than stock and log give.
    package struct Difference: Hashable, Sendable {
        package let sku: String
        package let expected: String
        package let found: String
    }

    /// What came of a step.
    package enum Outcome<Value> {
        case done(Value)
        /// The log is closed, or was opened anew: look again.
        case historyChanged
        /// Admission is off.
        case off
        /// Stock has to apply so many entries first, less than ``AdmissionBook/behindMax``.
        case behind(Int64)
        /// Something is there that no number can be made of.
        case uncountable(String)
    }

    /// So many entries that stock has yet to apply are folded in one step: some 5 ms of the server's time.
    package static let behindMax = 5000
    /// SKUs in one step.
    private static let slice = 500

    private let redis: RedisConnection
    private let keys: Keys

    package init(_ redis: RedisConnection, _ keys: Keys) { (self.redis, self.keys) = (redis, keys) }

    /// Whether any shop of a partition has it, by the head alone: for whoever has no rights on the keys where none has.
    package func isUsed(in partition: Partition) throws(RedisError) -> Bool {
        let reply = try redis.call(
            RedisCommand("HMGET", keys.head(partition), "admission"), until: .after(StreamLog.timeout))
        if let error = reply.error { throw .reply(error) }
        return reply.elements.first?.isNull == false
    }

    /// The partition's shops that have it.
    ///
    /// - Parameter partition: Which.
    /// - Returns: By name.
    /// - Throws: ``RedisError``.
    package func states(in partition: Partition) throws(RedisError) -> [(shop: String, state: State)] {
        let reply = try redis.call(
            RedisCommand("HGETALL", keys.admission(partition)), until: .after(StreamLog.timeout))
        if let error = reply.error { throw .reply(error) }
        var states: [(shop: String, state: State)] = []
        for index in stride(from: 0, to: reply.count - 1, by: 2) {
            states.append((try reply[index].requireString(), State(text: try reply[index + 1].requireString())))
        }
        return states.sorted { Name($0.shop) < Name($1.shop) }
    }

    /// Turns it on or off, or has it counted anew.
    ///
    /// - Parameters:
    ///   - wish: What is wanted; turned on where it is on, and off where it is off, nothing changes.
    ///   - shop: Whose.
    ///   - partition: The shop's.
    ///   - history: The log's.
    /// - Returns: The state from then on.
    /// - Throws: ``RedisError``.
    package func change(
        _ wish: Wish, _ shop: String, in partition: Partition, under history: History
    ) throws(RedisError) -> Outcome<State> {
        try change(wish.rawValue, shop, partition, history)
    }

    private func change(
        _ wish: String, _ shop: String, _ partition: Partition, _ history: History, _ more: [String] = []
    ) throws(RedisError) -> Outcome<State> {
        var arguments: RedisArguments = [history.epoch.description, history.replid, shop, wish]
        arguments.append(contentsOf: more)
        let names = [keys.head(partition), keys.admission(partition), keys.available(partition, shop: shop)]
        let reply = try ScriptReply(
            try redis.evaluate(Scripts.admission, keys: names, arguments: arguments, until: .after(StreamLog.timeout)))
        switch reply.code {
        case "HISTORY": return .historyChanged
        case "STATE": return .done(State(text: try reply.string(1)))
        default: throw reply.unknownCode
        }
    }

    /// Counts what may be sold, and has it heeded then.
    ///
    /// SKU by SKU while the log goes on: an append that comes in between changes what was counted, and what wasn't is counted with
    /// it. What comes before the counting began is in the stock, or among the entries that stock has yet to apply.
    ///
    /// - Parameters:
    ///   - shop: Whose.
    ///   - partition: The shop's.
    ///   - state: As it was read: if another counting has begun, this one ends without effect.
    ///   - history: The log's.
    /// - Returns: The state from then on: another than ``State/Phase/on`` if another counting has begun.
    /// - Throws: ``RedisError``.
    package func count(
        _ shop: String, in partition: Partition, begun state: State, under history: History
    ) throws(RedisError) -> Outcome<State> {
        let outcome = try walk(shop, partition, history, "count") { _ in }
        guard case .done = outcome else { return outcome.failed() }
        return try change("counted", shop, partition, history, [state.text])
    }

    /// Compares what may be sold with stock and log.
    ///
    /// - Parameters:
    ///   - shop: Whose.
    ///   - partition: The shop's.
    ///   - history: The log's.
    /// - Returns: How many SKUs there are, and which of them differ.
    /// - Throws: ``RedisError``.
    package func compare(
        _ shop: String, in partition: Partition, under history: History
    ) throws(RedisError) -> Outcome<(compared: Int, differing: [Difference])> {
        var differing: [Difference] = []
        let outcome = try walk(shop, partition, history, "compare") { reply throws(RedisError) in
            for index in stride(from: 1, to: reply.count - 2, by: 3) {
                differing.append(
                    Difference(
                        sku: try reply.string(index), expected: try reply.string(index + 1),
                        found: try reply.string(index + 2)))
            }
        }
        guard case .done(let count) = outcome else { return outcome.failed() }
        return .done((count, differing))
    }

    /// What may be sold of some SKUs of a shop, and how many there are.
    ///
    /// - Parameters:
    ///   - shop: Whose.
    ///   - partition: The shop's.
    ///   - skus: Which; empty for all.
    /// - Returns: SKU → may be sold, on hand; nil where nothing is known of it.
    /// - Throws: ``RedisError``.
    package func numbers(
        of shop: String, in partition: Partition, _ skus: [String]
    ) throws(RedisError) -> [(sku: String, available: Int64?, onHand: Int64?)] {
        var names = skus
        if names.isEmpty {
            var all: Set<Name> = []
            try forEachSlice(of: shop, partition) { slice throws(RedisError) in
                for sku in slice { all.insert(Name(sku)) }
                return true
            }
            names = all.sorted().map(\.text)
        }
        var rows: [(sku: String, available: Int64?, onHand: Int64?)] = []
        for start in stride(from: 0, to: names.count, by: Self.slice) {
            let slice = names[start..<min(start + Self.slice, names.count)]
            let replies = try redis.pipeline(
                [keys.available(partition, shop: shop), keys.stock(partition, shop: shop)].map { key in
                    var command = RedisCommand("HMGET", key)
                    command.append(contentsOf: Array(slice))
                    return command
                }, until: .after(StreamLog.timeout))
            for reply in replies { if let error = reply.error { throw .reply(error) } }
            for (index, sku) in slice.enumerated() {
                let values = replies.map { $0[index].string.flatMap { Int64($0) } }
                rows.append((sku, values[0], values[1]))
            }
        }
        return rows
    }

    // MARK: -

    /// Does a step for all SKUs that there are.
    ///
    /// - Returns: How many SKUs there were.
    private func walk(
        _ shop: String, _ partition: Partition, _ history: History, _ wish: String,
        _ take: (ScriptReply) throws(RedisError) -> Void
    ) throws(RedisError) -> Outcome<Int> {
        let known = try step(shop, partition, history, "known", [])
        guard case .done(let reply) = known else { return known.failed() }
        var ofTail: [String] = []
        for index in 1..<reply.count { ofTail.append(try reply.string(index)) }
        var (count, failure): (Int, Outcome<Int>?) = (0, nil)
        func visit(_ slice: [String]) throws(RedisError) -> Bool {
            let outcome = try step(shop, partition, history, wish, slice)
            guard case .done(let reply) = outcome else {
                failure = outcome.failed()
                return false
            }
            count += slice.count
            try take(reply)
            return true
        }
        var seen = Set(ofTail.map(Name.init))
        for start in stride(from: 0, to: ofTail.count, by: Self.slice) where failure == nil {
            _ = try visit(Array(ofTail[start..<min(start + Self.slice, ofTail.count)]))
        }
        guard failure == nil else { return failure ?? .historyChanged }
        try forEachSlice(of: shop, partition) { slice throws(RedisError) in
            let fresh = slice.filter { seen.insert(Name($0)).inserted }
            return fresh.isEmpty ? true : try visit(fresh)
        }
        return failure ?? .done(count)
    }

    private func step(
        _ shop: String, _ partition: Partition, _ history: History, _ wish: String, _ skus: [String]
    ) throws(RedisError) -> Outcome<ScriptReply> {
        var arguments: RedisArguments = [
            history.epoch.description, history.replid, shop, Self.behindMax, wish,
        ]
        arguments.append(contentsOf: skus)
        let names = [
            keys.head(partition), keys.log(partition), keys.position(partition, .stock),
            keys.stock(partition, shop: shop), keys.admission(partition), keys.available(partition, shop: shop),
        ]
        let reply = try ScriptReply(
            try redis.evaluate(
                Scripts.admissionCount, keys: names, arguments: arguments, until: .after(StreamLog.timeout)))
        switch reply.code {
        case "HISTORY": return .historyChanged
        case "OFF": return .off
        case "BEHIND": return .behind(try reply.number(1))
        case "UNCOUNTABLE": return .uncountable(try reply.string(1))
        case "KNOWN", "COUNTED", "COMPARED": return .done(reply)
        default: throw reply.unknownCode
        }
    }

    /// The SKUs of the stock, and then those that may be sold, a slice at a time; some twice.
    ///
    /// - Parameters:
    ///   - shop: Whose.
    ///   - partition: The shop's.
    ///   - body: Returns whether it wants more.
    /// - Throws: What `body` throws, and ``RedisError``.
    private func forEachSlice(
        of shop: String, _ partition: Partition, _ body: ([String]) throws(RedisError) -> Bool
    ) throws(RedisError) {
        for key in [keys.stock(partition, shop: shop), keys.available(partition, shop: shop)] {
            var cursor = "0"
            repeat {
                let reply = try redis.call(
                    RedisCommand("HSCAN", key, cursor, "COUNT", Self.slice), until: .after(StreamLog.timeout)
                ).requireArray(count: 2)
                cursor = try reply[0].requireString()
                let pairs = try reply[1].requireArray()
                var skus: [String] = []
                // A field that isn't UTF-8 is no SKU.
                for index in stride(from: 0, to: pairs.count - 1, by: 2) {
                    if let sku = pairs[index].string { skus.append(sku) }
                }
                // A small hash comes as a whole, whatever is asked for.
                for start in stride(from: 0, to: skus.count, by: Self.slice) {
                    guard try body(Array(skus[start..<min(start + Self.slice, skus.count)])) else { return }
                }
            } while cursor != "0"
        }
    }
}

extension AdmissionBook.Outcome {
    /// The same, of another kind of value: it isn't ``done(_:)``.
    fileprivate func failed<Other>() -> AdmissionBook.Outcome<Other> {
        switch self {
        case .done: preconditionFailure("only what wasn't done")
        case .historyChanged: .historyChanged
        case .off: .off
        case .behind(let count): .behind(count)
        case .uncountable(let what): .uncountable(what)
        }
    }
}
