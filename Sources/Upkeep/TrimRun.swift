package import Connections
package import Coordination
import Inspection
package import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
package import ThreadedIO

/// Trims the partitions of a log, or says what it would drop.
///
/// For a lane, whose thread it blocks.
package struct TrimRun {
    /// What was found of a partition, and what became of it.
    package struct Row: Sendable {
        package let partition: Partition
        /// nil when nothing can be said of it now.
        package let plan: LogTrim.Plan?
        /// Why nothing can be said; nil when there is a plan.
        package let refusal: String?
        /// What the planned entries take, about, in bytes; nil when the server doesn't tell.
        package let bytes: Int?
        /// Entries that are gone; nil when nobody was told to drop any.
        package var dropped: Int?
        /// Why less is gone than was planned.
        package var reason: String?
    }

    /// A pause behind each slice, so that others' calls come in between.
    private static let breath: Duration = .milliseconds(1)

    private let redis: RedisConnection
    private let keys: Keys
    private let identity: LogIdentity
    private let trim: LogTrim
    private let interrupt: Interrupt

    /// Connects.
    ///
    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - interrupt: Ends every wait.
    /// - Throws: ``LogError`` for a schema that is not this log's, and for a log of a format without trimming; the servers' errors.
    package init(_ servers: Servers, interrupt: Interrupt) throws {
        redis = try servers.master(interrupt: interrupt)
        keys = servers.keys
        identity = try servers.identity(redis)
        guard identity.format >= .trimmed else {
            throw LogError(
                .badConfiguration,
                "the log is of format \(identity.format), in which nothing is trimmed: workers that know no later one would take "
                    + "that for a loss. Run: onewrite upgrade")
        }
        self.interrupt = interrupt
        let postgres = try servers.primary(interrupt: interrupt)
        try Servers.requireSchema(of: identity, on: postgres)
        trim = LogTrim(
            log: StreamLog(redis, keys: keys, group: .postgres, consumer: .opener), ledger: PostgresSink(postgres),
            identity: identity)
    }

    /// Looks at every partition, or at some.
    ///
    /// - Parameters:
    ///   - retention: What stays although all have applied it.
    ///   - partitions: Which; nil for all.
    ///   - progress: Takes each partition before its turn, and how many there are.
    /// - Returns: A row for each.
    /// - Throws: ``LogError`` for a partition that there is not; the servers' errors.
    package func plan(
        keeping retention: Retention, in partitions: [Partition]? = nil, _ progress: (Partition, Int) -> Void
    ) async throws -> [Row] {
        let time = try redis.call(RedisCommand("TIME"), until: .after(StreamLog.timeout))
        let now = UInt64(try SnapshotReader.milliseconds(time))
        let partitions = partitions ?? Array(identity.partitioning.all)
        if let missing = partitions.first(where: { $0.number >= identity.partitioning.count }) {
            throw LogError(.no, "there is no partition \(missing): the log has \(identity.partitioning.count)")
        }
        var rows: [Row] = []
        for partition in partitions {
            progress(partition, partitions.count)
            switch try await trim.look(at: partition, keeping: retention, now: now) {
            case .refused(let why): rows.append(Row(partition: partition, plan: nil, refusal: why, bytes: nil))
            case .plan(let plan):
                rows.append(Row(partition: partition, plan: plan, refusal: nil, bytes: try bytes(of: plan)))
            }
        }
        return rows
    }

    /// Does what a row says.
    ///
    /// - Parameters:
    ///   - row: As ``plan(keeping:in:_:)`` made it.
    ///   - progress: Takes how many entries are gone.
    /// - Returns: The row, with what became of it.
    /// - Throws: The servers' errors; what was dropped until then is gone.
    package func run(_ row: Row, _ progress: (Int) -> Void = { _ in }) async throws -> Row {
        guard let plan = row.plan else { return row }
        let outcome = try await trim.run(plan) { dropped in
            progress(dropped)
            if interrupt.wait(until: .after(Self.breath)) == .interrupted { throw CancellationError() }
        }
        var row = row
        (row.dropped, row.reason) = (outcome.dropped, outcome.reason)
        return row
    }

    /// What the planned entries take: their share of the log's memory, of which the server measures a sample.
    ///
    /// Redis: <https://redis.io/docs/latest/commands/memory-usage/>
    private func bytes(of plan: LogTrim.Plan) throws(RedisError) -> Int? {
        guard plan.count > 0 else { return 0 }
        let key = keys.log(plan.partition)
        let replies = try redis.pipeline(
            [RedisCommand("MEMORY", "USAGE", key), RedisCommand("XLEN", key)], until: .after(StreamLog.timeout))
        guard let all = replies[0].wholeNumber, let length = replies[1].wholeNumber, length > 0 else { return nil }
        return Int(Double(all) * Double(min(plan.count, length)) / Double(length))
    }
}
