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

    @Test("of nobody is nothing")
    func nobody() throws {
        let share = FairShare(of: try partitions(4), among: [WorkerName]())
        #expect(share.partitions(of: try #require(WorkerName("w"))).isEmpty)
    }
}
