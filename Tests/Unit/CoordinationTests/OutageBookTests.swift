import Coordination
import OrderLog
import Testing

@Suite("What a worker says of outages")
struct OutageBookTests {
    private let start = ContinuousClock.now

    /// A book, a clock that is set by hand, and what was said.
    private struct Teller {
        var book = OutageBook()
        var now: ContinuousClock.Instant
        var said: [String] = []

        mutating func note(
            _ subject: OutageSubject, _ reason: String, _ witness: Witness, isPressing: Bool = false
        ) {
            if let line = book.note(subject, reason, by: witness, isPressing: isPressing, at: now) {
                said.append(line.text)
            }
        }

        mutating func over(_ witness: Witness, with server: StoreError.Store? = nil) {
            said += book.over(for: witness, with: server, at: now).map(\.text)
        }

        mutating func pass(_ duration: Duration) { now = now.advanced(by: duration) }
    }

    private func stalled(_ reason: String) -> OutageSubject { .partitions(reason: reason, isHalted: false) }

    @Test("a server's outage is one line when it begins and one when all have it back, whoever meets it how often")
    func server() {
        var teller = Teller(now: start)
        for _ in 0..<10 {
            for witness in [Witness.lane(0), .coordinator, .lane(1)] {
                teller.note(.server(.redis), "connection refused", witness)
                teller.pass(.milliseconds(400))
            }
        }
        teller.over(.coordinator)
        teller.over(.lane(1))
        #expect(teller.said == ["waiting for Redis: connection refused"])
        teller.pass(.milliseconds(300))
        teller.over(.lane(0))
        teller.over(.lane(0))
        #expect(teller.said.dropFirst() == ["Redis is back after 12.3 s"])
    }

    @Test("one that goes on is told again once a minute, with its length and the latest reason")
    func reminder() {
        var teller = Teller(now: start)
        for second in 0..<150 {
            teller.note(.server(.postgres), second < 30 ? "connection refused" : "starting up", .lane(second % 3))
            teller.pass(.seconds(1))
        }
        #expect(
            teller.said == [
                "waiting for Postgres: connection refused",
                "still waiting for Postgres, for 1 min 0 s: starting up",
                "still waiting for Postgres, for 2 min 0 s: starting up",
            ])
    }

    @Test("what needs a person is told also in the middle of an outage, once")
    func pressing() {
        var teller = Teller(now: start)
        teller.note(.server(.redis), "hung up", .lane(0))
        for _ in 0..<5 { teller.note(.server(.redis), "it is a replica of b:6379", .lane(0), isPressing: true) }
        #expect(teller.said == ["waiting for Redis: hung up", "waiting for Redis: it is a replica of b:6379"])
    }

    @Test("a thread that notices late begins no second outage; one that lasts is told")
    func late() {
        var teller = Teller(now: start)
        teller.note(.server(.redis), "hung up", .lane(0))
        teller.over(.lane(0))
        let first = teller.said
        #expect(first.count == 2)
        teller.pass(.seconds(1))
        teller.note(.server(.redis), "hung up", .coordinator)
        teller.pass(.milliseconds(100))
        teller.over(.coordinator)
        #expect(teller.said == first)
        for _ in 0..<30 {
            teller.note(.server(.redis), "connection refused", .coordinator)
            teller.pass(.milliseconds(100))
        }
        teller.over(.coordinator)
        #expect(teller.said.dropFirst(2) == ["waiting for Redis: connection refused", "Redis is back after 3.0 s"])
    }

    @Test("partitions that wait for one reason are one line, and one when the last of them is served again")
    func partitions() {
        var teller = Teller(now: start)
        let partitions = (0..<10).map { Witness.partition(Partition($0)) }
        for partition in partitions { teller.note(stalled("the log is closed"), "the log is closed", partition) }
        teller.pass(.seconds(2))
        for partition in partitions.dropLast() { teller.over(partition) }
        #expect(teller.said == ["partition 0: the log is closed. Trying again"])
        teller.over(partitions[9])
        #expect(teller.said.dropFirst() == ["partitions 0 1 2 3 4 5 6 7 and 2 more: serving again after 2.0 s"])
    }

    @Test("one partition's own trouble has its own line; going to and fro between reasons is told once a minute")
    func reasons() {
        var teller = Teller(now: start)
        let (one, other) = (Witness.partition(Partition(1)), Witness.partition(Partition(2)))
        teller.note(stalled("a wrong type"), "a wrong type", one)
        for _ in 0..<10 {
            teller.note(stalled("closed"), "closed", other)
            teller.note(stalled("being opened"), "being opened", other)
            teller.pass(.seconds(1))
        }
        #expect(
            teller.said == [
                "partition 1: a wrong type. Trying again", "partition 2: closed. Trying again",
                "partition 2: being opened. Trying again",
            ])
        teller.over(other)
        #expect(teller.said.last == "partition 2: serving again after 10.0 s")
        teller.book.forget(one)
        teller.over(one)
        #expect(teller.said.count == 4)
    }

    @Test("an outage that the last one in it forgets is over for the next who was in it, and told so")
    func forgotten() {
        var book = OutageBook()
        func at(_ seconds: Int) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }
        #expect(book.note(.server(.redis), "gone", by: .coordinator, at: at(0))?.text == "waiting for Redis: gone")
        #expect(book.note(.server(.redis), "gone", by: .lane(0), at: at(0)) == nil)
        // It is well while the lane still is not; then the lane, which lost its partitions, asks no more.
        #expect(book.over(for: .coordinator, at: at(2)).isEmpty)
        book.forget(.lane(0))
        #expect(book.over(for: .lane(1), at: at(3)).isEmpty, "who never met it knows nothing of it")
        #expect(book.over(for: .coordinator, at: at(3)).map(\.text) == ["Redis is back after 3.0 s"])
        #expect(book.over(for: .coordinator, at: at(4)).isEmpty)
    }

    @Test("a halted partition is an error, and told once")
    func halted() {
        var book = OutageBook()
        let subject = OutageSubject.partitions(reason: "seqs 3 4 are missing", isHalted: true)
        let witness = Witness.partition(Partition(5))
        let line = book.note(subject, "seqs 3 4 are missing", by: witness, at: start)
        #expect(line?.level == .error && line?.text == "halted: seqs 3 4 are missing")
        let again = book.note(subject, "seqs 3 4 are missing", by: witness, at: start.advanced(by: .seconds(5)))
        #expect(again == nil)
        let end = book.over(for: witness, at: start.advanced(by: .seconds(3700)))
        #expect(end.map(\.text) == ["partition 5: serving again after 1 h 1 min"])
    }

    @Test("Redis is back for a thread that waits for Postgres next")
    func next() {
        var teller = Teller(now: start)
        teller.note(.server(.redis), "refused", .lane(0))
        teller.pass(.seconds(1))
        teller.over(.lane(0), with: .redis)
        teller.note(.server(.postgres), "refused", .lane(0))
        teller.pass(.seconds(1))
        teller.over(.lane(0))
        #expect(
            teller.said == [
                "waiting for Redis: refused", "Redis is back after 1.0 s", "waiting for Postgres: refused",
                "Postgres is back after 1.0 s",
            ])
    }
}
