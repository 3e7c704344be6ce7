import Dashboard
import FoundationEssentials
import Reports
import Testing

@Suite("Snapshot as JSON")
struct SnapshotJSONTests {
    private func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    @Test("a snapshot is the contract's object, key for key")
    func contract() throws {
        let snapshot = Snapshot(
            at: Date(timeIntervalSince1970: 1_763_906_551.204), environment: Sample.stores, partitions: 8,
            redis: .reachable(version: "7.0.15"),
            postgres: .reachable(version: "15.20"),
            memory: Snapshot.Memory(
                used: 650, max: 1000, log: 600, window: 20, stock: nil, deliveries: 5, logGrowthPerDay: 40,
                isTrimmed: false),
            groups: [
                Snapshot.Group(
                    name: "stock", lag: 318, pending: 64, oldestPendingMilliseconds: 2104,
                    oldestUnappliedMilliseconds: 3210, dead: 0, refused: 4, appendPerSecond: 229.5,
                    appliedPerSecond: 388.5, workers: ["stock-a"],
                    partitions: [
                        Snapshot.Partition(
                            partition: 0, epoch: 1, head: 4012, position: 4010, lag: 2, pending: 2, owner: "stock-a",
                            token: 7, refused: 3, state: .serving)
                    ])
            ],
            warnings: [
                Snapshot.Warning(
                    code: "no-worker", group: "delivery", hint: "no worker: onewrite worker --group delivery")
            ])
        #expect(
            try json(snapshot) == """
                {"at":"2025-11-23T14:02:31.204Z","environment":{"color":"red","label":"production","namespace":"onewrite",\
                "postgres":"db.internal:5432/shop","redis":"10.0.0.1:6379/0","schema":"onewrite"},"groups":[{"append_per_second":229.5,"applied_per_second":388.5,"dead":0,"lag":318,"name":"stock",\
                "oldest_pending_ms":2104,"oldest_unapplied_ms":3210,"partitions":[{"epoch":1,"error":null,"head":4012,"lag":2,"owner":"stock-a",\
                "partition":0,"pending":2,"position":4010,"refused":3,"state":"serving","token":7}],\
                "pending":64,"refused":4,"seconds_to_catch_up":2,"workers":["stock-a"]}],"memory":{"days_left":8.8,"deliveries":5,"log":600,"log_growth_per_day":40,"max":1000,"stock":null,"used":650,"window":20},"partitions":8,"postgres":{"version":"15.20"},"postgres_error":null,\
                "redis":{"version":"7.0.15"},"redis_error":null,"schema":"onewrite/status/v1",\
                "warnings":[{"code":"no-worker","group":"delivery","hint":"no worker: onewrite worker --group delivery"}]}
                """)
    }

    @Test("unknown is an explicit null, never zero and never left out")
    func unknownIsNull() throws {
        let unnamed = Snapshot.Environment(
            label: nil, color: nil, redis: "mymaster/0 (by Sentinel)", postgres: nil, namespace: "a", schema: "b")
        let snapshot = Snapshot(
            at: Date(timeIntervalSince1970: 0), environment: unnamed, partitions: nil,
            redis: .unreachable(error: "connection refused"),
            postgres: .notConfigured,
            groups: [
                Snapshot.Group(
                    name: "postgres", lag: nil, pending: nil, oldestPendingMilliseconds: nil, dead: nil,
                    appliedPerSecond: .infinity, workers: nil,
                    partitions: [
                        Snapshot.Partition(
                            partition: 0, epoch: nil, head: nil, position: nil, lag: nil, pending: nil, owner: nil,
                            token: nil)
                    ])
            ],
            warnings: [])
        #expect(
            try json(snapshot) == """
                {"at":"1970-01-01T00:00:00.000Z","environment":{"color":null,"label":null,"namespace":"a","postgres":null,\
                "redis":"mymaster/0 (by Sentinel)","schema":"b"},"groups":[{"append_per_second":null,"applied_per_second":null,"dead":null,"lag":null,\
                "name":"postgres","oldest_pending_ms":null,"oldest_unapplied_ms":null,"partitions":[{"epoch":null,"error":null,"head":null,\
                "lag":null,"owner":null,"partition":0,"pending":null,"position":null,"refused":null,"state":null,\
                "token":null}],"pending":null,"refused":null,"seconds_to_catch_up":null,"workers":null}],"memory":null,"partitions":null,"postgres":null,"postgres_error":null,\
                "redis":null,"redis_error":"connection refused","schema":"onewrite/status/v1","warnings":[]}
                """)
    }

    @Test("every millisecond of a second is written as it is, in spite of binary fractions")
    func milliseconds() throws {
        for millisecond in 0..<1000 {
            let date = Date(timeIntervalSince1970: 1_763_906_551 + Double(millisecond) / 1000)
            let snapshot = Snapshot(
                at: date, environment: Sample.stores, partitions: 1, redis: .notConfigured, postgres: .notConfigured,
                groups: [], warnings: [])
            let padded = String(String(1000 + millisecond).dropFirst())
            #expect(try json(snapshot).contains("\"at\":\"2025-11-23T14:02:31.\(padded)Z\""))
        }
    }

    @Test("a pending entry is the contract's line; a lost one has nulls")
    func pendingEntry() throws {
        var entry = PendingEntry(
            group: "delivery", partition: 2, entry: "1763905309512-0", seq: 3700, consumer: "worker-c",
            idleMilliseconds: 41_700, deliveries: 1, id: "ord-7714", type: "order.placed", state: .inFlight)
        #expect(
            try json(entry) == """
                {"consumer":"worker-c","deliveries":1,"entry":"1763905309512-0","group":"delivery","id":"ord-7714",\
                "idle_ms":41700,"partition":2,"seq":3700,"state":"in-flight","type":"order.placed"}
                """)
        entry.seq = nil
        entry.id = nil
        entry.type = nil
        entry.state = .lost
        #expect(
            try json(entry) == """
                {"consumer":"worker-c","deliveries":1,"entry":"1763905309512-0","group":"delivery","id":null,\
                "idle_ms":41700,"partition":2,"seq":null,"state":"lost","type":null}
                """)
    }
}
