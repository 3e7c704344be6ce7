import Coordination
import OrderLog
import Testing

@Suite("The fair share")
struct FairShareTests {
    private func names(_ count: Int) throws -> [WorkerName] {
        try (0..<count).map { try #require(WorkerName("w\($0)")) }
    }

    private func partitions(_ count: Int) throws -> [Partition] {
        try #require(Partitioning(count: count)).all
    }

    @Test("gives every partition to one worker, and nobody more than one above another", arguments: [1, 2, 3, 7, 20])
    func even(_ workers: Int) throws {
        let names = try names(workers)
        let all = try partitions(16)
        let share = FairShare(of: all, among: names)
        let shares = names.map { share.partitions(of: $0) }
        #expect(shares.reduce(0) { $0 + $1.count } == 16)
        #expect(shares.reduce(into: Set()) { $0.formUnion($1) } == Set(all))
        let counts = shares.map(\.count)
        #expect(try #require(counts.max()) - (try #require(counts.min())) <= 1)
    }

    @Test("is the same whatever the order in which a worker sees the others")
    func orderless() throws {
        let names = try names(5)
        let all = try partitions(32)
        #expect(FairShare(of: all, among: names) == FairShare(of: all, among: names.reversed()))
    }

    @Test("moves few partitions when a worker leaves")
    func stable() throws {
        let names = try names(4)
        let all = try partitions(64)
        let before = FairShare(of: all, among: names)
        let after = FairShare(of: all, among: names.dropLast())
        let kept = names.dropLast().reduce(0) {
            $0 + before.partitions(of: $1).intersection(after.partitions(of: $1)).count
        }
        #expect(kept >= 40, "48 partitions were with those who stayed; \(kept) stayed with them")
    }

    @Test("never changes between builds: workers of two share one log in a rolling upgrade", arguments: [2, 5, 9])
    func lasting(_ workers: Int) throws {
        let names = try names(workers)
        let all = try partitions(24)
        var expected: [Partition: WorkerName] = [:]
        var loads: [WorkerName: Int] = [:]
        let pairs = names.flatMap { name in all.map { (name, $0) } }
        for (name, partition) in pairs.sorted(by: { Self.score($0) > Self.score($1) }) where expected[partition] == nil
        {
            let load = loads[name, default: 0]
            let extras = loads.values.count { $0 > 24 / workers }
            guard load < 24 / workers || load == 24 / workers && extras < 24 % workers else { continue }
            loads[name] = load + 1
            expected[partition] = name
        }
        let share = FairShare(of: all, among: names)
        for name in names {
            #expect(share.partitions(of: name) == Set(expected.filter { $0.value == name }.keys))
        }
    }

    /// FNV-1a of `worker#partition`, and a mixer.
    private static func score(_ pair: (WorkerName, Partition)) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in "\(pair.0)#\(pair.1)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
        return hash ^ hash >> 33
    }

    @Test("of nobody is nothing")
    func nobody() throws {
        let share = FairShare(of: try partitions(4), among: [WorkerName]())
        #expect(share.partitions(of: try #require(WorkerName("w"))).isEmpty)
    }
}
