package import Connections
import Foundation
import Inspection
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Reports
import Sinks
package import ThreadedIO

/// Proves that every sink equals the log, or shows where it doesn't, while everything goes on.
///
/// Postgres is read in one snapshot; Redis is read after it, partition by partition; the log is gone through last, and joins the moments:
/// each sink is compared at the position that was read with it. What a partition showed holds only if its history was the same
/// before and after.
package struct Audit {
    package let servers: Servers
    /// How many differences of each subject are shown.
    package let limit: Int
    /// Ends every wait.
    package let interrupt: Interrupt
    /// Takes what it is at: `partition 3 of 8`.
    package let progress: @Sendable (String) -> Void

    /// Who the log's reads are for: nobody, since it reads without delivering.
    private static let reader = WorkerName.initialiser

    package init(
        servers: Servers, limit: Int, interrupt: Interrupt, progress: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.servers = servers
        self.limit = limit
        self.interrupt = interrupt
        self.progress = progress
    }

    /// Audits.
    ///
    /// - Returns: The report; what fails midway makes it inconclusive.
    /// - Throws: ```LogError``` and the clients' errors when it can't begin.
    package func run() async throws -> AuditReport {
        let clock = ContinuousClock.now
        let redis = try servers.redis(interrupt: interrupt)
        let identity = try servers.identity(redis)
        var doubts: [String] = []
        let snapshot = try snapshot(of: identity, &doubts)
        defer { snapshot?.end() }
        // Before the snapshot: what is settled later is not what was looked at.
        let incidents = try snapshot.map { try IncidentBook(postgres: $0.connection).incidents() } ?? []
        var findings = AuditFindings(limit: limit, incidents: incidents)
        do {
            try await compare(redis, identity, snapshot, &findings, &doubts)
            // It waits for group stock, so no snapshot stays open meanwhile.
            snapshot?.end()
            progress("what may be sold")
            let available = AvailableCheck(redis, servers.keys, interrupt: interrupt)
            try available.checkSwitches(identity, snapshot?.connection, &findings)
            for partition in identity.partitioning.all { try available.check(partition, &findings, &doubts) }
        } catch let error as PostgresError where error.isAboutConfiguration {
            // A pooler that lets no transaction through: trying again gives the same.
            throw error
        } catch {
            if interrupt.isSignalled { throw error }
            guard let failure = LogError(anyOf: error) else { throw error }
            doubts.append("it could not be finished: \(failure.message)")
        }
        return AuditReport(
            findings, partitions: identity.partitioning.count, inconclusive: doubts, took: clock.duration(to: .now))
    }

    /// The ledger, or a doubt: Redis alone can tell whether stock and deliveries are what the log gives.
    private func snapshot(of identity: LogIdentity, _ doubts: inout [String]) throws -> LedgerSnapshot? {
        let snapshot: LedgerSnapshot?
        do {
            snapshot = try LedgerSnapshot(servers, interrupt: interrupt)
        } catch let error as PostgresError where error.isAboutTheServer {
            doubts.append("Postgres was not compared: \(error)")
            return nil
        }
        guard let snapshot else {
            doubts.append("Postgres was not compared: none is configured. Set DATABASE_URL")
            return nil
        }
        try Servers.requireSchema(of: identity, on: snapshot.connection)
        return snapshot
    }

    private func compare(
        _ redis: RedisConnection, _ identity: LogIdentity, _ snapshot: LedgerSnapshot?, _ findings: inout AuditFindings,
        _ doubts: inout [String]
    ) async throws {
        let reader = SinkReader(redis: redis, keys: servers.keys)
        let definitions = try redis.groupDefinitions(servers.keys)
        let groups = definitions.map(\.group)
        let delivery = definitions.first { $0.group == .delivery }?.definition
        let own = definitions.filter { !Group.builtIn.contains($0.group) }
        let log = StreamLog(redis, keys: servers.keys, group: .postgres, consumer: Self.reader)
        var starts: [Partition: PartitionAudit.Start] = [:]
        for partition in identity.partitioning.all {
            do {
                starts[partition] = PartitionAudit.Start(
                    look: try redis.look(at: partition, servers.keys),
                    stock: try reader.position(partition, .stock), delivery: try reader.position(partition, .delivery),
                    deliveryEnded: delivery.flatMap { definition in
                        definition.kind == Group.delivery.name
                            ? nil : definition.beginning(of: partition).map { Seq($0.seq) }
                    },
                    own: try Dictionary(
                        uniqueKeysWithValues: own.map { ($0.group, try reader.own(partition, $0.group, $0.definition)) }
                    ))
            } catch let trouble as SinkReader.Trouble {
                doubts.append("partition \(partition): \(trouble.text)")
            }
        }
        try snapshot?.begin()
        let rows = try snapshot?.rows()
        let checks = snapshot.map { LedgerChecks(snapshot: $0, rows: rows ?? [:]) }
        var shops = try snapshot?.shops() ?? [:]
        progress("ledger")
        try checks?.checkLedger(&findings)
        try checks?.checkShops(shops, identity.partitioning, &findings)
        shops.merge(try reader.shops(identity.partitioning)) { $0.union($1) }
        for (partition, start) in starts.sorted(by: { $0.key < $1.key }) {
            progress("partition \(partition) of \(identity.partitioning.count)")
            let row = rows?[partition]
            guard row != nil || rows == nil else {
                doubts.append("partition \(partition): Postgres has no row of it. Run: onewrite init")
                continue
            }
            let state = LogState(start.look, row: row, identity: identity)
            guard case .open(let history) = state else {
                doubts.append("partition \(partition): \(state.meaning)")
                continue
            }
            let audit = PartitionAudit(
                partition: partition, groups: groups, identity: identity, history: history, start: start, row: row,
                snapshot: snapshot, log: log, reader: reader, shops: shops[partition] ?? [])
            do {
                let found = try await audit.run(limit: limit, incidents: findings.incidents)
                guard try redis.look(at: partition, servers.keys).history == history else {
                    doubts.append("partition \(partition): its log was closed or opened anew meanwhile")
                    continue
                }
                findings.add(found)
            } catch let trouble as SinkReader.Trouble {
                doubts.append("partition \(partition): \(trouble.text)")
            }
        }
        progress("orders")
        do {
            try checks?.checkOrders(&findings)
        } catch let error as PostgresError where error.sqlState?.hasPrefix("22") == true {
            // Class 22: a value that isn't of its form. No sink could have written it.
            findings.differ(
                .ledger, in: nil, "a row's lines or attributes", expected: "what an entry can hold",
                found: "text that can't be read (SQLSTATE \(error.sqlState ?? "?"))")
        }
    }
}

extension LogState {
    /// Why nothing can be said of the partition.
    fileprivate var meaning: String {
        switch self {
        case .open: "its log is open"
        case .closed: "its log is closed, or being opened: a worker of group postgres, or onewrite open, opens it"
        case .superseded: "this server is an old master: another one was opened since"
        case .missing: "there is no log"
        case .mismatch(let reason): reason
        }
    }
}
