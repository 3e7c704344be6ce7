import OrderLog
import PrivateServers
import RedisClient
import RedisLog
import Testing
import TestSupport
import ThreadedIO

@Suite("The idempotency window")
struct WindowTests {
    private static let soon = Duration.seconds(5)

    private func outcomes(_ world: World, _ ids: [String], format: LogFormat = .names) throws -> [String] {
        let identity = LogIdentity(partitioning: world.identity.partitioning, log: world.identity.log, format: format)
        let appender = Appender(world.redis, keys: world.keys, identity: identity, window: .seconds(3600))
        let reply = try appender.append(
            ids.map { try world.order($0) }, to: world.partition, until: .after(Self.soon))
        guard case .appended(_, let results) = reply else { return ["\(reply)"] }
        return results.map(\.outcome.rawValue)
    }

    private func type(_ world: World, _ key: String) throws -> String? { try world.call("TYPE", key).string }

    private func generations(_ world: World) throws -> [String] {
        (try world.call("GET", world.keys.seen(world.partition)).string ?? "").split(separator: " ").map(String.init)
    }

    /// Says of the window's newest generation how many buckets it has, and how many changes it took.
    private func pretend(_ world: World, _ count: Int, in buckets: Int) throws {
        var words = try generations(world)
        words[2] = String(buckets)
        try world.call("SET", world.keys.seen(world.partition), words.joined(separator: " "))
        try world.call("HSET", world.keys.head(world.partition), "seq", String((Int(words[3]) ?? 0) + count))
    }

    @Test("the one hash of an older log is written to until it is due, and known for as long as ever")
    func older() async throws {
        try await withWorld { world in
            let (seen, old) = (world.keys.seen(world.partition), world.keys.seenBefore(world.partition))
            #expect(try outcomes(world, ["a", "b c", "a"], format: .trimmed) == ["accepted", "accepted", "duplicate"])
            let record = try #require(try world.window.records()[Array("main a".utf8)])
            let change = try world.order("a")
            #expect(String(decoding: record, as: UTF8.self).hasPrefix("\(Digest(of: change)) 1 "))
            #expect(try outcomes(world, ["a", "c"]) == ["duplicate", "accepted"])
            #expect(try type(world, seen) == "hash")
            // Where the log is of an older format it stays one hash; from the newer format on it ends with the window.
            try world.window.age()
            #expect(try outcomes(world, ["d"], format: .trimmed) == ["accepted"])
            #expect(try type(world, seen) == "hash" && type(world, old) == "hash")
            try world.window.age()
            #expect(try outcomes(world, ["e", "d", "f"]) == ["accepted", "duplicate", "accepted"])
            #expect(try type(world, seen) == "string" && type(world, old) == "hash")
            #expect(try generations(world)[4] == "old")
            // Also for who still takes the log for one of the older format.
            #expect(try outcomes(world, ["e", "d"], format: .trimmed) == ["duplicate", "duplicate"])
            let known = try IdempotencyWindow(world.redis, world.keys)
                .known(["main d", "main e", "main a"], in: world.partition, until: .after(Self.soon))
            #expect(known.map { $0?.seq } == [Seq(4), Seq(5), nil])
            let digest = Digest(of: try world.order("d"))
            #expect(known[0]?.digest == digest)
            try world.window.age()
            #expect(try outcomes(world, ["g", "e"]) == ["accepted", "duplicate"])
            #expect(try type(world, old) == "none")
            #expect(try outcomes(world, ["d"]) == ["accepted"], "forgotten")
        }
    }

    @Test("a build that knows the one hash only fails before it writes anything, once it is in buckets")
    func formerBuild() async throws {
        try await withWorld { world in
            _ = try outcomes(world, ["a"])
            // What such a build's append begins with.
            #expect(throws: RedisError.self) { try world.call("HMGET", world.keys.seen(world.partition), "main a") }
        }
    }

