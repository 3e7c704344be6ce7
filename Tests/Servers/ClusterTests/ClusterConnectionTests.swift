import Foundation
import OrderLog
import PrivateServers
import RedisClient
import RedisLog
import TestSupport
import Testing
import ThreadedIO

/// One cluster for all of the suite.
@Suite("A connection to a Redis Cluster", .serialized)
struct ClusterConnectionTests {
    /// Keys of one slot each, spread over the masters.
    private static let keys = (0..<12).map { "{onewrite:\($0)}:log" }

    private func with(
        masters: Int = 3, hasReplicas: Bool = false, options: [String] = [], hasTLS: Bool = false,
        _ body: @Sendable (PrivateCluster, RedisConnection) async throws -> Void
    ) async throws {
        let directory = try await PrivateDirectory()
        var tls: PrivateTLS?
        if hasTLS {
            let authority = try await PrivateAuthority(in: directory)
            tls = PrivateTLS(
                try await authority.issue("redis", holding: ["DNS:localhost", "IP:127.0.0.1"]), of: authority)
        }
        let cluster = try await PrivateCluster.start(
            in: directory, masters: masters, hasReplicas: hasReplicas, options: options, tls: tls)
        do {
            let lane = Lane()
            try await lane.run { _ in
                try await body(
                    cluster,
                    try RedisConnection(
                        connectingTo: RedisConfiguration(url: cluster.url), until: .after(.seconds(10)), interrupt: nil)
                )
            }
        } catch {
            await cluster.stop()
            await directory.remove()
            throw error
        }
        await cluster.stop()
        await directory.remove()
    }

