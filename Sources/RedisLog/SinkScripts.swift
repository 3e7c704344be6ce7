import Faults
package import OrderLog
package import RedisClient
import ThreadedIO

/// The scripts by which the sinks in Redis are fenced, changed and acknowledged, over one connection.
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
                    arguments: [history.epoch.description, history.replid, owner.text, group.rawValue],
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

    /// Applies a batch to the stock counters.
    package func applyStock(_ batch: Batch) throws -> ApplyOutcome {
        let fold = StockFold(batch.applied)
        var shops: [String: RedisArguments] = [:]
        var counts: [String: Int] = [:]
        for step in fold.steps {
            shops[step.shop, default: []].append(step.isAbsolute ? "set" : "add")
            shops[step.shop, default: []].append(step.sku)
            shops[step.shop, default: []].append(step.quantity)
            counts[step.shop, default: 0] += 1
        }
        var names = keys(of: batch)
        var arguments = arguments(of: batch)
        for (shop, steps) in shops {
            names.append(keys.stock(batch.permit.partition, shop: shop))
            arguments.append(counts[shop] ?? 0)
            arguments.append(contentsOf: steps)
        }
        return try apply(Scripts.stock, names, arguments)
    }

    /// Pushes a batch's delivery jobs.
    package func applyDelivery(_ batch: Batch) throws -> ApplyOutcome {
        let partition = batch.permit.partition
        var names = keys(of: batch)
        names.append(keys.deliveries(partition))
        var arguments = arguments(of: batch)
        for entry in batch.applied {
            if let job = DeliveryJob.json(for: entry, in: partition) { arguments.append(job) }
        }
        return try apply(Scripts.delivery, names, arguments)
    }

    /// Acknowledges entries under the permit's history.
    ///
    /// - Parameters:
    ///   - entries: Those that the sink has applied or set aside.
    ///   - permit: The right under which that happened.
    ///   - isBoundByPosition: Whether nothing above the group's position in Redis is acknowledged.
    /// - Returns: false when the history is another by now.
    /// - Throws: ``StoreError``, or a fault that a test injected.
    package func acknowledge(
        _ entries: [Acknowledgement], under permit: Permit, isBoundByPosition: Bool
    ) throws -> Bool {
        let partition = permit.partition
        var names = [keys.head(partition), keys.log(partition)]
        if isBoundByPosition { names.append(keys.position(partition, group)) }
        var arguments: RedisArguments = [permit.history.epoch.description, permit.history.replid, group.rawValue]
        for entry in entries {
            arguments.append(entry.seq?.description ?? "")
            arguments.append(entry.entry.description)
        }
        try Faults.pass(.beforeAck)
        let reply = try evaluate(Scripts.acknowledge, names, arguments, sent: .ackSent)
        try Faults.pass(.afterAck)
        return try translatingRedisErrors { () throws(RedisError) in
            try reply.requireArray().first?.string == "ACKNOWLEDGED"
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
            batch.first.description, batch.last.description, batch.lastEntry?.description ?? "", group.rawValue,
        ]
        let acknowledged = batch.placedIDs
        arguments.append(acknowledged.count)
        for entry in acknowledged { arguments.append(entry.id.description) }
        arguments.append(batch.deadLetters.count)
        for letter in batch.deadLetters {
            let fields = letter.entry.fields
            arguments.append(letter.entry.id.description)
            arguments.append(letter.seq == nil ? "0" : "1")
            arguments.append(2 * fields.count + 6)
            for field in fields {
                arguments.append(field.name)
                arguments.append(field.value)
            }
            arguments.append(contentsOf: [
                "entry", letter.entry.id.description, "reason", letter.quarantine.reason.rawValue, "error",
                letter.quarantine.error,
            ])
        }
        return arguments
    }

    private func apply(
        _ script: RedisScript, _ names: [String], _ arguments: RedisArguments
    ) throws -> ApplyOutcome {
        try Faults.pass(.beforeScript)
        let reply = try evaluate(script, names, arguments, sent: .scriptSent)
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

    /// As `RedisConnection.evaluate`, with a fault point while the answer is awaited.
    private func evaluate(
        _ script: RedisScript, _ names: [String], _ arguments: RedisArguments, sent point: FaultPoint
    ) throws -> RedisReply {
        let deadline = Deadline.after(StreamLog.timeout)
        try translatingRedisErrors { () throws(RedisError) in
            try connection.load(script, until: deadline)
            connection.sendEvaluate(script, keys: names, arguments: arguments)
            try connection.flush(until: deadline)
        }
        try Faults.pass(point)
        return try translatingRedisErrors { () throws(RedisError) in
            let reply = try connection.receive(until: deadline)
            guard let error = reply.error else { return reply }
            guard error.isMissingScript else { throw .reply(error) }
            return try connection.evaluate(script, keys: names, arguments: arguments, until: deadline)
        }
    }
}
