import Audit
package import Connections
package import Foundation
import Inspection
package import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
package import ThreadedIO

/// Puts delivery jobs into their list again, of orders that a person names, while workers go on and the service takes.
///
/// The service deduplicates by shop, order and job. What still waits in the list is left as it is. For a lane, whose thread it
/// blocks.
package struct DeliveryRebuild {
    /// Whose jobs are made again.
    package enum Choice: Sendable {
        /// Of what was appended since, and before.
        case appended(since: Date, before: Date?)
        /// Of orders, each by its shop and its ID: its job `prepare`, and `cancel` if it was cancelled.
        case orders(shop: String, ids: [String])
        /// Of the entries of a partition from one place to another.
        case seqs(Partition, first: Seq, last: Seq)
    }

    /// A partition, before and behind it.
    package struct Row: Sendable {
        package let partition: Partition
        /// Jobs to be made.
        package let jobs: Int
        /// Jobs of the choice that wait in the list.
        package let waiting: Int
        /// Why nothing can be done now; nil when something can.
        package let refusal: String?
        /// nil before it is done.
        package var made: Int?
    }

    /// Jobs in one call: those before all that wait, and those between them, for which the server looks through the list.
    private static let chunks = (left: 500, between: 5)

    private let redis: RedisConnection
    private let keys: Keys
    private let identity: LogIdentity
    private let postgres: PostgresConnection
    private let reader: SinkReader
    private let choice: Choice

    /// Connects.
    ///
    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - choice: Whose jobs.
    ///   - interrupt: Ends every wait.
    /// - Throws: ``LogError`` for a schema that is not this log's; the servers' errors.
    package init(_ servers: Servers, _ choice: Choice, interrupt: Interrupt) throws {
        redis = try servers.master(interrupt: interrupt)
        keys = servers.keys
        identity = try servers.identity(redis)
        try Rebuild.require(identity)
        let kind = try redis.groupDefinitions(keys).first { $0.group == .delivery }?.definition.kind
        guard kind == Group.delivery.name else {
            throw LogError(.no, "delivery is led to a store of kind \(kind ?? "?"): there is no list to put jobs into")
        }
        postgres = try servers.primary(interrupt: interrupt) { $0.statementTimeout = Rebuild.patience }
        try Servers.requireSchema(of: identity, on: postgres)
        reader = SinkReader(redis: redis, keys: keys)
        self.choice = choice
    }

    /// Looks at the partitions that have any of it.
    ///
    /// - Returns: A row for each.
    /// - Throws: The servers' errors.
    package func plan() async throws -> [Row] {
        var rows: [Row] = []
        for partition in partitions {
            var (jobs, waiting) = (0, 0)
            let look = try look(partition)
            if case .open(let found) = look {
                try forEachJob(partition, found) { _, isWaiting in if isWaiting { waiting += 1 } else { jobs += 1 } }
            }
            rows.append(
                Row(partition: partition, jobs: jobs, waiting: waiting, refusal: look.isOpen ? nil : Rebuild.closed))
        }
        return rows
    }

    /// Does it for one partition.
    ///
    /// - Parameters:
    ///   - row: As ``plan()`` made it.
    ///   - progress: Takes how many jobs were made.
    /// - Returns: The row, with what was done.
    /// - Throws: ``LogError`` when it can't be brought to its end: what was made until then waits in the list; the servers' errors.
    package func run(_ row: Row, _ progress: (Int) throws -> Void = { _ in }) async throws -> Row {
        guard row.refusal == nil, row.jobs > 0 else { return row }
        guard case .open(let found) = try look(row.partition) else {
            throw LogError(.tryAgain, "partition \(row.partition): \(Rebuild.closed)")
        }
        var row = row
        var made = 0
        var jobs: [(seq: Seq, json: String)] = []
        func push() throws {
            guard !jobs.isEmpty else { return }
            switch try redis.deliverAgain(jobs, in: row.partition, under: found.history, keys) {
            case .pushed(let count): made += count
            case .changed:
                throw LogError(
                    .tryAgain, "partition \(row.partition): the log was closed or opened anew meanwhile. Try again")
            case .stalled(let why): throw LogError(.tryAgain, why)
            }
            jobs = []
            try progress(made)
        }
        let leftmost = found.waiting.min() ?? Seq(.max)
        try forEachJob(row.partition, found) { job, isWaiting in
            guard !isWaiting else { return }
            jobs.append(job)
            if jobs.count >= (jobs[0].seq < leftmost ? Self.chunks.left : Self.chunks.between) { try push() }
        }
        try push()
        row.made = made
        return row
    }

    /// All jobs of the choice in a partition, also those that wait.
    func jobs(in partition: Partition) throws -> [Seq: String] {
        guard case .open(let found) = try look(partition) else {
            throw LogError(.tryAgain, "partition \(partition): \(Rebuild.closed)")
        }
        var jobs: [Seq: String] = [:]
        try forEachJob(partition, found) { job, _ in jobs[job.seq] = job.json }
        return jobs
    }

    private var partitions: [Partition] {
        switch choice {
        case .appended: Array(identity.partitioning.all)
        case .orders(let shop, _): [identity.partitioning.partition(ofShop: shop)]
        case .seqs(let partition, _, _): [partition]
        }
    }

    private enum Look {
        case closed
        case open(Found)

        var isOpen: Bool { if case .open = self { true } else { false } }
    }

    private struct Found {
        let history: History
        let position: Seq
        let waiting: Set<Seq>
        let taken: Set<Seq>
    }

    private func look(_ partition: Partition) throws -> Look {
        guard let history = try redis.look(at: partition, keys).history else { return .closed }
        do {
            let list = try DeliveryList(partition, reader)
            guard let jobs = list.jobs else {
                throw LogError(.tryAgain, "\(keys.deliveries(partition)): expected a list, found something else")
            }
            return .open(
                Found(
                    history: history, position: list.seq,
                    waiting: Set(jobs.compactMap { $0.seq.flatMap { $0 > 0 ? Seq($0) : nil } }),
                    taken: try reader.aside(partition, .delivery).taken))
        } catch let trouble as SinkReader.Trouble {
            throw LogError(.tryAgain, "partition \(partition): \(trouble.text)")
        }
    }

    /// Calls `body` with each job of the choice, those of higher seqs first, and whether it waits in the list.
    private func forEachJob(
        _ partition: Partition, _ found: Found, _ body: ((seq: Seq, json: String), Bool) throws -> Void
    ) throws {
        var parameters: [PostgresValue] = [.integer(Int64(partition.number)), .integer(found.position.number)]
        let condition: String
        switch choice {
        case .appended(let since, let before):
            condition = "appended_at >= to_timestamp($3::float8) AND appended_at < to_timestamp($4::float8)"
            parameters += [since, before ?? .distantFuture].map { .text(String($0.timeIntervalSince1970)) }
        case .orders(let shop, let ids):
            condition = "shop = $3 AND coalesce(order_id, id) = ANY ($4::text[])"
            parameters += [.text(shop), .texts(ids)]
        case .seqs(_, let first, let last):
            condition = "seq >= $3 AND seq <= $4"
            parameters += [.integer(first.number), .integer(last.number)]
        }
        try postgres.forEachRow(
            """
            SELECT seq, type, id, shop, order_id, customer, lines, attributes, epoch FROM (
                SELECT seq, type, id, shop, order_id, customer, lines, attributes, epoch, appended_at FROM ledger
                WHERE partition = $1
                UNION ALL
                SELECT seq, type, id, shop, order_id, customer, lines, attributes, epoch,
                    to_timestamp(split_part(entry, '-', 1)::float8 / 1000)
                FROM dead_letters WHERE partition = $1 AND seq IS NOT NULL AND reason = '\(LedgerSnapshot.takenReason)'
            ) AS a
            WHERE seq <= $2 AND type IN ('order.placed', 'order.cancelled', 'order.returned') AND \(condition) ORDER BY seq DESC
            """, parameters, until: .after(Rebuild.patience)
        ) { row in
            let seq = Seq(try row.requireInt64(0))
            guard !found.taken.contains(seq), let change = LedgerSnapshot.change(row, from: 1) else { return }
            let place = Place(epoch: Epoch(try row.requireInt64(8)), seq: seq)
            let entry = Batch.Applied(id: .zero, place: place, change: change)
            guard let json = DeliveryJob.json(for: entry, in: partition) else { return }
            try body((seq, json), found.waiting.contains(seq))
        }
    }
}