    @Test("sends each command to whoever has its key, and hands the replies out in the order of the commands")
    func routes() async throws {
        try await with { cluster, redis in
            #expect(redis.isCluster && redis.isUsable)
            #expect(redis.masters.count == 3)
            for (index, key) in Self.keys.enumerated() { redis.send(RedisCommand("SET", key, index)) }
            for key in Self.keys { redis.send(RedisCommand("GET", key)) }
            for _ in Self.keys { #expect(try redis.receive(until: .soon).string == "OK") }
            for index in Self.keys.indices { #expect(try redis.receive(until: .soon).string == "\(index)") }
            let replies = try redis.pipeline(
                [
                    RedisCommand("MULTI"), RedisCommand("GET", Self.keys[5]), RedisCommand("EXEC"),
                    RedisCommand("GET", Self.keys[7]), RedisCommand("PING"),
                ], until: .soon)
            #expect(replies[2][0].string == "5")
            #expect(replies[3].string == "7")
            var found: Set<String> = []
            try redis.forEachKey(like: "{onewrite:*") { names in found.formUnion(names.compactMap(\.string)) }
            #expect(found == Set(Self.keys))
            for node in cluster.masters { #expect(try await node.ask("DBSIZE") != "0") }
            let script = RedisScript(name: "set", source: "return redis.call('SET', KEYS[1], ARGV[1])")
            for round in 0..<3 {
                for key in Self.keys {
                    #expect(try redis.evaluate(script, keys: [key], arguments: [round], until: .soon).string == "OK")
                }
            }
            for key in Self.keys {
                redis.sendEvaluate(script, keys: [key], arguments: ["last"])
                redis.send(RedisCommand("GET", key))
            }
            for _ in Self.keys {
                #expect(try redis.receive(until: .soon).string == "OK")
                #expect(try redis.receive(until: .soon).string == "last")
            }
        }
    }

    /// How nodes name each other to clients.
    enum Naming: String, CaseIterable {
        case hostNames, hostNamesWithTLS, addressesWithTLS, addressesOfIPv6, nothing

        var options: [String] {
            switch self {
            case .hostNames, .hostNamesWithTLS:
                ["cluster-announce-hostname localhost", "cluster-preferred-endpoint-type hostname"]
            case .addressesWithTLS: []
            case .addressesOfIPv6: ["bind 127.0.0.1 ::1", "cluster-announce-ip ::1"]
            // Behind a balancer, for example: as whom the client asked.
            case .nothing: ["cluster-preferred-endpoint-type unknown-endpoint"]
            }
        }

        /// Not every container has IPv6.
        var isPossible: Bool {
            self != .addressesOfIPv6 || FileManager.default.contents(atPath: "/proc/net/if_inet6")?.isEmpty == false
        }

        var host: String {
            switch self {
            case .hostNames, .hostNamesWithTLS: "localhost"
            case .addressesWithTLS, .nothing: "127.0.0.1"
            case .addressesOfIPv6: "::1"
            }
        }
    }

    @Test(
        "goes to nodes by the names that they give themselves, also where a slot has moved",
        arguments: Naming.allCases.filter(\.isPossible))
    func naming(_ naming: Naming) async throws {
        let hasTLS = [.hostNamesWithTLS, .addressesWithTLS].contains(naming)
        // Not every build of a server has it.
        if hasTLS, try await !RedisProgram.knowsTLS() { return }
        try await with(options: naming.options, hasTLS: hasTLS) { cluster, redis in
            for key in Self.keys { try redis.call(RedisCommand("SET", key, 1), until: .soon) }
            let sessions = try redis.sessions(until: .soon)
            #expect(sessions.count == 3)
            for session in sessions { #expect(session.address.contains(naming.host), "\(session.address)") }
            for node in cluster.masters { #expect(try await node.ask("DBSIZE") != "0") }
            let slot = try await cluster.slot(of: Self.keys[0])
            let source = try await cluster.owner(ofSlot: slot)
            let target = try #require(cluster.masters.first { $0 !== source })
            let before = try #require(Int(try await target.ask("DBSIZE")))
            try await cluster.move(slot: slot, to: target)
            for key in Self.keys { #expect(try redis.call(RedisCommand("GET", key), until: .soon).string == "1") }
            #expect(try await target.ask("DBSIZE") == "\(before + 1)")
            #expect(try redis.isAuthoritative(for: Self.keys[0], until: .soon))
        }
    }

    @Test("what is written behind the answer to a read that is under way is read at once")
    func writtenBehindAnAnswer() async throws {
        try await with(masters: 1) { _, redis in
            let keys = try #require(Keys(namespace: "onewrite"))
            let partitions = [Partition(0), Partition(1)]
            for partition in partitions {
                try redis.call(
                    RedisCommand("XGROUP", "CREATE", keys.log(partition), "stock", "0", "MKSTREAM"), until: .soon)
            }
            let log = StreamLog(redis, keys: keys, group: .stock, consumer: try #require(WorkerName("a")))
            // All are asked, and so soon not again.
            #expect(try await log.read(from: partitions, limit: 10, wait: .milliseconds(1)).isEmpty)
            try await log.sendRead(from: [partitions[0]], limit: 10)
            try redis.call(RedisCommand("XADD", keys.log(partitions[0]), "*", "a", "b"), until: .soon)
            try redis.call(RedisCommand("SPUBLISH", keys.log(partitions[0]), ""), until: .soon)
            // Another read hears of it first.
            #expect(try await log.read(from: [partitions[1]], limit: 10, wait: .zero).isEmpty)
            #expect(try await log.receiveRead().isEmpty)
            let start = ContinuousClock.now
            #expect(try await log.read(from: partitions, limit: 10, wait: .seconds(60)).map(\.count) == [1])
            #expect(start.duration(to: .now) < .seconds(30), "it waited until all are asked")
        }
    }

    @Test("follows a slot that moves: while its keys are half here and half there, and afterwards")
    func slotMoves() async throws {
        try await with { cluster, redis in
            let key = Self.keys[3]
            let (slot, other) = (try await cluster.slot(of: key), "{onewrite:3}:head")
            _ = try redis.pipeline([RedisCommand("SET", key, 1), RedisCommand("SET", other, 2)], until: .soon)
            let source = try await cluster.owner(ofSlot: slot)
            let target = try #require(cluster.masters.first { $0 !== source })
            let generation = redis.generation
            var looks = 0
            try await cluster.move(slot: slot, to: target) {
                // Either key is found wherever it is, and a new one is made where it will be.
                let found = try [key, other].map { try redis.call(RedisCommand("GET", $0), until: .soon).string }
                #expect(found == ["1", "2"])
                looks += 1
                guard looks == 1 else { return }
                // Both at once are nowhere.
                let error = #expect(throws: RedisError.self) {
                    try redis.call(RedisCommand("MGET", key, other), until: .soon)
                }
                guard case .nodeFailed(_, let reason, outcomeIsUnknown: false) = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(reason.hasPrefix("TRYAGAIN"))
            }
            #expect(looks == 2)
            #expect(try await cluster.owner(ofSlot: slot) === target)
            #expect(
                try redis.call(RedisCommand("MGET", key, other), until: .soon).elements.map(\.string) == ["1", "2"])
            #expect(redis.generation > generation)
            #expect(try redis.session(for: key, until: .soon).address == "127.0.0.1:\(target.port ?? 0)/0")
            #expect(try redis.isAuthoritative(for: key, until: .soon))
        }
    }

    @Test(
        "a node that is gone fails its own commands, at once after the first; the others go on; it is found when it is back"
    )
    func nodeFails() async throws {
        try await with { cluster, redis in
            for key in Self.keys { try redis.call(RedisCommand("SET", key, 1), until: .soon) }
            let dead = try await cluster.owner(ofSlot: try await cluster.slot(of: Self.keys[0]))
            // Else the others would refuse everything with it.
            for node in cluster.masters { try await node.ask("CONFIG", "SET", "cluster-require-full-coverage", "no") }
            var lost: Set<String> = []
            for key in Self.keys where try await cluster.owner(ofSlot: try await cluster.slot(of: key)) === dead {
                lost.insert(key)
            }
            #expect(!lost.isEmpty && lost.count < Self.keys.count)
            await dead.kill()
            for _ in 0..<3 {
                for key in Self.keys { redis.send(RedisCommand("GET", key)) }
                for key in Self.keys {
                    if lost.contains(key) {
                        let error = #expect(throws: RedisError.self) { try redis.receive(until: .soon) }
                        guard case .nodeFailed = error else {
                            Issue.record("\(String(describing: error))")
                            return
                        }
                    } else {
                        #expect(try redis.receive(until: .soon).string == "1")
                    }
                }
            }
            #expect(redis.isUsable)
            try await dead.restart()
            try await eventually("the node serves again") {
                do {
                    return try redis.call(RedisCommand("GET", Self.keys[0]), until: .soon).string == "1"
                } catch is RedisError {
                    return false
                }
            }
        }
    }

    @Test("says that a single server is no cluster, and needs one node of those that are named")
    func wrongPlaces() async throws {
        let directory = try await PrivateDirectory()
        let single = try await PrivateRedis.start(in: directory, tcp: true)
        let lane = Lane()
        try await lane.run { _ in
            let place = "127.0.0.1:\(single.port ?? 0)"
            let error = #expect(throws: RedisError.self) {
                try RedisConnection(
                    connectingTo: RedisConfiguration(url: "redis+cluster://\(place),127.0.0.1:1"),
                    until: .soon, interrupt: nil)
            }
            guard case .sessionFailed(_, let reason, passes: false) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(reason.contains("no cluster"))
        }
        await single.stop()
        await directory.remove()
    }

    @Test("hears of what is written to any of its streams in one wait, and again after a stream has moved")
    func listens() async throws {
        try await with { cluster, redis in
            let listener = ShardListener(redis)
            try listener.listen(to: Self.keys)
            #expect(Self.keys.allSatisfy(listener.hears))
            #expect(listener.wait(until: Deadline(.now), interrupt: nil).isEmpty)
            for key in [Self.keys[2], Self.keys[9]] {
                try redis.call(RedisCommand("SPUBLISH", key, ""), until: .soon)
            }
            var told: Set<String> = []
            while told.count < 2 { told.formUnion(listener.wait(until: .soon, interrupt: nil)) }
            #expect(told == [Self.keys[2], Self.keys[9]])
            let bell = Interrupt()
            bell.signal()
            #expect(listener.wait(until: .soon, interrupt: bell).isEmpty)
            let slot = try await cluster.slot(of: Self.keys[2])
            let source = try await cluster.owner(ofSlot: slot)
            try await cluster.move(slot: slot, to: try #require(cluster.masters.first { $0 !== source }))
            // The server ends the subscription, which tells that there may be something.
            #expect(listener.wait(until: .soon, interrupt: nil) == [Self.keys[2]])
            #expect(!listener.hears(Self.keys[2]))
            try await eventually("the stream is listened to where it is now") {
                try listener.listen(to: Self.keys)
                return listener.hears(Self.keys[2])
            }
            try redis.call(RedisCommand("SPUBLISH", Self.keys[2], ""), until: .soon)
            #expect(listener.wait(until: .soon, interrupt: nil) == [Self.keys[2]])
        }
    }

    @Test("only a majority of the masters makes a node the one to open a log on")
    func majority() async throws {
        try await with { cluster, redis in
            let key = Self.keys[0]
            #expect(try redis.isAuthoritative(for: key, until: .soon))
            let owner = try await cluster.owner(ofSlot: try await cluster.slot(of: key))
            let others = cluster.masters.filter { $0 !== owner }
            await others[0].kill()
            #expect(try redis.isAuthoritative(for: key, until: .soon), "two of three")
            await others[1].kill()
            let error = #expect(throws: RedisError.self) {
                try redis.isAuthoritative(for: key, until: .after(.seconds(3)))
            }
            guard case .nodeFailed(_, let reason, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(reason.contains("majority"))
        }
    }
}

/// The thread that blocks on the connection.
private actor Lane {
    private let executor = ThreadExecutor(name: "cluster")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    func run(_ body: @Sendable (isolated Lane) async throws -> Void) async throws { try await body(self) }
}

extension Deadline {
    fileprivate static var soon: Deadline { .after(.seconds(20)) }
}
