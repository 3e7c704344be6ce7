import RedisClient
import Testing
import ThreadedIO

@Suite("A subscription")
struct SubscriptionTests {
    private static func subscribers(of channel: String, seenBy observer: RedisSession) throws -> Int64 {
        try observer.call(RedisCommand("PUBSUB", "NUMSUB", channel), until: .soon).requireArray(count: 2)[1]
            .requireInteger()
    }

    @Test("is counted by the server while it lives, and not after")
    func presence() throws {
        let server = try RedisServer()
        let observer = try server.connect()
        var subscription: RedisSubscription? = try RedisSubscription(
            to: "worker-1", at: server.unix, until: .soon, interrupt: nil)
        #expect(subscription?.channel == "worker-1")
        #expect(try Self.subscribers(of: "worker-1", seenBy: observer) == 1)
        subscription = nil
        try waitUntil("nobody is subscribed") { try Self.subscribers(of: "worker-1", seenBy: observer) == 0 }
    }

    @Test("receives messages in order, and goes on after a wait without one")
    func messages() throws {
        let server = try RedisServer()
        let observer = try server.connect()
        let subscription = try RedisSubscription(to: "tea", at: server.unix, until: .soon, interrupt: nil)
        #expect(try subscription.receiveMessage(until: .after(.milliseconds(5))) == nil)
        #expect(subscription.isUsable)
        for text in ["green", "black"] { try observer.call(RedisCommand("PUBLISH", "tea", text), until: .soon) }
        #expect(try subscription.receiveMessage(until: .soon) == Array("green".utf8))
        #expect(try subscription.receiveMessage(until: .soon) == Array("black".utf8))
    }

    @Test("can ask whether it still stands, and keeps the messages that come before the answer")
    func alive() throws {
        let server = try RedisServer()
        let observer = try server.connect()
        let subscription = try RedisSubscription(to: "tea", at: server.tcp, until: .soon, interrupt: nil)
        for text in ["green", "black"] { try observer.call(RedisCommand("PUBLISH", "tea", text), until: .soon) }
        try subscription.checkAlive(until: .soon)
        try subscription.checkAlive(until: .soon)
        #expect(try subscription.receiveMessage(until: .soon) == Array("green".utf8))
        #expect(try subscription.receiveMessage(until: .soon) == Array("black".utf8))
        #expect(try subscription.receiveMessage(until: .after(.zero)) == nil)
    }

    @Test("notices that the server has dropped it")
    func lost() throws {
        let server = try RedisServer()
        let subscription = try RedisSubscription(to: "tea", at: server.unix, until: .soon, interrupt: nil)
        try server.connect().call(RedisCommand("CLIENT", "KILL", "ID", subscription.clientID), until: .soon)
        let error = try #require(throws: RedisError.self) { try subscription.checkAlive(until: .soon) }
        guard case .connectionLost = error else { throw error }
        #expect(!subscription.isUsable)
    }

    @Test("outlives an interrupt of its wait")
    func interrupted() throws {
        let server = try RedisServer()
        let interrupt = Interrupt()
        let subscription = try RedisSubscription(to: "tea", at: server.unix, until: .soon, interrupt: interrupt)
        interrupt.signal()
        #expect(throws: RedisError.interrupted) { try subscription.receiveMessage(until: .soon) }
        interrupt.clear()
        try subscription.checkAlive(until: .soon)
    }
}
