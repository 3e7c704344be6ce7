import Coordination
import OrderLog
import PrivateServers
import RedisClient
import RedisLog
import TestSupport
import Testing

@Suite("Leases")
struct LeaseTests {
    private func member(_ world: World, _ name: String) throws -> GroupMembership {
        try GroupMembership(
            RedisConfiguration(url: world.servers.redis.url), keys: world.keys, group: .stock,
            worker: try #require(WorkerName(name)), term: LeaseTerm())
    }

    @Test("a lease has one holder, who alone renews it and gives it back")
    func oneHolder() async throws {
        try await withWorld { world in
            let a = try member(world, "a")
            let b = try member(world, "b")
            #expect(try await a.acquire(world.partition, gone: nil) == .acquired(from: nil))
            #expect(try await a.acquire(world.partition, gone: nil) == .acquired(from: nil), "its own")
            guard case .held(let holder, _) = try await b.acquire(world.partition, gone: nil) else {
                Issue.record("two hold one lease")
                return
            }
            #expect(holder.text == "a")
            try await b.release(world.partition)
            #expect(try await !b.renew(world.partition))
            #expect(try await a.renew(world.partition))
            try await a.release(world.partition)
            #expect(try await !a.renew(world.partition), "renewing never takes a lease")
            #expect(try await b.acquire(world.partition, gone: nil) == .acquired(from: nil))
        }
    }

    @Test("is taken from a holder only when nobody subscribes for it, and it was not renewed since it was seen")
    func taken() async throws {
        try await withWorld { world in
            let a = try member(world, "a")
            let b = try member(world, "b")
            _ = try await a.acquire(world.partition, gone: nil)
            guard case .held(let holder, let remaining) = try await b.acquire(world.partition, gone: nil) else {
                Issue.record("two hold one lease")
                return
            }
            guard case .held = try await b.acquire(world.partition, gone: (holder, remaining)) else {
                Issue.record("taken from a holder that subscribes")
                return
            }
            try await a.leave()
            guard case .held = try await b.acquire(world.partition, gone: (holder, .zero)) else {
                Issue.record("taken although it was renewed since")
                return
            }
            #expect(try await b.acquire(world.partition, gone: (holder, remaining)) == .acquired(from: holder))
        }
    }
}
