import Coordination
import OrderLog
import RedisLog
import Testing

@Suite("Reading ahead")
struct ReadAheadTests {
    @Test("who is known to have entries comes to the turn, although the others bring some each time")
    func fairness() async throws {
        try await withWorld { world in
            let worker = try world.session(.stock, "a")
            let ports = SessionPorts(
                identity: world.identity, owner: try #require(WorkerName("a")), log: worker.log, sink: worker.sink,
                ledger: nil, pacing: TestPacing())
            // Behind the one that the log has.
            let partitions = (1...4).map { Partition($0) }
            var sessions = Sessions()
            for partition in partitions {
                sessions[partition] = PartitionSession(partition, ports, lease: world.lease)
                try world.call("XGROUP", "CREATE", world.keys.log(partition), "stock", "0", "MKSTREAM")
            }
            let ahead = ReadAhead(worker.log)
            // What a look at its head tells, and what a read leaves that brought less than its limit.
            ahead.expect(partitions[3])
            try world.call("XADD", world.keys.log(partitions[3]), "*", "a", "b")
            for round in 0..<3 {
                for partition in partitions.prefix(3) {
                    try world.call("XADD", world.keys.log(partition), "*", "a", "b")
                }
                // The others' entries take so long that they are due again.
                let now = ContinuousClock.now + .seconds(round)
                let request = ReadAhead.Request(sessions: sessions, budget: ReadBudget(entries: 400), now: now)
                try await ahead.fill(request, wait: .milliseconds(1))
                var counts: [Partition: Int] = [:]
                while let part = ahead.take() { counts[part.session.partition] = try part.entries().count }
                #expect(partitions.map { counts[$0] ?? 0 } == [1, 1, 1, round == 0 ? 1 : 0], "round \(round)")
            }
        }
    }
}
