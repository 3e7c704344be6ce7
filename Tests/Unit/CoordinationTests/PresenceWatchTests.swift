import Coordination
import OrderLog
import Testing

@Suite("Presence")
struct PresenceWatchTests {
    private let start = ContinuousClock.Instant.now
    private let patience: Duration = .seconds(10)

    private func member(_ name: String, subscribers: Int = 1, silence: Duration = .zero) throws -> Member {
        Member(name: try #require(WorkerName(name)), silence: silence, subscribers: subscribers)
    }

    @Test("a worker without a subscription is gone at the second look, not at the first")
    func twoLooks() throws {
        var watch = PresenceWatch()
        let members = [try member("a"), try member("b", subscribers: 0)]
        let first = watch.observe(members, now: start, patience: patience)
        #expect(first.gone.isEmpty)
        #expect(first.present.map(\.text) == ["a", "b"])
        let early = watch.observe(members, now: start + .milliseconds(50), patience: patience)
        #expect(early.gone.isEmpty)
        let second = watch.observe(members, now: start + .milliseconds(100), patience: patience)
        #expect(second.gone.map(\.text) == ["b"])
        #expect(second.present.map(\.text) == ["a"])
    }

    @Test("a subscription that comes back between two looks starts the count anew")
    func comesBack() throws {
        var watch = PresenceWatch()
        _ = watch.observe([try member("b", subscribers: 0)], now: start, patience: patience)
        _ = watch.observe([try member("b")], now: start + .milliseconds(60), patience: patience)
        let last = watch.observe([try member("b", subscribers: 0)], now: start + .milliseconds(120), patience: patience)
        #expect(last.gone.isEmpty)
    }

    @Test("nobody is gone during the grace behind a restart of the server")
    func grace() throws {
        var watch = PresenceWatch()
        watch.grace(until: start + .seconds(3))
        let members = [try member("b", subscribers: 0)]
        for step in 0..<30 {
            #expect(watch.observe(members, now: start + .milliseconds(100 * step), patience: patience).gone.isEmpty)
        }
        _ = watch.observe(members, now: start + .milliseconds(3000), patience: patience)
        #expect(watch.observe(members, now: start + .milliseconds(3100), patience: patience).gone.count == 1)
    }

    @Test("a worker whose heart stands still has no share, though its connections are open")
    func stuck() throws {
        var watch = PresenceWatch()
        let looks = watch.observe([try member("a", silence: .seconds(11))], now: start, patience: patience)
        #expect(looks.present.isEmpty)
        #expect(looks.gone.isEmpty, "its lease runs out by itself")
    }
}

@Suite("Leases and pauses")
struct LeaseTests {
    @Test("a lease counts from when its renewal was sent, and ends a margin early")
    func usable() {
        let start = ContinuousClock.Instant.now
        let lease = Lease(term: LeaseTerm(duration: .seconds(10)), sent: start)
        #expect(lease.isUsable(at: start + .milliseconds(7999)))
        #expect(!lease.isUsable(at: start + .seconds(8)))
        lease.renew(sent: start + .seconds(3))
        #expect(lease.isUsable(at: start + .milliseconds(10_999)))
        lease.renew(sent: start + .seconds(1))
        #expect(lease.isUsable(at: start + .milliseconds(10_999)), "an older renewal takes nothing back")
    }

    @Test("pauses grow to their bound, are never the same for all, and start anew after a success")
    func backoff() {
        var generator = SystemRandomNumberGenerator()
        var backoff = Backoff(first: .milliseconds(50), most: .seconds(5))
        for attempt in 0..<40 {
            let bound = min(.seconds(5), Duration.milliseconds(50) * (1 << min(attempt, 20)))
            let pause = backoff.next(using: &generator)
            #expect(pause <= bound && pause >= bound * 0.09)
        }
        backoff.reset()
        #expect(backoff.next(using: &generator) <= .milliseconds(50))
    }
}