    @Test("buckets follow the number of changes, and a generation on its way out goes bit by bit")
    func generationsTurn() async throws {
        try await withWorld { world in
            let ids = (0..<400).map { "o-\($0)-\($0 * 7919 % 1000)" }
            #expect(try Set(outcomes(world, ids)) == ["accepted"])
            #expect(try generations(world)[2] == "4096" && generations(world)[4] == "-")
            // As many as 64 a bucket: the first generation makes way early, for a larger one.
            try pretend(world, 300_000, in: 4096)
            #expect(try outcomes(world, ["n-1", ids[7]]) == ["accepted", "duplicate"])
            #expect(try generations(world)[2] == "65536" && generations(world)[5] == "4096")
            // Not early again: what came before is not a window old.
            try pretend(world, 9_000_000, in: 65536)
            #expect(try outcomes(world, ["n-2", ids[8], "n-1"]) == ["accepted", "duplicate", "duplicate"])
            #expect(try generations(world)[5] == "4096")
            // Due: as many buckets as what came in the window asks for.
            try world.window.age()
            #expect(try outcomes(world, ["n-3", "n-1"]) == ["accepted", "duplicate"])
            #expect(try generations(world)[2] == "524288" && generations(world)[7] == "4096")
            #expect(try outcomes(world, [ids[9]]) == ["accepted"], "forgotten")
            for number in 4...20 {
                #expect(try outcomes(world, ["n-\(number)", "n-1"]) == ["accepted", "duplicate"])
            }
            #expect(try generations(world)[6...] == ["-", "0", "0"])
            let left = try world.call("KEYS", world.keys.seen(world.partition) + ":*").elements.count
            #expect(left < 30, "what was forgotten is deleted: \(left)")
        }
    }

    @Test("rights from before the buckets do for the one hash; behind it what is missing is told")
    func formerRights() async throws {
        // A user on the shared server is not for the other tests.
        try await withOwnServers { servers in
            let world = try await World(servers)
            let tag = "{\(world.keys.namespace):0}"
            let keys = ["head", "log", "seen", "seen:old"].map { "~\(tag):\($0)" }
            let commands = "info|evalsha|eval|script|time|hmget|hget|hset|xadd|exists|rename|unlink|hello|client|ping"
            let made = try world.redis.pipeline(
                [
                    RedisCommand(
                        words: ["ACL", "SETUSER", "former", "on", ">p"] + keys
                            + commands.split(separator: "|").map { "+\($0)" })
                ], until: .after(Self.soon))
            #expect(made[0].error == nil)
            var configuration = try RedisConfiguration(url: servers.redis.url)
            (configuration.username, configuration.password) = ("former", "p")
            let redis = try RedisConnection(connectingTo: configuration, until: .after(Self.soon), interrupt: nil)
            func append(_ id: String, as format: LogFormat) throws -> Appender.Reply {
                let identity = LogIdentity(
                    partitioning: world.identity.partitioning, log: world.identity.log, format: format)
                return try Appender(redis, keys: world.keys, identity: identity, window: .seconds(3600))
                    .append([world.order(id)], to: world.partition, until: .after(Self.soon))
            }
            guard case .appended(_, let first) = try append("a", as: .trimmed),
                case .appended(_, let again) = try append("a", as: .trimmed)
            else { throw Unexpected() }
            #expect(first.map(\.outcome) == [.accepted] && again.map(\.outcome) == [.duplicate])
            try world.window.age()
            #expect(try outcomes(world, ["b"]) == ["accepted"])
            let length = try world.call("XLEN", world.keys.log(world.partition)).integer
            let error = #expect(throws: StoreError.self) { try append("c", as: .names) }
            #expect("\(String(describing: error))".contains("NOPERM"), "\(String(describing: error))")
            #expect(try world.call("XLEN", world.keys.log(world.partition)).integer == length)
        }
    }

