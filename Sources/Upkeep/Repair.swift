package import Audit
package import Connections
import Coordination
import Inspection
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
package import ThreadedIO

/// Mends what an audit found, as far as the log and the ledger tell what it must be, and records each difference.
///
/// For a lane, whose thread it blocks.
package struct Repair {
    /// By what a difference is mended.
    package enum Mend: String, Sendable, Encodable {
        /// The ledger's row is written again, from the log's entry.
        case ledger
        /// Tables in Postgres, from the ledger.
        case tables
        /// A partition's counters in Redis, from the ledger.
        case stock
        /// The delivery list, from the ledger.
        case deliveries
        /// What may be sold, from the stock and the log.
        case available
        /// Nothing can, or a person has to decide.
        case nothing
    }

    /// A difference, and what is done about it.
    package struct Row: Sendable {
        package let difference: AuditDifference
        package let mend: Mend
        /// What a person can do, where nothing is done.
        package let advice: String?
    }

    /// As many differences of each subject are told one by one, and recorded.
    package static let limit = 10_000

    private let servers: Servers
    private let redis: RedisConnection
    private let keys: Keys
    private let identity: LogIdentity
    private let postgres: PostgresConnection
    private let interrupt: Interrupt
    private let log: StreamLog

    /// Connects.
    ///
    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - interrupt: Ends every wait.
    /// - Throws: ``LogError`` for a schema that is not this log's; the servers' errors.
    package init(_ servers: Servers, interrupt: Interrupt) throws {
        self.servers = servers
        self.interrupt = interrupt
        redis = try servers.master(interrupt: interrupt)
        keys = servers.keys
        identity = try servers.identity(redis)
        try Rebuild.require(identity)
        postgres = try servers.primary(interrupt: interrupt) { $0.statementTimeout = Rebuild.patience }
        try Servers.requireSchema(of: identity, on: postgres)
        log = StreamLog(redis, keys: keys, group: .postgres, consumer: .opener)
    }

    /// Compares all stores.
    ///
    /// - Parameter progress: Takes what it is at.
    /// - Returns: What was found.
    /// - Throws: The servers' errors.
    package func audit(_ progress: @escaping @Sendable (String) -> Void) async throws -> AuditReport {
        try await Audit(servers: servers, limit: Self.limit, interrupt: interrupt, progress: progress).run()
    }

    /// Says of each difference what is to be done about it.
    package func plan(_ report: AuditReport) async throws -> [Row] {
        var rows: [Row] = []
        for difference in report.differences {
            let (mend, advice) = try await mend(difference)
            rows.append(Row(difference: difference, mend: mend, advice: advice))
        }
        return rows
    }

    /// Does it, the ledger first, from which all else is made; then records each difference.
    ///
    /// - Parameters:
    ///   - rows: As ``plan(_:)`` made them.
    ///   - reason: Why, in a person's words.
    ///   - progress: Takes what it is at.
    /// - Throws: ``LogError`` when something can't be brought to its end; the servers' errors. What was mended until then stays;
    ///   run it again.
    package func run(_ rows: [Row], reason: String, _ progress: (String) -> Void) async throws {
        let byMend = Dictionary(grouping: rows, by: \.mend)
        let book = IncidentBook(postgres: postgres)
        for mend in [Mend.ledger, .tables, .stock, .deliveries, .available] {
            guard let some = byMend[mend] else { continue }
            progress("\(mend.rawValue): \(some.count) differences")
            let partitions = Set(some.compactMap { $0.difference.partition }).sorted().map { Partition($0) }
            switch mend {
            case .ledger: for row in some { try await write(row.difference) }
            case .tables: _ = try TablesRebuild(servers, interrupt: interrupt).run { progress("tables: \($0)") }
            case .stock:
                let stock = try StockRebuild(servers, interrupt: interrupt)
                for partition in partitions {
                    for row in try await stock.plan(only: partition) { _ = try await stock.run(row) }
                }
            case .deliveries: for partition in partitions { try await mendList(of: partition) }
            case .available: try countAnew(some.map(\.difference), progress)
            case .nothing: break
            }
            for row in some { try book.record(incident(row.difference, reason)) }
        }
    }

    // MARK: - What can be done

    private func mend(_ difference: AuditDifference) async throws -> (Mend, String?) {
        let place = difference.partition.flatMap { partition in difference.seq.map { "\(partition):\($0)" } }
        switch difference.subject {
        case .orders, .orderLines, .stockInPostgres: return (.tables, nil)
        case .stockInRedis: return (.stock, nil)
        case .available: return (.available, nil)
        case .deliveries:
            return difference.found == "something else" && difference.seq == nil && difference.name == "the list"
                ? (.nothing, "the key of the list holds something else: rename it, then onewrite rebuild delivery")
                : (.deliveries, nil)
        case .ledger:
            guard difference.found == "nothing", let entry = try await entry(at: difference) else {
                return (.nothing, "neither the log nor the ledger says what this must be: docs/audit.md")
            }
            guard case .change = entry.content else {
                return (.nothing, "the log's entry there is no change; it was a dead letter, whose reason is not known")
            }
            return (.ledger, nil)
        case .log:
            guard difference.found == "none", let place else {
                return (
                    .nothing,
                    "log and ledger say two things, and which of them is right a person has to say: docs/audit.md"
                )
            }
            return (
                .nothing,
                "an entry can't be put back at its place in the log. Postgres has it, if nothing else is told of it; to have it "
                    + "count as agreed: onewrite incident settle \(place) --group postgres --what … --reason …"
            )
        case .positions:
            return (
                .nothing,
                "a position that is ahead of the log was set by hand, or belongs to another log: docs/audit.md"
            )
        }
    }

    private func countAnew(_ differences: [AuditDifference], _ progress: (String) -> Void) throws {
        let admission = try AdmissionSwitch(servers, interrupt: interrupt)
        let partitions = Set(differences.compactMap(\.partition)).sorted().map { Partition($0) }
        let names = differences.map(\.name)
        for partition in partitions {
            for shop in try admission.shops(in: partition)
            where names.contains(where: { $0.hasSameBytes(as: shop) || $0.utf8.starts(with: "\(shop) ".utf8) }) {
                try admission.heedPostgres(shop, until: .after(Rebuild.countPatience), progress)
                try admission.countAnew(shop, in: partition, until: .after(Rebuild.countPatience), progress)
            }
        }
    }

    private func entry(at difference: AuditDifference) async throws -> Entry? {
        guard let partition = difference.partition, let seq = difference.seq, seq > 0 else { return nil }
        var start = EntryID.zero
        // From end to end: only where a row is missing.
        while true {
            let entries = try await log.range(in: Partition(partition), from: start, limit: 1000)
            if let found = entries.first(where: { $0.place?.seq.number == seq }) { return found }
            guard let last = entries.last else { return nil }
            start = last.id.successor
        }
    }

    private func write(_ difference: AuditDifference) async throws {
        guard let partition = difference.partition, let entry = try await entry(at: difference),
            let place = entry.place,
            case .change(let change) = entry.content
        else { throw LogError(.tryAgain, "\(difference.name): the log's entry is gone by now. Try again") }
        try postgres.query(
            """
            INSERT INTO ledger (partition, seq, epoch, entry, digest, id, type, shop, order_id, customer, lines, attributes,
                appended_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, to_timestamp($13::float8 / 1000))
            ON CONFLICT DO NOTHING
            """,
            [
                .integer(Int64(partition)), .integer(place.seq.number), .integer(place.epoch.number),
                .text(entry.id.description), .text(Digest(of: change).description), .text(change.id),
                .text(change.kind.rawValue), .text(change.shop), .orNull(change.order), .orNull(change.customer),
                .text(change.lines.text), .orNull(change.attributes), .text(String(entry.id.milliseconds)),
            ], until: .after(Rebuild.patience))
    }

    /// Takes out of a list what doesn't belong there, and puts in what is missing.
    private func mendList(of partition: Partition) async throws {
        let reader = SinkReader(redis: redis, keys: keys)
        let list: DeliveryList
        do { list = try DeliveryList(partition, reader) } catch let trouble as SinkReader.Trouble {
            throw LogError(.tryAgain, "partition \(partition): \(trouble.text)")
        }
        guard let first = list.jobs?.compactMap(\.seq).filter({ $0 > 0 && $0 <= list.seq.number }).min() else {
            // Nothing of ours is left: whatever else is there goes.
            try removeJobs(from: partition) { _ in false }
            return
        }
        let again = try DeliveryRebuild(
            servers, .seqs(partition, first: Seq(first), last: list.seq), interrupt: interrupt)
        let expected = try again.jobs(in: partition)
        var last: Int64 = 0
        try removeJobs(from: partition) { json in
            let job = DeliveryList.Job(json)
            guard let seq = job.seq, seq > last, let right = expected[Seq(max(0, seq))] else {
                return seqIsNewer(job, list.seq)
            }
            guard job == DeliveryList.Job(right) else { return false }
            last = seq
            return true
        }
        for row in try await again.plan() { _ = try await again.run(row) }
    }

    /// What was pushed since we looked.
    private func seqIsNewer(_ job: DeliveryList.Job, _ position: Seq) -> Bool {
        job.seq.map { $0 > position.number } ?? false
    }

    private func removeJobs(from partition: Partition, unless belongs: (String) -> Bool) throws {
        let key = keys.deliveries(partition)
        let jobs = try redis.call(RedisCommand("LRANGE", key, 0, -1), until: .after(Rebuild.patience)).requireArray()
        for job in jobs {
            guard let json = job.string else { continue }
            if belongs(json) { continue }
            _ = try redis.call(RedisCommand("LREM", key, -1, json), until: .after(StreamLog.timeout)).requireInteger()
        }
    }

    private func incident(_ difference: AuditDifference, _ reason: String) -> Incident {
        Incident(
            at: nil, who: Resolution.person, kind: "repair", partition: difference.partition,
            seqs: difference.seq.flatMap { SeqRanges(String($0)) },
            what: "\(difference.subject.title): \(difference.name): was \(difference.found), is \(difference.expected)",
            reason: reason)
    }
}

extension PostgresValue {
    fileprivate static func orNull(_ text: String?) -> PostgresValue { text.map { .text($0) } ?? .null }
}
