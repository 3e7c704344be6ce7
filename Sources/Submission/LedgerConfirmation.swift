import Connections
import OrderLog
import PostgresClient
import RedisLog
import Sinks
import ThreadedIO

/// Asks Postgres whether it accounts for changes at the places where the log has them.
///
/// By place and change ID: a position alone proves nothing across a reopening of the log. A change that was set aside is
/// accounted for too.
struct LedgerConfirmation {
    /// A call of the append script that was answered.
    struct Call {
        let partition: Partition
        /// The log's when it answered.
        let epoch: Epoch
        /// The changes that are in the log.
        let places: [(seq: Seq, change: Change)]
    }

    enum Answer {
        /// Every change is accounted for at its place.
        case applied
        /// The ledger isn't there yet.
        case behind(String)
        /// Another change is at one of the places, or the log was opened anew: it may have lost them.
        case reopened
    }

    private let servers: Servers
    private var connection: PostgresConnection

    /// Connects.
    ///
    /// - Parameters:
    ///   - servers: Where to.
    ///   - identity: The log, which the schema must belong to.
    /// - Throws: ``LogError``, `PostgresError`.
    init(_ servers: Servers, of identity: LogIdentity) throws {
        self.servers = servers
        connection = try Self.connect(servers)
        guard try PostgresSchema.identity(on: connection) == identity else {
            throw LogError(
                .badConfiguration,
                "--durability applied: the schema in Postgres is missing, or of another log than Redis's. Run: onewrite "
                    + "init")
        }
    }

    private static func connect(_ servers: Servers) throws -> PostgresConnection {
        // The ledger is long, and asked for single places: scanning it is never right.
        try servers.requiredPostgres { $0.avoidsScans = true }
    }

    /// Looks once, at all calls.
    ///
    /// - Parameters:
    ///   - calls: What was answered by the log.
    ///   - deadline: When to give up.
    /// - Returns: An answer for each call.
    /// - Throws: ``LogError``, `PostgresError`; the next look connects again.
    mutating func look(at calls: [Call], until deadline: Deadline) throws -> [Answer] {
        if !connection.isUsable { connection = try Self.connect(servers) }
        var rows: [Partition: (epoch: Epoch, seq: Seq)] = [:]
        for row in try connection.query("SELECT partition, epoch, seq FROM partitions", until: deadline) {
            rows[Partition(Int(try row.requireInt64(0)))] = (
                Epoch(try row.requireInt64(1)), Seq(try row.requireInt64(2))
            )
        }
        // The places are asked for once the position has passed them, so only once or twice in all.
        let reached = calls.filter { call in
            guard let last = call.places.map(\.seq).max() else { return false }
            return (rows[call.partition]?.seq ?? .none) >= last
        }
        let counts = try accountedFor(reached, until: deadline)
        return calls.map { call in
            guard let last = call.places.map(\.seq).max() else { return .applied }
            let (epoch, seq) = rows[call.partition] ?? (call.epoch, .none)
            if seq >= last { return counts[call.partition] == call.places.count ? .applied : .reopened }
            if epoch != call.epoch { return .reopened }
            return .behind(
                "Postgres has not applied partition \(call.partition) up to seq \(last): it is at seq \(seq)")
        }
    }

    /// How many of the calls' changes are in the ledger, or among the dead letters, at their places.
    private func accountedFor(_ calls: [Call], until deadline: Deadline) throws(PostgresError) -> [Partition: Int] {
        guard !calls.isEmpty else { return [:] }
        var (partitions, seqs) = (PostgresArray(), PostgresArray())
        var (ids, shops) = (PostgresArray(), PostgresArray())
        for call in calls {
            for (seq, change) in call.places {
                partitions.append(Int64(call.partition.number))
                seqs.append(seq.number)
                ids.append(change.id)
                shops.append(change.shop)
            }
        }
        let rows = try connection.query(
            Self.counts, [.array(partitions), .array(seqs), .array(ids), .array(shops)], until: deadline)
        var counts: [Partition: Int] = [:]
        for row in rows { counts[Partition(Int(try row.requireInt64(0)))] = Int(try row.requireInt64(1)) }
        return counts
    }

    private static let counts = """
        WITH places AS (
            SELECT * FROM unnest($1::int[], $2::bigint[], $3::text[], $4::text[]) AS p (partition, seq, id, shop))
        SELECT partition, count(*) FROM (
            SELECT partition FROM places JOIN ledger USING (partition, seq, id, shop)
            UNION ALL
            SELECT partition FROM places JOIN dead_letters USING (partition, seq, id, shop)) AS held
        GROUP BY partition
        """
}
