package import Connections
import Coordination
package import Foundation
import Inspection
package import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
package import ThreadedIO

/// Makes the log in Redis anew from the ledger, after Redis lost everything, or another one takes its place.
///
/// Each partition gets a head that is shut, before the first entry that has to be put back, with the sinks' positions, the
/// stock and the idempotency window; then it is opened as any log that lost its tail. What is there already is left as it
/// is: so it goes on where an earlier one was stopped. For a lane, whose thread it blocks.
package struct LogRebuild {
    /// A partition, before and behind it.
    package struct Row: Sendable {
        package let partition: Partition
        /// The ledger's last seq.
        package let last: Seq
        /// The first entry that is put back into the log; nil when there is none.
        package let first: Seq?
        /// The first entry whose ID is remembered again; nil when none is.
        package let idsFrom: Seq?
        /// The first entry whose job is made again; nil when none is.
        package let jobsFrom: Seq?
        /// Whether the partition's head is there.
        package let isThere: Bool
        /// Shops that have counters now; nil before it is done.
        package var shops: Int?
        /// IDs that are remembered; nil before it is done.
        package var ids: Int?
        /// Whether it is open now, and if not, why; nil before it is done.
        package var opened: LogOpening.Opened?
    }

    /// Whose jobs are made again.
    package enum Jobs: Sendable {
        /// Nobody's: the delivery service has them all.
        case none
        /// Of what was appended since.
        case since(Date)
    }

    private let servers: Servers
    private let redis: RedisConnection
    private let keys: Keys
    private let identity: LogIdentity
    private let ledger: PostgresSink
    private let book: IncidentBook
    private let maker: WorkerName
    private let log: StreamLog

    /// Connects.
    ///
    /// - Parameters:
    ///   - servers: Where the log shall be.
    ///   - interrupt: Ends every wait.
    /// - Throws: ``LogError`` when Postgres has no ledger, or Redis holds another log; the servers' errors.
    package init(_ servers: Servers, interrupt: Interrupt) throws {
        self.servers = servers
        redis = try servers.master(interrupt: interrupt)
        keys = servers.keys
        let postgres = try servers.primary(interrupt: interrupt)
        guard let identity = try PostgresSchema.identity(on: postgres) else {
            throw LogError(.no, "Postgres has no ledger from which a log could be made. For a new log: onewrite init")
        }
        try Rebuild.require(identity)
        if let found = try redis.identity(keys), found != identity {
            throw LogError(
                .badConfiguration,
                "Redis holds another log at \(keys.namespace) (\(found.log)) than Postgres (\(identity.log)): they don't belong "
                    + "together. Use another --namespace or --schema")
        }
        self.identity = identity
        ledger = PostgresSink(postgres)
        book = IncidentBook(postgres: postgres)
        maker = try Rebuild.maker()
        log = StreamLog(redis, keys: keys, group: .postgres, consumer: .opener)
    }

    /// Looks at every partition.
    ///
    /// - Parameters:
    ///   - jobs: Whose jobs are made again.
    ///   - window: How long IDs are remembered: those of what was appended so lately are, again.
    /// - Returns: A row for each.
    /// - Throws: The servers' errors.
    package func plan(_ jobs: Jobs, window: Duration) async throws -> [Row] {
        var rows: [Row] = []
        for partition in identity.partitioning.all {
            let last = try await ledger.row(of: partition).position.seq
            let look = try redis.look(at: partition, keys)
            func first(since date: Date) throws -> Seq? {
                let first = try ledger.last(in: partition, before: date).next
                return first <= last ? first : nil
            }
            let idsFrom = try first(since: Date(timeIntervalSinceNow: -(window / .seconds(1))))
            var jobsFrom: Seq?
            if case .since(let date) = jobs { jobsFrom = try first(since: date) }
            // The last one stays in every log: by it an opening compares the two.
            rows.append(
                Row(
                    partition: partition, last: last, first: last > .none ? jobsFrom ?? last : nil, idsFrom: idsFrom,
                    jobsFrom: jobsFrom, isThere: look.head != nil))
        }
        return rows
    }

    /// Writes down, when it is missing, which log this is and which groups it has.
    package func establish() throws {
        try redis.establish(identity, keys)
        guard try redis.identity(keys) == identity else {
            throw LogError(.tryAgain, "somebody else made another log in Redis meanwhile")
        }
        try redis.recordBuiltInGroups(keys)
        _ = try FunctionLibrary.ensure(on: redis, for: identity.format)
    }

    /// Makes one partition.
    ///
    /// - Parameters:
    ///   - row: As ``plan(_:window:)`` made it.
    ///   - progress: Takes the seq that it is at.
    /// - Returns: The row, with what was done.
    /// - Throws: ``LogError`` when it can't be brought to its end; the servers' errors.
    package func run(_ row: Row, _ progress: (Seq) throws -> Void = { _ in }) async throws -> Row {
        let partition = row.partition
        var row = row
        if !row.isThere, let first = row.first {
            if let reason = try await log.beginNewFile(for: partition) {
                throw LogError(.tryAgain, "\(reason). Try again")
            }
            // From here on the ledger stands still: no older worker commits anything.
            let before = try await ledger.row(of: partition)
            let look = try redis.look(at: partition, keys)
            let reserved = try await ledger.reserve(
                partition, row: before, headEpoch: nil, replid: look.replid, owner: maker)
            guard let epoch = reserved else { throw contended(partition) }
            let last = try await ledger.row(of: partition).position.seq
            var stock = LedgerStock(ledger, partition)
            var window = WindowShadow(redis, keys, partition, by: maker)
            try await stock.fold(through: last, progress) { entries in
                if let from = row.idsFrom { try window.write(entries.drop { $0.seq < from }) }
            }
            var shadow = StockShadow(redis, keys, partition, by: maker)
            for (shop, onHand) in stock.shops { try shadow.write(shop.text, onHand) }
            let head = Place(epoch: epoch, seq: min(first, last).previous)
            let deleteFormerBuckets = try IdempotencyWindow(redis, keys).bucketsToDelete(in: partition)
            let outcome = try shadow.plant(
                head, on: look, of: identity, stock: last, delivery: row.jobsFrom?.previous ?? last, window: window)
            guard case .done = outcome else {
                try shadow.discard()
                try window.discard()
                throw contended(partition)
            }
            try deleteFormerBuckets()
            (row.shops, row.ids) = (stock.shops.count, window.count)
            try book.record(
                Rebuild.incident(
                    "log", partition, "made anew from the ledger, with the entries from seq \(head.seq.next) on"))
        }
        let opening = try LogOpening(servers, takesSuperseded: false)
        row.opened = try await opening.open(partition, createsMissing: row.last == .none)
        for group in Group.builtIn {
            try await StreamLog(redis, keys: keys, group: group, consumer: .opener).createGroup(
                in: partition, after: .zero)
        }
        return row
    }

    private func contended(_ partition: Partition) -> LogError {
        LogError(.tryAgain, "partition \(partition): somebody else makes or opens its log at the same time. Try again")
    }
}
