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
            /// Admission is on, and stock doesn't cover it: it is not in the log, and may be later.
            case refused
        }

        package let outcome: Outcome
        /// Its place in the log; of one that was refused the last place that the log had then.
        package let seq: Seq
        package let entry: EntryID
        /// What wasn't covered of a change that was refused.
        package let shortages: [Shortage]

        package init(outcome: Outcome, seq: Seq, entry: EntryID) {
            self.outcome = outcome
            self.seq = seq
            self.entry = entry
            shortages = []
        }

        package init(refusedFor shortages: [Shortage], behind last: Seq) {
            (outcome, seq, entry) = (.refused, last, .zero)
            self.shortages = shortages
        }

        /// Whether it is in the log, now or before: nothing is known by its ID otherwise, or something else.
        package var isInLog: Bool { outcome == .accepted || outcome == .duplicate }
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
        /// What may be sold of a shop is being counted anew; nothing was done.
        case counting(shop: String)
        /// What may be sold can't be told, and why; nothing was done.
        case uncountable(String)
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
    ///   - call: Changes of this partition.
    ///   - partition: Where the changes' shops belong.
    package func send(_ call: AppendCall, to partition: Partition) {
        connection.sendEvaluate(Scripts.append, keys: names(partition), arguments: arguments(call))
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
                throw .reply(error.refusing(in: Scripts.append))
            }
            return try decode(reply)
        }
    }

    /// Sends a call and waits for its answer; loads the script where it is missing.
    package func append(
        _ call: AppendCall, to partition: Partition, until deadline: Deadline
    ) throws(StoreError) -> Reply {
        try translatingRedisErrors { () throws(RedisError) in
            let reply = try connection.evaluate(
                Scripts.append, keys: names(partition), arguments: arguments(call), until: deadline)
            return try decode(reply)
        }
    }

    /// Sends changes, at most ``Limits/appendChangesMax``, and waits for the answer.
    package func append(
        _ changes: some Collection<Change>, to partition: Partition, until deadline: Deadline
    ) throws(StoreError) -> Reply {
        var call = AppendCall()
        for change in changes { call.append(change) }
        return try append(call, to: partition, until: deadline)
    }

    private func names(_ partition: Partition) -> [String] {
        [keys.head(partition), keys.log(partition), keys.seen(partition), keys.seenBefore(partition)]
    }

    private func arguments(_ call: AppendCall) -> RedisArguments {
        var arguments: RedisArguments = [identity.log, identity.partitioning.count, windowMilliseconds]
        arguments.append(identity.format >= .names ? "1" : "")
        call.write(into: &arguments)
        return arguments
    }

    private func decode(_ reply: RedisReply) throws(RedisError) -> Reply {
        let answer = try ScriptReply(reply)
        switch answer.code {
        case "CLOSED": return .closed
        case "NOLOG": return .noLog
        case "MISMATCH": return .mismatch
        case "COUNTING": return .counting(shop: try answer.string(1))
        case "UNCOUNTABLE": return .uncountable(try answer.string(1))
        case "OK": break
        default: throw answer.unknownCode
        }
        let epoch = Epoch(try answer.number(1))
        var last = Seq(try answer.number(2))
        let results: [Result]? =
            reply.count != 4
            ? nil
            : reply[3].withBytes { text in
                var results: [Result] = []
                results.reserveCapacity(text.count / 16)
                for line in text.split(separator: UInt8(ascii: "\n")) {
                    guard let result = Result(UnsafeRawBufferPointer(rebasing: line), after: last) else { return nil }
                    if result.outcome == .accepted { last = result.seq }
                    results.append(result)
                }
                return results
            }
        guard let results else {
            throw .protocolViolation("an entry's ID, or an outcome, a seq and an entry's ID, of append.lua")
        }
        return .appended(epoch: epoch, results)
    }
}

