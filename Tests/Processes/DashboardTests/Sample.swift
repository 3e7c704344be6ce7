import Dashboard
import Foundation
import Reports

/// The snapshot of the design's drawing, to vary.
enum Sample {
    static let at = Date(timeIntervalSince1970: 1_763_906_551.204)  // 2025-11-23T14:02:31.204Z

    static let stores = Snapshot.Environment(
        label: "production", color: .red, redis: "10.0.0.1:6379/0", postgres: "db.internal:5432/shop",
        namespace: "onewrite", schema: "onewrite")

    static func group(
        _ name: String, lag: Int? = 0, pending: Int? = 12, oldest: Int? = 400, behind: Int? = nil, dead: Int? = 0,
        appended: Double? = 300, rate: Double? = 412, workers: [String]? = ["worker-a", "worker-b"]
    ) -> Snapshot.Group {
        let partitions = (0..<8).map { partition in
            Snapshot.Partition(
                partition: partition, epoch: 1, head: 4012 - partition * 14, position: 3711 - partition * 12,
                lag: lag.map { $0 / 8 + partition }, pending: pending.map { $0 / 8 },
                owner: workers.flatMap { $0.isEmpty ? nil : $0[partition % $0.count] }, token: 9 - partition,
                refused: 0,
                state: workers == [] ? .unowned : .serving)
        }
        return Snapshot.Group(
            name: name, lag: lag, pending: pending, oldestPendingMilliseconds: oldest,
            oldestUnappliedMilliseconds: behind,
            dead: dead, refused: 0, appendPerSecond: appended, appliedPerSecond: rate, workers: workers,
            partitions: partitions)
    }

    static func snapshot(after seconds: Double = 0) -> Snapshot {
        let wave = (sin(seconds / 4) + 1) * 100
        return Snapshot(
            at: at.addingTimeInterval(seconds), environment: stores, partitions: 8,
            redis: .reachable(version: "7.0.15"),
            postgres: .reachable(version: "15.20"),
            groups: [
                group("postgres", rate: 212 + wave),
                group("stock", lag: 318, pending: 64, oldest: 2104, behind: 1204, rate: 388.5 - wave),
                group(
                    "delivery", lag: 1204, pending: 128, oldest: 41_700, behind: 192_000, dead: 2,
                    rate: max(0, 300 - seconds * 6), workers: []),
            ],
            warnings: [
                Snapshot.Warning(
                    code: "no-worker", group: "delivery", hint: "no worker: onewrite worker --group delivery"),
                Snapshot.Warning(
                    code: "dead-letters", group: "delivery", hint: "2 dead letters: onewrite dead list --group delivery"
                ),
            ])
    }

    static func entries(_ count: Int, partition: Int? = nil) -> [PendingEntry] {
        (0..<count).map { number in
            PendingEntry(
                group: "delivery", partition: partition ?? number % 8, entry: "\(1_763_905_309_512 + number * 6)-0",
                seq: 3700 + number, consumer: "worker-c", idleMilliseconds: 41_700 - number * 10, deliveries: 1,
                id: "ord-\(7714 + number)", type: "order.placed", state: .orphaned)
        }
    }

    static let deadPage = Snapshot.DeadPage(
        letters: [
            DeadLetterLine(
                letter: "5:118", ageMilliseconds: 3_720_000, groups: ["delivery", "stock"], reason: "invalid",
                error: "lines: expected a list", shop: "main", id: "ord-13"),
            DeadLetterLine(
                letter: "2:7", ageMilliseconds: 61_000, groups: ["delivery"], reason: "taken", error: "beyond 2^53",
                shop: "berlin", id: "ord-9"),
            DeadLetterLine(
                letter: "1:1763905309512-0", ageMilliseconds: 9_000, groups: ["stock"], reason: "added-by-hand",
                error: "no seq", shop: nil, id: nil),
        ], total: 3, knowsPostgres: true)

    /// Answers a query as the stores would.
    static func answer(_ query: PageQuery, after seconds: Double = 0) -> Snapshot {
        var snapshot = snapshot(after: seconds)
        if query.withDead { snapshot.deadPage = deadPage }
        guard let name = query.group else { return snapshot }
        let total = snapshot.groups.first { $0.name == name }?.pending
        let entries = entries(min(total ?? 0, query.limit))
            .filter { query.partition == nil || $0.partition == query.partition }
        snapshot.pendingPage = Snapshot.PendingPage(
            group: name, partition: query.partition, entries: entries,
            total: query.partition == nil ? total : entries.count)
        return snapshot
    }

    /// A model that has watched for a minute.
    static func model(width: Int, height: Int, seconds: Int = 60) -> DashboardModel {
        var model = DashboardModel(
            of: Sample.stores, interval: .seconds(1), size: ScreenSize(width: width, height: height))
        for second in 0...seconds {
            model.update(answer(model.query, after: Double(second)), at: .seconds(second))
        }
        return model
    }
}
