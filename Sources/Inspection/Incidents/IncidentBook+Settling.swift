package import Connections
package import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
import ThreadedIO

extension IncidentBook {
    /// Connects; refuses a schema of a format that this program doesn't know.
    package init(_ servers: Servers) throws {
        self.init(postgres: try servers.requiredPostgres())
        _ = try PostgresSchema.identity(on: postgres)
    }

    /// Records an incident when it is told so.
    ///
    /// - Parameters:
    ///   - incident: What is to be recorded.
    ///   - number: The partition's.
    ///   - seqs: The places in it.
    ///   - group: Where it was met.
    ///   - servers: Where.
    ///   - acts: Whether to record it.
    /// - Returns: What there is at these places.
    /// - Throws: ``LogError`` or the servers' errors; ``WrongQuestion`` for places that there aren't.
    package static func settle(
        _ incident: Incident, in number: Int, _ seqs: SeqRanges, of group: Group, _ servers: Servers, acts: Bool
    ) throws -> [String] {
        let redis = try servers.redis()
        let identity = try servers.identity(redis)
        let book = try IncidentBook(servers)
        try Servers.requireSchema(of: identity, on: book.postgres)
        guard try book.exists() else {
            throw LogError(
                .badConfiguration, "the schema in Postgres lacks what early builds had not. Run: onewrite upgrade")
        }
        guard (0..<identity.partitioning.count).contains(number) else {
            throw WrongQuestion("expected a partition from 0 to \(identity.partitioning.count - 1), got \(number)")
        }
        let partition = Partition(number)
        let applied = Int64(try OrderLedger(postgres: book.postgres).position(partition) ?? 0)
        let head = try redis.look(at: partition, servers.keys).head?.seq.number ?? applied
        guard seqs.last <= max(head, applied) else {
            throw WrongQuestion(
                "the log's last seq is \(max(head, applied)), and what is not there yet can't be settled")
        }
        var plan = ["Postgres accounts for \(try book.accounts(for: seqs, in: partition)) of \(seqs.count)"]
        let position = try group == .postgres ? applied : position(of: group, in: partition, redis, servers.keys)
        if let position, position < seqs.last {
            plan.append(
                "\(group.name) is at seq \(position): it stays halted until its position is moved over seq \(seqs.last)"
            )
        }
        if acts { try book.record(incident) }
        return plan
    }

    /// How far a sink got; nil for one that keeps its position elsewhere.
    private static func position(
        of group: Group, in partition: Partition, _ redis: RedisConnection, _ keys: Keys
    ) throws -> Int64? {
        let reply = try redis.call(
            RedisCommand("HGET", keys.position(partition, group), "seq"), until: .after(StreamLog.timeout))
        if reply.isNull { return Group.builtIn.contains(group) ? 0 : nil }
        guard let seq = reply.wholeNumber else {
            throw LogError(.tryAgain, "the position of \(group.name) is no number")
        }
        return Int64(seq)
    }
}
