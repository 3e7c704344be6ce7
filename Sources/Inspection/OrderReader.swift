import Connections
import Foundation
package import OrderLog
import PostgresClient
package import RedisClient
package import RedisLog
import ThreadedIO

/// Follows one order through the log and every sink.
package struct OrderReader {
    package let redis: RedisConnection
    package let keys: Keys
    package let partitioning: Partitioning
    /// nil when no connection to Postgres is configured, or when it can't be reached.
    package let ledger: OrderLedger?
    /// Why it can't be asked.
    package let ledgerTrouble: String?
    /// The groups whose steps are told.
    package let groups: [Group]
    /// Takes what it is at.
    package let progress: (String) -> Void

    /// As many dead letters, and jobs, are searched at most; beyond them the answer is "unknown".
    private static let deadLettersMax = 10_000
    private static let jobsMax = 100_000
    private static let chunk = 1000

    /// What Postgres told of both changes.
    private struct Account {
        var stored: OrderTrail.Stored?
        var position: Int?
        var placed: OrderLedger.Row?
        var cancelled: OrderLedger.Row?
        var incidents: [Incident]?
        var trouble: String?
    }

    /// Follows an order.
    ///
    /// - Parameters:
    ///   - id: The order's.
    ///   - shop: Whose it is.
    /// - Returns: nil when neither Postgres nor the idempotency window knows it.
    /// - Throws: `RedisError`; ```LogError``` when Postgres, which would have to know, can't be asked, and when the ID names
    ///   another change.
    package func trail(of id: String, ofShop shop: String) throws -> OrderTrail? {
        let partition = partitioning.partition(ofShop: shop)
        let cancelID = "\(id)/cancel"
        let placedSeen = try seen(NameEncoding.windowName(shop: shop, id: id), partition)
        let cancelSeen = try seen(NameEncoding.windowName(shop: shop, id: cancelID), partition)
        let account = try account(id, cancelID, shop, partition, placedSeen?.seq, cancelSeen?.seq)
        var place = Self.merged(placedSeen, account.placed?.place)
        if account.trouble != nil, place == nil {
            place = try search(id, .orderPlaced, shop, partition)
        }
        if place == nil && account.stored == nil {
            if let trouble = account.trouble {
                throw LogError(
                    .unreachable, "\(id) of shop \(shop) is not in the log, and Postgres can't tell: \(trouble)")
            }
            return nil
        }
        var cancelPlace = Self.merged(cancelSeen, account.cancelled?.place)
        // While the window remembers the order, it remembers what came later, too.
        if account.trouble != nil, placedSeen == nil, cancelPlace == nil {
            cancelPlace = try search(cancelID, .orderCancelled, shop, partition)
        }
        let placed = try way(id, "prepare", id, shop, place, partition, account, account.placed)
        var cancellation: OrderTrail.Way?
        if cancelPlace != nil || account.stored?.status == "cancelled" {
            cancellation = try way(cancelID, "cancel", id, shop, cancelPlace, partition, account, account.cancelled)
        }
        let returns = try returns(of: id, shop, partition, account)
        return OrderTrail(
            id: id, shop: shop, partition: partition.number, stored: account.stored, postgresError: account.trouble,
            placed: placed, cancellation: cancellation, returns: returns,
            incidents: account.incidents?.filter { incident in
                ([placed, cancellation] + returns).contains {
                    incident.seqs?.contains(Int64($0?.place?.seq ?? 0)) == true
                }
            })
    }

    /// As many returns are looked for.
    static let returnsMax = 100

    /// The returns that the idempotency window remembers; an order has its first before its second.
    private func returns(
        of id: String, _ shop: String, _ partition: Partition, _ account: Account
    ) throws -> [OrderTrail.Way] {
        var returns: [OrderTrail.Way] = []
        for number in 1...Self.returnsMax {
            let returnID = Change.returnID(number, of: id)
            guard let place = try seen(NameEncoding.windowName(shop: shop, id: returnID), partition) else { break }
            let told = account.trouble == nil ? ledger : nil
            let row = try told?.change(returnID, ofShop: shop, partition: partition, seq: place.seq)
            returns.append(
                try way(returnID, "return", id, shop, Self.merged(place, row?.place), partition, account, row))
        }
        return returns
    }

    /// Looks in the log itself, from end to end.
    package func search(
        _ id: String, _ type: Change.Kind, _ shop: String, _ partition: Partition
    ) throws(RedisError) -> OrderTrail.LogPlace? {
        try LogSearch(redis: redis, keys: keys, progress: progress).entries(of: id, type, ofShop: shop, in: [partition])
            .first?.place
    }

    /// Redis knows the entry's present ID, Postgres the epoch.
    private static func merged(
        _ seen: OrderTrail.LogPlace?, _ row: OrderTrail.LogPlace?
    ) -> OrderTrail.LogPlace? {
        guard var place = seen else { return row }
        if row?.seq == place.seq { place.epoch = row?.epoch }
        return place
    }

    /// What the idempotency window knows.
    package func seen(_ name: String, _ partition: Partition) throws(RedisError) -> OrderTrail.LogPlace? {
        let known = try IdempotencyWindow(redis, keys).known(
            [name], in: partition, until: .after(SnapshotReader.timeout))
        return known.first?.map { OrderTrail.LogPlace(seq: Int($0.seq.number), entry: $0.entry.description) }
    }

    private func account(
        _ id: String, _ cancelID: String, _ shop: String, _ partition: Partition, _ placedSeq: Int?, _ cancelSeq: Int?
    ) throws(PostgresError) -> Account {
        var account = Account(trouble: ledgerTrouble)
        guard let ledger else { return account }
        do throws(PostgresError) {
            account.position = try ledger.position(partition)
            account.incidents = try IncidentBook(postgres: ledger.postgres).incidents(in: partition)
            let order = try ledger.order(id, ofShop: shop)
            account.stored = order?.stored
            if let seq = placedSeq ?? order?.seq {
                account.placed = try ledger.change(id, ofShop: shop, partition: partition, seq: seq)
            } else {
                account.placed = try ledger.deadLetter(id, ofShop: shop, partition: partition)
            }
            if let cancelSeq {
                account.cancelled = try ledger.change(cancelID, ofShop: shop, partition: partition, seq: cancelSeq)
            } else if let order, order.stored.status == "cancelled" {
                account.cancelled = try ledger.change(
                    cancelID, ofShop: shop, partition: partition, behind: order.seq)
            }
        } catch {
            if case .interrupted = error { throw error }
            account.trouble = "\(error)"
        }
        return account
    }

    // MARK: - One change

    private func way(
        _ id: String, _ job: String, _ order: String, _ shop: String, _ place: OrderTrail.LogPlace?,
        _ partition: Partition, _ account: Account, _ row: OrderLedger.Row?
    ) throws -> OrderTrail.Way {
        guard var place else {
            return OrderTrail.Way(
                id: id, place: nil, steps: groups.map { OrderTrail.Step(group: $0, state: .unknown) },
                job: .unknown)
        }
        var questions = Questions()
        let log = keys.log(partition)
        let entry = questions.ask(RedisCommand("XRANGE", log, place.entry, place.entry))
        let positions = groups.filter { $0 != .postgres }.map { group in
            (group, questions.ask(RedisCommand("HGET", keys.position(partition, group), "seq")))
        }
        let pendings = groups.map { group in
            (group, questions.ask(RedisCommand("XPENDING", log, group.name, place.entry, place.entry, 1)))
        }
        let replies = try redis.pipeline(questions.commands, until: .after(SnapshotReader.timeout))
        let fields = replies[entry].elements.first.map(EntryFields.init(ofEntry:))
        if place.epoch == nil, fields?.seq == place.seq {
            place.epoch = fields?.text("epoch").flatMap { Int($0) }
        }
        let type = row?.type ?? (fields?.seq == place.seq ? fields?.text("type") : nil)
        if job == "prepare", let type, type != Change.Kind.orderPlaced.rawValue {
            throw LogError(.no, "\(id) of shop \(shop) is the ID of another change, not of an order")
        }
        var reached: [Group: Int] = [.postgres: account.position].compactMapValues { $0 }
        for (group, ticket) in positions where replies[ticket].error == nil {
            // A sink of one's own may keep its position elsewhere.
            let absent = Group.builtIn.contains(group) ? 0 : nil
            reached[group] = replies[ticket].isNull ? absent : replies[ticket].wholeNumber
        }
        var steps: [OrderTrail.Step] = []
        for (group, ticket) in pendings {
            steps.append(
                try step(
                    group, place, partition, reached: reached[group], pending: replies[ticket],
                    row: group == .postgres ? row : nil))
        }
        let delivery = steps.first { $0.group == .delivery }?.state
        let madeJob: OrderTrail.Job =
            switch delivery {
            case .applied: try self.job("{\"job\":\"\(job)\",\"order\":\"\(order)\",\"shop\":\"\(shop)\",", partition)
            case .unknown, nil: .unknown
            case .pending, .lagging, .deadLetter: .notMade
            }
        return OrderTrail.Way(id: id, place: place, steps: steps, job: madeJob)
    }

    private func step(
        _ group: Group, _ place: OrderTrail.LogPlace, _ partition: Partition, reached: Int?, pending: RedisReply,
        row: OrderLedger.Row?
    ) throws(RedisError) -> OrderTrail.Step {
        var step = OrderTrail.Step(group: group, state: .unknown)
        guard let reached else { return step }
        if reached >= place.seq {
            let dead = group == .postgres ? row?.dead : try deadLetter(group, place, partition)
            if let dead {
                step.state = .deadLetter
                (step.reason, step.error) = (dead.reason, dead.error)
            } else if group != .postgres || row != nil {
                step.state = .applied
                step.appliedAt = row?.appliedAt
            }
            return step
        }
        step.state = .lagging
        step.entriesBefore = place.seq - reached - 1
        if let line = pending.elements.first, line.count == 4 {
            step.state = .pending
            step.consumer = line[1].repairedText
            step.idleMilliseconds = line[2].wholeNumber
            step.deliveries = line[3].wholeNumber
        }
        return step
    }

    /// Looks among the dead letters that were set aside after the entry was appended.
    private func deadLetter(
        _ group: Group, _ place: OrderTrail.LogPlace, _ partition: Partition
    ) throws(RedisError) -> (reason: String, error: String)? {
        var from = place.entry
        for _ in 0..<(Self.deadLettersMax / Self.chunk) {
            let letters = try redis.call(
                RedisCommand("XRANGE", keys.dead(partition, group), from, "+", "COUNT", Self.chunk),
                until: .after(SnapshotReader.timeout))
            for letter in letters.elements {
                let fields = EntryFields(ofEntry: letter)
                guard fields.text("entry") == place.entry, fields.seq == place.seq else { continue }
                return (fields.text("reason") ?? "", fields.text("error") ?? "")
            }
            guard letters.count == Self.chunk, let last = letters[letters.count - 1].elements.first?.string else {
                return nil
            }
            from = "(\(last)"
        }
        return nil
    }

    /// Looks for a job that begins so, from the list's end.
    ///
    /// The delivery service takes jobs from the other end meanwhile, which moves nothing counted from here: none is missed.
    private func job(_ beginning: String, _ partition: Partition) throws(RedisError) -> OrderTrail.Job {
        let key = keys.deliveries(partition)
        for last in stride(from: 1, through: Self.jobsMax, by: Self.chunk) {
            let replies = try redis.pipeline(
                [RedisCommand("LRANGE", key, -(last + Self.chunk - 1), -last), RedisCommand("LLEN", key)],
                until: .after(SnapshotReader.timeout))
            guard let length = replies[1].wholeNumber else { return .unknown }
            let jobs = replies[0].elements
            if let index = jobs.firstIndex(where: { $0.withBytes { $0.starts(with: beginning.utf8) } }) {
                return .waiting(jobsBefore: max(0, length - (last - 1) - jobs.count + index))
            }
            if jobs.count < Self.chunk { return .taken }
        }
        return .unknown
    }
}
