import Faults
package import OrderLog
package import RedisClient
import ThreadedIO

/// The scripts by which the sinks in Redis are fenced and changed, over one connection.
package struct SinkScripts {
    private let connection: RedisConnection
    private let keys: Keys
    private let group: Group

    package init(_ connection: RedisConnection, keys: Keys, group: Group) {
        self.connection = connection
        self.keys = keys
        self.group = group
    }

    /// Raises the token of a sink in Redis, and reads its position in the same step.
    package func fence(
        _ partition: Partition, under history: History, owner: WorkerName
    ) throws(StoreError) -> FenceOutcome {
        try translatingRedisErrors { () throws(RedisError) in
            let reply = try ScriptReply(
                try connection.evaluate(
                    Scripts.fence, keys: [keys.head(partition), keys.position(partition, group), keys.log(partition)],
                    arguments: [history.epoch.description, history.replid, owner.text, group.name],
                    until: .after(StreamLog.timeout)))
            switch reply.code {
            case "FENCED": break
            case "HISTORY": return .historyChanged
            case "STALLED": throw .reply(RedisReplyError(text: "STALLED \(try reply.string(1))"))
            default: throw reply.unknownCode
            }
            let permit = Permit(
                partition: partition, history: history, token: Token(try reply.number(1)), owner: owner)
            let position = Position(
                epoch: Epoch(try reply.number(2)), seq: Seq(try reply.number(3)), entry: EntryID(try reply.string(4)))
            return .fenced(permit, position)
        }
    }

    /// Compares a sink with the sum that its position keeps; see ``OrderLog/Sink/check(_:)``.
    package func check(_ permit: Permit, of effect: Effect) throws(StoreError) -> CheckOutcome {
        try translatingRedisErrors { () throws(RedisError) in
            try SinkCount(connection: connection, keys: keys, group: group, effect: effect).compare(under: permit)
        }
    }

    /// What a batch changes.
    package enum Effect: Sendable {
        /// The stock counters.
        case stock
        /// The list of delivery jobs.
        case delivery
        /// Nothing in Redis: a store elsewhere has the batch already.
        case elsewhere
        /// What a script of the user's says, which is given the changes as a JSON array.
        case own(OwnScript, changes: String)

        var isStock: Bool { if case .stock = self { true } else { false } }
    }

    /// Applies a batch in one script.
    ///
    /// - Parameters:
    ///   - batch: Not empty.
    ///   - effect: What it changes.
    ///   - meanwhile: What else there is to do while the server runs the script; it may use the same connection.
    /// - Returns: What became of it.
    /// - Throws: ``StoreError``, or a fault that a test injected.
    package func apply(
        _ batch: Batch, to effect: Effect, meanwhile: () async -> Void
    ) async throws -> ApplyOutcome {
        var names = keys(of: batch)
        var arguments = arguments(of: batch)
        switch effect {
        case .stock: addStock(batch, &names, &arguments)
        case .delivery: addJobs(batch, &names, &arguments)
        case .elsewhere: arguments.append(batch.applied.count)
        case .own(_, let changes): arguments.append(changes)
        }
        try Faults.pass(.beforeScript)
        let script =
            switch effect {
            case .stock: Scripts.stock
            case .delivery: Scripts.delivery
            case .elsewhere: Scripts.passed
            case .own(let own, _): own.script
            }
        let reply = try await connection.evaluate(script, names, arguments, sent: .scriptSent, meanwhile)
        try Faults.pass(.afterScript)
        return try translatingRedisErrors { () throws(RedisError) in
            let reply = try ScriptReply(reply)
            switch reply.code {
            case "APPLIED": return .applied
            case "HISTORY": return .historyChanged
            case "FENCED": return .fenced(by: try reply.string(2))
            case "DUPLICATE", "GAP": return .positionMoved(to: Seq(try reply.number(1)))
            case "STALLED": throw .reply(RedisReplyError(text: "STALLED \(try reply.string(1))"))
            default: throw reply.unknownCode
            }
        }
    }

    /// Runs a user's script on changes, without any effect.
    ///
    /// - Parameters:
    ///   - script: The script.
    ///   - changes: A JSON array.
    ///   - partition: Whose keys it may use.
    /// - Returns: What is wrong with it; nil when it ran.
    /// - Throws: ``StoreError`` when the server can't compile it, or can't be asked.
    package func tryOut(
        _ script: OwnScript, on changes: String, in partition: Partition
    ) throws(StoreError) -> String? {
        try translatingRedisErrors { () throws(RedisError) in
            let reply = try ScriptReply(
                try connection.evaluate(
                    script.script, keys: [keys.head(partition)], arguments: [group.name, changes],
                    until: .after(StreamLog.timeout)))
            if reply.code == "TRIED" { return nil }
            let problem = try reply.string(1)
            let error = RedisReplyError(text: problem)
            if error.isAboutRights { throw .reply(error.refusing(in: script.script)) }
            return problem
        }
    }

    private func addStock(_ batch: Batch, _ names: inout [String], _ arguments: inout RedisArguments) {
        names.append(keys.shops(batch.permit.partition))
        for shop in StockFold(batch.applied).shops {
            let weights = StockSum.Weights(shop: shop.name)
            names.append(keys.stock(batch.permit.partition, shop: shop.name))
            arguments.append(shop.name)
            arguments.append(shop.steps.count)
            for step in shop.steps {
                arguments.append(step.isAbsolute ? "set" : "add")
                arguments.append(step.sku)
                arguments.append(String(step.quantity))
                arguments.append(Int(weights.weight(of: step.sku)))
            }
        }
    }

    private func addJobs(_ batch: Batch, _ names: inout [String], _ arguments: inout RedisArguments) {
        let partition = batch.permit.partition
        names.append(keys.deliveries(partition))
        for entry in batch.applied {
            if let job = DeliveryJob.json(for: entry, in: partition) { arguments.append(job) }
        }
    }

    /// Records a batch's dead letters for a sink whose store is the user's.
    ///
    /// - Parameter batch: With dead letters.
    /// - Returns: false when the history is another by now.
    /// - Throws: ``StoreError``.
    package func setAside(_ batch: Batch) throws(StoreError) -> Bool {
        let (partition, history) = (batch.permit.partition, batch.permit.history)
        var arguments: RedisArguments = [history.epoch.description, history.replid, group.name]
        for letter in batch.deadLetters { arguments.append(letter) }
        return try translatingRedisErrors { () throws(RedisError) in
            try ScriptReply(
                try connection.evaluate(
                    Scripts.setAside,
                    keys: [keys.head(partition), keys.log(partition), keys.dead(partition, group)],
                    arguments: arguments, until: .after(StreamLog.timeout))
            ).code == "SET"
        }
    }

    // MARK: - What both sinks' scripts take and return

    private func keys(of batch: Batch) -> [String] {
        let partition = batch.permit.partition
        return [
            keys.head(partition), keys.log(partition), keys.position(partition, group), keys.dead(partition, group),
        ]
    }

    private func arguments(of batch: Batch) -> RedisArguments {
        let permit = batch.permit
        var arguments: RedisArguments = [
            permit.history.epoch.description, permit.history.replid, permit.token.description, permit.owner.text,
            batch.first.description, batch.last.description, batch.lastEntry?.description ?? "", group.name,
        ]
        let acknowledged = batch.placedIDs
        arguments.append(acknowledged.count)
        for entry in acknowledged { arguments.append(entry.id.description) }
        arguments.append(batch.deadLetters.count)
        for letter in batch.deadLetters { arguments.append(letter) }
        return arguments
    }
}

/// A script of the user's, in the frame that fences it.
package struct OwnScript: Sendable {
    let script: RedisScript

    /// - Parameters:
    ///   - name: What messages call it.
    ///   - text: Lua that returns a function of the changes and the store.
    package init(name: String, text: String) { script = Scripts.own(name, text) }
}

extension RedisArguments {
    /// A dead letter, as the scripts take one.
    fileprivate mutating func append(_ letter: Batch.DeadLetter) {
        let fields = letter.entry.fields
        append(letter.entry.id.description)
        append(letter.seq == nil ? "0" : "1")
        append(2 * fields.count + 6)
        for field in fields {
            append(field.name)
            append(field.value)
        }
        append(contentsOf: [
            "entry", letter.entry.id.description, "reason", letter.quarantine.reason.rawValue, "error",
            letter.quarantine.error,
        ])
    }
}
