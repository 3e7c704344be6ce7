import Audit
package import Connections
import Coordination
import Inspection
package import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
package import ThreadedIO

/// Makes the stock counters in Redis anew from the ledger, while workers go on.
///
/// They are made beside those in use, and put in their place together with the position that they are of, under a raised
/// token: the worker goes on behind them, and what it had applied since, it applies again. For a lane, whose thread it blocks.
package struct StockRebuild {
    /// A partition, before and behind it.
    package struct Row: Sendable {
        package let partition: Partition
        /// How far the sink is.
        package let position: Seq
        /// How far the ledger is.
        package let ledger: Seq
        /// Shops that have counters.
        package let shops: Int
        /// Why nothing can be done now; nil when something can.
        package let refusal: String?
        /// nil before it is done.
        package var done: Done?
    }

    /// What was put in place.
    package struct Done: Sendable {
        package let seq: Seq
        package let shops: Int
        package let skus: Int
        /// Entries that the sink applies again.
        package let again: Int64
    }

    /// So many entries may come while the last of them are folded: what is left is applied again, which shows for a moment.
    private static let behindMax: Int64 = 1000
    private static let attempts = 20

    private let redis: RedisConnection
    private let keys: Keys
    private let identity: LogIdentity
    private let ledger: PostgresSink
    private let reader: SinkReader
    private let book: IncidentBook
    private let maker: WorkerName

    /// Connects.
    ///
    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - interrupt: Ends every wait.
    /// - Throws: ``LogError`` for a schema that is not this log's; the servers' errors.
    package init(_ servers: Servers, interrupt: Interrupt) throws {
        redis = try servers.master(interrupt: interrupt)
        keys = servers.keys
        identity = try servers.identity(redis)
        try Rebuild.require(identity)
        let postgres = try servers.primary(interrupt: interrupt)
        try Servers.requireSchema(of: identity, on: postgres)
        ledger = PostgresSink(postgres)
        reader = SinkReader(redis: redis, keys: keys)
        book = IncidentBook(postgres: postgres)
        maker = try Rebuild.maker()
    }

    /// The partition that holds a shop.
    package func partition(ofShop shop: String) -> Partition { identity.partitioning.partition(ofShop: shop) }

    /// Looks at every partition, or at one.
    ///
    /// - Parameter only: Which; nil for all.
    /// - Returns: A row for each.
    /// - Throws: The servers' errors.
    package func plan(only: Partition? = nil) async throws -> [Row] {
        let shops = try reader.shops(identity.partitioning)
        var rows: [Row] = []
        for partition in identity.partitioning.all where only ?? partition == partition {
            let row = try await ledger.row(of: partition)
            let state = LogState(try redis.look(at: partition, keys), row: row, identity: identity)
            rows.append(
                Row(
                    partition: partition, position: try reader.position(partition, .stock), ledger: row.position.seq,
                    shops: shops[partition]?.count ?? 0, refusal: state.isOpen ? nil : Rebuild.closed))
        }
        return rows
    }

    /// Does it for one partition.
    ///
    /// - Parameters:
    ///   - row: As ``plan(only:)`` made it.
    ///   - progress: Takes the seq that it is at.
    /// - Returns: The row, with what was done.
    /// - Throws: ``LogError`` when it can't be brought to its end; the servers' errors.
    package func run(_ row: Row, _ progress: (Seq) throws -> Void = { _ in }) async throws -> Row {
        guard row.refusal == nil else { return row }
        let partition = row.partition
        var reason = Rebuild.closed
        for _ in 0..<Self.attempts {
            let before = try await ledger.row(of: partition)
            let look = try redis.look(at: partition, keys)
            guard case .open(let history) = LogState(look, row: before, identity: identity) else {
                reason = Rebuild.closed
                continue
            }
            let taken = try reader.aside(partition, .stock).taken
            var stock = LedgerStock(ledger, partition, without: taken)
            var end = before.position
            repeat {
                try await stock.fold(through: end.seq, progress)
                end = try await ledger.row(of: partition).position
            } while end.seq.number - stock.seq.number > Self.behindMax
            try await stock.fold(through: end.seq, progress)
            // An entry that was set aside behind it would be applied again.
            guard try reader.aside(partition, .stock).taken == taken, taken.allSatisfy({ $0 <= stock.seq }) else {
                reason = "an entry is set aside that Postgres has not applied yet"
                continue
            }
            switch try swap(stock, end.entry, history, partition) {
            case .done(let position):
                let done = Done(
                    seq: stock.seq, shops: stock.shops.count, skus: stock.shops.values.reduce(0) { $0 + $1.count },
                    again: max(0, position.number - stock.seq.number))
                try book.record(
                    Rebuild.incident("stock", partition, "counters made anew from the ledger, up to seq \(stock.seq)"))
                var row = row
                row.done = done
                return row
            case .changed: reason = "the log was closed or opened anew meanwhile"
            case .trimmed: reason = "the log was trimmed meanwhile, further than Postgres was"
            case .lost: reason = "the new counters were deleted while they were made"
            }
        }
        throw LogError(.tryAgain, "partition \(partition): nothing was changed: \(reason). Try again")
    }

    private func swap(
        _ stock: LedgerStock, _ entry: EntryID?, _ history: History, _ partition: Partition
    ) throws -> StockShadow.Outcome {
        var shadow = StockShadow(redis, keys, partition, by: maker)
        for (shop, onHand) in stock.shops { try shadow.write(shop.text, onHand) }
        let outcome = try shadow.swapIn(
            Position(epoch: history.epoch, seq: stock.seq, entry: entry), under: history,
            former: reader.shops(identity.partitioning)[partition] ?? [])
        if case .done = outcome { return outcome }
        try shadow.discard()
        return outcome
    }
}

/// What all rebuilding shares.
enum Rebuild {
    /// How long a statement over a whole partition may take.
    static let patience: Duration = .seconds(1800)
    /// How long counting what may be sold may wait for the group `stock`.
    static let countPatience: Duration = .seconds(60)
    static let closed = "its log is not open: a worker of group postgres, or onewrite open, opens it"

    static func require(_ identity: LogIdentity) throws(LogError) {
        guard identity.format >= .trimmed else {
            throw LogError(
                .badConfiguration,
                "the log is of format \(identity.format), which is not rebuilt. Run: onewrite upgrade")
        }
    }

    static func maker() throws(LogError) -> WorkerName {
        guard let name = WorkerName("rebuild-\(UInt32.random(in: 0..<(1 << 24)))") else {
            throw LogError(.bug, "a made-up name is no name")
        }
        return name
    }

    static func incident(_ what: String, _ partition: Partition?, _ text: String) -> Incident {
        Incident(
            at: nil, who: Resolution.person, kind: "rebuild-\(what)", partition: partition?.number, seqs: nil,
            what: text,
            reason: "onewrite rebuild \(what)")
    }
}