/// The changes of one call, written down as `append.lua` takes them: what changes have in common is said once for all that
/// follow each other.
///
/// Made while the call before it is under way, and kept until it is answered: it is sent again as it is.
package struct AppendCall: Sendable {
    /// What changes have in common.
    private struct Shape: Hashable {
        let kind: Change.Kind
        /// Compared by its bytes.
        let shop: Name
        /// Whether the IDs hold what is encoded in the window's names.
        let hasEncodedIDs: Bool
        let hasCustomer, hasOrder, hasAttributes: Bool

        init(_ change: Change) {
            (kind, shop) = (change.kind, Name(change.shop))
            hasEncodedIDs = NameEncoding.isEncodedInWindow(change.id)
            (hasCustomer, hasOrder) = (change.customer != nil, change.order != nil)
            hasAttributes = change.attributes != nil
        }

        func write(into arguments: inout RedisArguments) {
            let fields = [
                hasCustomer ? "customer" : nil, hasOrder ? "order" : nil, "lines", hasAttributes ? "attributes" : nil,
            ]
            .compactMap { $0 }
            arguments.append(kind.rawValue)
            arguments.append(shop.text)
            arguments.append(hasEncodedIDs ? "1" : "")
            arguments.append(fields.count)
            arguments.append(contentsOf: fields)
        }
    }

    package private(set) var count = 0
    private var shapes: [Shape] = []
    private var numbers: [Shape: Int] = [:]
    /// The groups but for the last.
    private var groups = RedisArguments()
    /// The last one: its shape's number, its hash, and its changes.
    private var last = (shape: 0, hash: 0, count: 0, changes: RedisArguments())

    /// A call of no changes.
    package init() {}

    /// Adds a change behind the others, of which there are less than ``Limits/appendChangesMax``.
    package mutating func append(_ change: Change) {
        precondition(count < Limits.appendChangesMax, "a call takes a bounded number of changes")
        count += 1
        let shape = number(of: Shape(change))
        let hash = NameEncoding.windowHash(shop: change.shop, id: change.id)
        if last.count > 0, last.shape != shape || last.hash != hash {
            close(into: &groups)
            last.count = 0
            last.changes.removeAll()
        }
        (last.shape, last.hash) = (shape, hash)
        last.count += 1
        last.changes.append(Digest(of: change))
        last.changes.append(change.id)
        if let customer = change.customer { last.changes.append(customer) }
        if let order = change.order { last.changes.append(order) }
        last.changes.append(change.lines.text)
        if let attributes = change.attributes { last.changes.append(attributes) }
    }

    private mutating func number(of shape: Shape) -> Int {
        if last.shape > 0, shapes[last.shape - 1] == shape { return last.shape }
        if let number = numbers[shape] { return number }
        shapes.append(shape)
        numbers[shape] = shapes.count
        return shapes.count
    }

    private func close(into arguments: inout RedisArguments) {
        guard last.count > 0 else { return }
        arguments.append(last.shape)
        arguments.append(last.hash)
        arguments.append(last.count)
        arguments.append(contentsOf: last.changes)
    }

    fileprivate func write(into arguments: inout RedisArguments) {
        arguments.append(shapes.count)
        for shape in shapes { shape.write(into: &arguments) }
        arguments.append(contentsOf: groups)
        close(into: &arguments)
    }
}

extension Digest: RedisArgument {
    /// 16 bytes.
    package func write(into bytes: inout [UInt8]) { write(to: &bytes) }
}

extension Appender.Result {
    /// Reads `1763905351204-0`, of a change that was accepted behind `last`, `duplicate 12 1763905351204-0`, or
    /// `refused TEA-250:3:1`.
    fileprivate init?(_ text: UnsafeRawBufferPointer, after last: Seq) {
        if let entry = EntryID(text: text) {
            self.init(outcome: .accepted, seq: last.next, entry: entry)
            return
        }
        let space = UInt8(ascii: " ")
        guard let outcomeEnd = text.firstIndex(of: space),
            let outcome = Outcome(rawValue: String(decoding: text[..<outcomeEnd], as: UTF8.self))
        else { return nil }
        if outcome == .refused {
            let words = text[(outcomeEnd + 1)...].split(separator: space)
            let shortages = words.compactMap { Shortage(word: $0) }
            guard shortages.count == words.count, !shortages.isEmpty else { return nil }
            self.init(refusedFor: shortages, behind: last)
            return
        }
        guard let seqEnd = text[(outcomeEnd + 1)...].firstIndex(of: space),
            let seq = UInt64(digits: text[(outcomeEnd + 1)..<seqEnd]).flatMap({ Int64(exactly: $0) }),
            let entry = EntryID(text: UnsafeRawBufferPointer(rebasing: text[(seqEnd + 1)...]))
        else { return nil }
        self.init(outcome: outcome, seq: Seq(seq), entry: entry)
    }
}