    @Test("places of many digits are told as they are, by scripts and readers")
    func largePlaces() async throws {
        try await withWorld { world in
            _ = try outcomes(world, ["a"])
            for seq in [999_999_999, 9_999_999_999, 12_345_678_901_234, 999_999_999_999_999] {
                try world.call("HSET", world.keys.head(world.partition), "seq", String(seq - 1))
                let id = "n-\(seq)"
                guard case .appended(_, let first) = try world.append([world.order(id)]),
                    case .appended(_, let again) = try world.append([world.order(id)])
                else { throw Unexpected() }
                #expect(first[0].seq == Seq(Int64(seq)) && again[0].outcome == .duplicate)
                #expect(again[0].seq == first[0].seq && again[0].entry == first[0].entry)
                let known = try IdempotencyWindow(world.redis, world.keys)
                    .known(["main \(id)"], in: world.partition, until: .after(Self.soon))
                #expect(known[0]?.seq == first[0].seq && known[0]?.entry == first[0].entry)
            }
        }
    }

    @Test("whoever puts another window in its place deletes all of its buckets")
    func deletion() async throws {
        try await withWorld { world in
            let buckets = world.keys.seen(world.partition) + ":*"
            for _ in 0..<3 {
                _ = try outcomes(world, (0..<50).map { "o-\($0)-\($0 * 7919 % 1000)" })
                try world.window.age()
            }
            #expect(try !world.call("KEYS", buckets).elements.isEmpty)
            try IdempotencyWindow(world.redis, world.keys).bucketsToDelete(in: world.partition)()
            #expect(try world.call("KEYS", buckets).elements.isEmpty)
        }
    }

    @Test("a text that is no window is refused, and named")
    func garbage() async throws {
        try await withWorld { world in
            try world.call("SET", world.keys.seen(world.partition), "buckets 1 x")
            let error = #expect(throws: StoreError.self) { try outcomes(world, ["a"]) }
            #expect(
                "\(String(describing: error))".contains("\(world.keys.seen(world.partition)) is no idempotency window"))
            #expect(try world.call("XLEN", world.keys.log(world.partition)).integer == 0)
            #expect(throws: RedisError.self) {
                try IdempotencyWindow(world.redis, world.keys).known(
                    ["main a"], in: world.partition, until: .after(Self.soon))
            }
        }
    }

    @Test("many changes of many kinds in one call keep their order, whatever their buckets")
    func mixture() async throws {
        try await withWorld { world in
            var changes: [Change] = []
            for number in 0..<100 {
                changes.append(try world.order("o-\(number % 37)", quantity: 1 + number % 3))
                changes.append(
                    try Change(
                        ChangeDraft(
                            type: number % 2 == 0 ? "stock.received" : "stock.counted", id: "s \(number)",
                            shop: World.shop,
                            lines: .text("TEA:5"))))
                changes.append(
                    try Change(
                        ChangeDraft(
                            id: "p%\(number)", shop: World.shop, customer: "c", lines: .text("TEA:1"),
                            attributes: number % 2 == 0 ? #"{"a":1}"# : nil)))
            }
            guard case .appended(_, let results) = try world.append(changes) else { throw Unexpected() }
            #expect(results.count == changes.count)
            let seqs = results.filter { $0.outcome == .accepted }.map(\.seq.number)
            #expect(seqs == Array(1...Int64(seqs.count)))
            var first: [String: Change] = [:]
            for (change, result) in zip(changes, results) {
                if let known = first[change.id] {
                    #expect(result.outcome == (known == change ? .duplicate : .conflict), "\(change.id)")
                } else {
                    first[change.id] = change
                    #expect(result.outcome == .accepted, "\(change.id)")
                }
            }
            let entries = try world.call("XRANGE", world.keys.log(world.partition), "-", "+").elements.map { entry in
                entry[1].elements.compactMap(\.string)
            }
            let accepted = zip(changes, results).filter { $0.1.outcome == .accepted }.map(\.0)
            #expect(entries.map { $0[7] } == accepted.map(\.id))
            #expect(entries.map { Array($0[10...]).contains("attributes") } == accepted.map { $0.attributes != nil })
        }
    }
}

private struct Unexpected: Error {}
