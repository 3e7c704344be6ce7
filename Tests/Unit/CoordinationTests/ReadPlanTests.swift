import OrderLog
import Testing

@testable import Coordination

@Suite("The read plan")
struct ReadPlanTests {
    private let start = ContinuousClock.now
    private let budget = ReadBudget(entries: 1000)
    private let partitions = (0..<64).map { Partition($0) }
    private let p = Partition(7)

    private func next(_ plan: inout ReadPlan, _ budget: ReadBudget? = nil) -> ReadPlan.Read {
        plan.next(of: partitions, within: budget ?? self.budget, now: start)
    }

    /// A plan that has just learnt of some partitions that have more than was read.
    private func plan(busy: [Partition]) -> ReadPlan {
        var plan = ReadPlan()
        let read = next(&plan)
        plan.note(read, brought: busy.map { ($0, read.limit) })
        return plan
    }

    @Test("asks everybody, and may wait, while nobody has work")
    func idle() {
        var plan = ReadPlan()
        for _ in 0..<3 {
            let read = next(&plan)
            #expect(read.partitions == partitions && !read.isOfBusy && read.limit == 15)
            plan.note(read, brought: [(p, 3)])
            #expect(!plan.hasMore)
        }
        #expect(plan.others(of: partitions, within: budget, now: start + .seconds(60)) == nil)
    }

    @Test("gives the one that has work the whole budget, for as long as it brings more than its small share")
    func busyOne() {
        var plan = plan(busy: [p])
        for count in [1000, 999, 15] {
            let read = next(&plan)
            #expect(read.partitions == [p] && read.limit == 1000 && read.isOfBusy)
            plan.note(read, brought: [(p, count)])
            #expect(plan.hasMore == (count == 1000))
        }
        plan.note(next(&plan), brought: [(p, 14)])
        #expect(!next(&plan).isOfBusy)
    }

    @Test("forgets the one that has nothing any more")
    func nothing() {
        var plan = plan(busy: [p])
        plan.note(next(&plan), brought: [])
        #expect(!plan.hasMore && next(&plan).partitions == partitions)
    }

    @Test("asks the others in time, and no oftener, whatever is under way")
    func others() throws {
        var plan = plan(busy: [p])
        let rest = max(ReadPlan.restMin, ReadPlan.restPerPartition * 64)
        #expect(plan.others(of: partitions, within: budget, now: start + rest * 0.9) == nil)
        let underWay = next(&plan)
        let due = plan.others(of: partitions, within: budget, now: start + rest)
        let others = try #require(due)
        #expect(others.partitions == partitions.filter { $0 != p } && !others.isOfBusy && others.limit == 15)
        plan.note(others, brought: [(Partition(2), 15), (Partition(3), 14)])
        #expect(plan.others(of: partitions, within: budget, now: start + rest * 1.5) == nil)
        plan.note(underWay, brought: [(p, 1000)])
        #expect(next(&plan).partitions == [Partition(2), p])
    }

    @Test("of many that have work each gets its turn, and a read never comes to more than the budget")
    func turns() {
        var plan = plan(busy: partitions)
        #expect(plan.others(of: partitions, within: budget, now: start + .seconds(60)) == nil)
        for _ in 0..<2 {
            var asked: [Partition] = []
            for _ in 0..<(64 / ReadPlan.busyPerRead) {
                let read = next(&plan)
                #expect(read.partitions.count * read.limit == 1000)
                asked += read.partitions
                plan.note(read, brought: read.partitions.map { ($0, read.limit) })
            }
            #expect(asked == partitions)
        }
    }

    @Test("large entries: as many partitions as entries, and one of each")
    func largeEntries() {
        var plan = plan(busy: partitions)
        let read = next(&plan, ReadBudget(entries: 3))
        #expect(read.partitions.count == 3 && read.limit == 1)
    }

    @Test("a partition that shows more than was read is asked next, and one that isn't served any more not at all")
    func expected() {
        var plan = ReadPlan()
        plan.expect(p)
        #expect(!plan.hasMore && next(&plan).partitions == [p])
        plan.forget(p)
        #expect(next(&plan).partitions == partitions)
    }

    @Test(
        "an equal share is bounded by the budget, but worth asking for",
        arguments: [
            (1000, 1, 1000), (1000, 8, 125), (1000, 64, 15), (14_000, 64, 16), (14_000, 1024, 13), (200, 1024, 1),
        ])
    func share(_ entries: Int, _ partitions: Int, _ share: Int) {
        #expect(ReadBudget(entries: entries).share(of: partitions) == share)
    }
}
