import Coordination
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
import Testing
import TestSupport
import ThreadedIO

@Suite("Admission: orders only as far as stock covers them")
struct AdmissionTests {
    @Test("what isn't covered is refused with what is there, and nothing of it stays: the same ID is taken later")
    func refuses() async throws {
        try await withWorld { world in
            try world.turnOn()
            #expect(try world.outcome(world.stock(.stockReceived, "in-1", "TEA:3 MUG:1")) == "accepted")
            #expect(try world.outcome(world.placed("a", "TEA:2")) == "accepted")
            #expect(try world.outcome(world.placed("b", "MUG:1 TEA:2")) == "refused TEA: 2 wanted, 1 available")
            #expect(try world.available() == ["MUG": 1, "TEA": 1], "all or nothing")
            #expect(
                try world.outcome(world.placed("b", "CUP:1 MUG:2 TEA:1"))
                    == "refused CUP: 1 wanted, 0 available; MUG: 2 wanted, 1 available")
            #expect(try world.call("XLEN", world.keys.log(world.partition)).integer == 2)
            #expect(try world.window.records()[Array("\(World.shop) b".utf8)] == nil)
            #expect(try world.outcome(world.placed("a", "TEA:2")) == "duplicate", "what was taken stays taken")
            #expect(try world.outcome(world.placed("a", "TEA:9")) == "conflict")
            #expect(try world.outcome(world.stock(.stockReceived, "in-2", "TEA:1")) == "accepted")
            #expect(try world.outcome(world.placed("b", "MUG:1 TEA:2")) == "accepted", "under the ID that was refused")
            #expect(try world.available() == ["MUG": 0, "TEA": 0])
            #expect(try world.outcome(world.cancelled("a", "TEA:2")) == "accepted")
            #expect(try world.outcome(world.stock(.stockCounted, "count", "MUG:7 CUP:1")) == "accepted")
            #expect(try world.available() == ["CUP": 1, "MUG": 7, "TEA": 2])
            try await world.applyAll()
            #expect(try world.differences() == [])
            #expect(try world.onHand().redis == "2")
        }
    }

    @Test("within one call each change sees those before it; other shops are as ever; SKUs of any alphabet are named")
    func withinCall() async throws {
        try await withWorld { world in
            try world.turnOn()
            let other = try Change(
                ChangeDraft(id: "x", shop: "other", customer: "c", lines: .items([(sku: "TEA", quantity: "9")])))
            let sku = "TÉE 50%: RED/M"
            let reply = try world.append([
                try world.placed("a", "TEA:1"), try world.stock(.stockReceived, "in", "TEA:2"),
                try world.placed("b", "TEA:1"), try world.placed("c", "TEA:2"), other, try world.placed("d", "TEA:1"),
                try world.placed("b", "TEA:1"),
                try Change(
                    ChangeDraft(id: "e", shop: World.shop, customer: "c", lines: .items([(sku: sku, quantity: "2")]))),
            ])
            guard case .appended(_, let results) = reply else { throw Missing() }
            #expect(
                results.map(\.outcome)
                    == [.refused, .accepted, .accepted, .refused, .accepted, .accepted, .duplicate, .refused])
            #expect(results[5].seq == Seq(4), "what is refused has no place")
            #expect(results[3].seq == Seq(2), "it names the last one that the log had")
            #expect(results[7].shortages == [Shortage(sku: sku, wanted: 2, available: 0)])
            #expect(try world.available() == ["TEA": 0])
        }
    }

    @Test("it is turned on while stock is behind, and refuses nothing until it is counted")
    func turnedOn() async throws {
        try await withWorld { world in
            _ = try world.append([try world.stock(.stockReceived, "in", "TEA:5 MUG:2")])
            try await world.applyAll()
            // In the log, and not applied; one SKU that stock has never seen.
            _ = try world.append([try world.placed("a", "TEA:6"), try world.stock(.stockReceived, "in-2", "NEW:4")])
            let (book, history) = (world.book, try world.history())
            guard case .done(let state) = try book.change(.on, World.shop, in: world.partition, under: history) else {
                throw Missing()
            }
            #expect(state.phase == .starting)
            #expect(try world.outcome(world.placed("b", "TEA:1 NEW:1")) == "accepted", "more than there is")
            guard case .done(let on) = try book.count(World.shop, in: world.partition, begun: state, under: history)
            else { throw Missing() }
            #expect(on.phase == .on)
            #expect(try world.available() == ["MUG": 2, "NEW": 3, "TEA": -2])
            #expect(try world.outcome(world.placed("c", "TEA:1")) == "refused TEA: 1 wanted, -2 available")
            #expect(try world.outcome(world.placed("d", "NEW:3")) == "accepted")
            #expect(try world.differences() == [], "before stock has applied it")
            try await world.applyAll("v")
            #expect(try world.differences() == [])
        }
    }

    @Test("a counting that another overtook ends without effect; orders wait for the one that is under way")
    func countedAnew() async throws {
        try await withWorld { world in
            try world.turnOn()
            _ = try world.append([try world.stock(.stockReceived, "in", "TEA:5")])
            let (book, history) = (world.book, try world.history())
            guard case .done(let first) = try book.change(.anew, World.shop, in: world.partition, under: history),
                case .done(let second) = try book.change(.anew, World.shop, in: world.partition, under: history)
            else { throw Missing() }
            #expect(first.phase == .counting && first != second)
            #expect(try world.outcome(world.placed("a", "TEA:1")) == "counting main")
            #expect(try world.outcome(world.stock(.stockReceived, "in-2", "TEA:1")) == "accepted")
            guard case .done(let still) = try book.count(World.shop, in: world.partition, begun: first, under: history)
            else { throw Missing() }
            #expect(still == second)
            guard case .done(let on) = try book.count(World.shop, in: world.partition, begun: second, under: history)
            else { throw Missing() }
            #expect(on.phase == .on)
            #expect(try world.outcome(world.placed("a", "TEA:6")) == "accepted")
        }
    }

    @Test("a counter that is no number, or of another type, is said, and nothing is appended")
    func uncountable() async throws {
        try await withWorld { world in
            try world.turnOn()
            _ = try world.append([try world.stock(.stockReceived, "in", "TEA:5")])
            let key = world.keys.available(world.partition, shop: World.shop)
            for value in ["many", "007", "9007199254740993"] {
                try world.call("HSET", key, "TEA", value)
                #expect(try world.outcome(world.placed("a", "TEA:1")) == "uncountable \(key) TEA: not a whole number")
            }
            try world.call("DEL", key)
            try world.call("SET", key, "x")
            #expect(try world.outcome(world.placed("a", "TEA:1")).hasPrefix("uncountable \(key): WRONGTYPE"))
            #expect(try world.call("XLEN", world.keys.log(world.partition)).integer == 1)
        }
    }

    @Test(
        "a shop without any SKU refuses all orders; keys that are missing are no shop without admission, or without SKUs"
    )
    func missingKeys() async throws {
        try await withWorld { world in
            try world.turnOn()
            #expect(try world.outcome(world.placed("a", "TEA:1")) == "refused TEA: 1 wanted, 0 available")
            #expect(try world.outcome(world.stock(.stockReceived, "in", "TEA:2")) == "accepted")
            let (available, admission) = (
                world.keys.available(world.partition, shop: World.shop), world.keys.admission(world.partition)
            )
            // As while a cluster's slot is moved key by key.
            try world.call("RENAME", available, "elsewhere")
            #expect(try world.outcome(world.placed("a", "TEA:1")) == "uncountable \(available): not there")
            try world.call("RENAME", "elsewhere", available)
            try world.call("RENAME", admission, "elsewhere")
            #expect(try world.outcome(world.placed("a", "TEA:1")) == "uncountable \(admission): not there")
            try world.call("RENAME", "elsewhere", admission)
            #expect(try world.outcome(world.placed("a", "TEA:1")) == "accepted")
            try world.turn(false)
            #expect(try world.call("HEXISTS", world.keys.head(world.partition), "admission").integer == 0)
            #expect(try world.outcome(world.placed("b", "TEA:9")) == "accepted")
        }
    }

    @Test("stock is far behind: it is not counted, and how far is said")
    func behind() async throws {
        try await withWorld { world in
            for start in stride(from: 0, to: 5001, by: 500) {
                _ = try world.append(try (start..<min(start + 500, 5001)).map { try world.order("o-\($0)") })
            }
            let (book, history) = (world.book, try world.history())
            guard case .done(let state) = try book.change(.on, World.shop, in: world.partition, under: history),
                case .behind(let count) = try book.count(World.shop, in: world.partition, begun: state, under: history)
            else { throw Missing() }
            #expect(count == 5001)
        }
    }

    @Test("entries that were added by hand, and of other shops, count for nothing; one that is no change is named")
    func byHand() async throws {
        try await withWorld { world in
            try world.turnOn()
            _ = try world.append([try world.stock(.stockReceived, "in", "TEA:5")])
            try world.call(
                "XADD", world.keys.log(world.partition), "*", "type", "stock.received", "id", "h", "shop", World.shop,
                "lines", "TEA:99")
            _ = try world.append([
                try Change(
                    ChangeDraft(type: "stock.received", id: "y", shop: "other", lines: .text("TEA:50"))),
                try world.placed("a", "TEA:1"),
            ])
            #expect(try world.differences() == [])
            #expect(try world.available() == ["TEA": 4])
            try world.appendUnusable(seq: 4)
            guard
                case .uncountable(let what) = try world.book.compare(
                    World.shop, in: world.partition, under: try world.history())
            else { throw Missing() }
            #expect(what.hasSuffix(": no change"), "\(what)")
        }
    }

    @Test("a log that lost its tail is healed, and what may be sold with it, as if nothing had been lost")
    func lostTail() async throws {
        try await withWorld { world in
            try world.turnOn()
            let worker = try world.session(.postgres, "a")
            try await worker.takeOver()
            _ = try world.append([try world.stock(.stockReceived, "in", "TEA:5 MUG:3")])
            try world.keep()
            _ = try world.append([
                try world.placed("a", "TEA:2"), try world.stock(.stockCounted, "count", "MUG:9"),
                try world.cancelled("a", "TEA:2"), try world.placed("b", "TEA:4"),
            ])
            try await worker.work()
            _ = try world.append([try world.placed("never applied", "TEA:1")])
            #expect(try world.available() == ["MUG": 9, "TEA": 0])
            try world.goBack()
            #expect(try world.available() == ["MUG": 3, "TEA": 5])
            #expect(try await world.session(.postgres, "b").takeOver().healed == 4)
            #expect(try world.available() == ["MUG": 9, "TEA": 1])
            #expect(try world.differences() == [])
            #expect(try world.outcome(world.placed("c", "TEA:2")) == "refused TEA: 2 wanted, 1 available")
            #expect(try world.outcome(world.placed("c", "TEA:1")) == "accepted")
        }
    }

    @Test("a server that lost that it was turned on, or off, learns it when the log is opened")
    func lostSwitch() async throws {
        try await withWorld { world in
            _ = try world.append([try world.stock(.stockReceived, "in", "TEA:5")])
            try world.keep()
            try world.turnOn()
            try world.goBack()
            try await world.session(.postgres, "a").takeOver()
            #expect(try world.outcome(world.placed("a", "TEA:9")) == "counting main", "it says that it isn't right yet")
            guard let state = try world.book.states(in: world.partition).first?.state,
                case .done = try world.book.count(
                    World.shop, in: world.partition, begun: state, under: try world.history())
            else { throw Missing() }
            #expect(try world.outcome(world.placed("a", "TEA:9")) == "refused TEA: 9 wanted, 5 available")

            try world.keep()
            try world.turn(false)
            #expect(try world.outcome(world.placed("a", "TEA:9")) == "accepted")
            try world.goBack()
            try await world.session(.postgres, "b").takeOver()
            #expect(try world.book.states(in: world.partition).isEmpty)
            #expect(try world.outcome(world.placed("a", "TEA:9")) == "accepted")
            #expect(try world.call("EXISTS", world.keys.available(world.partition, shop: World.shop)).integer == 0)
        }
    }

    @Test("fifty submitters, ten pieces: ten orders are accepted, and the others are refused")
    func lastPieces() async throws {
        try await withWorld { world in
            try world.turnOn()
            _ = try world.append([try world.stock(.stockReceived, "in", "TEA:10")])
            let servers = world.servers
            let (keys, identity, partition) = (world.keys, world.identity, world.partition)
            let accepted = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        try await CommandLaneForTest.run {
                            let redis = try World.connectRedis(servers)
                            let change = try Change(
                                ChangeDraft(id: "o-\(number)", shop: World.shop, customer: "c", lines: .text("TEA:1")))
                            let reply = try Appender(redis, keys: keys, identity: identity, window: .seconds(3600))
                                .append([change], to: partition, until: .after(.seconds(10)))
                            guard case .appended(_, let results) = reply else { throw Missing() }
                            return results.count { $0.outcome == .accepted }
                        }
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(accepted == 10)
            #expect(try world.available() == ["TEA": 0])
        }
    }

    @Test("the functions refuse as the program does")
    func functions() async throws {
        try await withWorld { world in
            try FunctionLibrary.load(on: world.redis, for: .names)
            try world.turnOn()
            _ = try world.append([try world.stock(.stockReceived, "in", "TEA:1")])
            func append(_ id: String, _ lines: String) throws -> [String] {
                let (keys, partition) = (world.keys, world.partition)
                let reply = try world.call(
                    "FCALL", "onewrite_append", "4", keys.head(partition), keys.log(partition), keys.seen(partition),
                    keys.seenBefore(partition), world.identity.log, "1", "", "type", "order.placed", "id", id, "shop",
                    World.shop, "customer", "c", "lines", lines)
                return reply.elements.map { $0.string ?? "?" }
            }
            #expect(
                try append("a", "TEA:2 RED%20TEA:1") == ["refused", "0", "TEA", "2", "1", "RED TEA", "1", "0"])
            #expect(try append("a", "TEA:1").first == "accepted")
            #expect(try append("b", "TEA:1") == ["refused", "0", "TEA", "1", "0"])
            _ = try world.book.change(.anew, World.shop, in: world.partition, under: try world.history())
            #expect(try append("b", "TEA:1") == ["counting", World.shop])
        }
    }
}

private struct Missing: Error {}

/// A thread of one's own for one task.
private enum CommandLaneForTest {
    static func run<Result: Sendable>(_ body: @Sendable () async throws -> Result) async throws -> Result {
        try await OneLane().run(body)
    }
}

private actor OneLane {
    private let executor = ThreadExecutor(name: "test")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    func run<Result: Sendable>(_ body: @Sendable () async throws -> Result) async throws -> Result { try await body() }
}

extension World {
    fileprivate var book: AdmissionBook { AdmissionBook(redis, keys) }

    fileprivate func history() throws -> History {
        guard let history = try redis.look(at: partition, keys).history else { throw Missing() }
        return history
    }

    /// As `onewrite admission` does it.
    fileprivate func turn(_ isOn: Bool) throws {
        try Admission.set(isOn, for: Self.shop, in: partition, on: postgres, until: .after(.seconds(5)))
        let history = try history()
        guard case .done(let state) = try book.change(isOn ? .on : .off, Self.shop, in: partition, under: history)
        else { throw Missing() }
        guard isOn else { return }
        guard case .done(let on) = try book.count(Self.shop, in: partition, begun: state, under: history),
            on.phase == .on
        else { throw Missing() }
    }

    fileprivate func turnOn() throws { try turn(true) }

    fileprivate func placed(_ id: String, _ lines: String) throws -> Change {
        try Change(ChangeDraft(id: id, shop: Self.shop, customer: "c", lines: .text(lines)))
    }

    fileprivate func cancelled(_ order: String, _ lines: String) throws -> Change {
        try Change(ChangeDraft(type: "order.cancelled", shop: Self.shop, order: order, lines: .text(lines)))
    }

    fileprivate func stock(_ kind: Change.Kind, _ id: String, _ lines: String) throws -> Change {
        try Change(ChangeDraft(type: kind.rawValue, id: id, shop: Self.shop, lines: .text(lines)))
    }

    fileprivate func outcome(_ change: Change) throws -> String {
        switch try append([change]) {
        case .appended(_, let results):
            guard let result = results.first else { throw Missing() }
            let shortages = result.shortages.map(\.description).joined(separator: "; ")
            return result.outcome.rawValue + (shortages.isEmpty ? "" : " \(shortages)")
        case .counting(let shop): return "counting \(shop)"
        case .uncountable(let what): return "uncountable \(what)"
        case .closed, .noLog, .mismatch: return "closed"
        }
    }

    fileprivate func available() throws -> [String: Int] {
        let pairs = try call("HGETALL", keys.available(partition, shop: Self.shop)).elements.map { $0.string ?? "?" }
        var numbers: [String: Int] = [:]
        for index in stride(from: 0, to: pairs.count, by: 2) { numbers[pairs[index]] = Int(pairs[index + 1]) }
        return numbers
    }

    /// What differs from stock and log.
    fileprivate func differences() throws -> [AdmissionBook.Difference] {
        guard case .done(let (_, differing)) = try book.compare(Self.shop, in: partition, under: try history()) else {
            throw Missing()
        }
        return differing
    }

    /// Remembers every key of the partition.
    fileprivate func keep() throws {
        for key in try call("KEYS", "{\(keys.namespace):0}:*").elements.compactMap(\.string) {
            try call("COPY", key, "kept:\(key)", "REPLACE")
        }
    }

    /// Brings the partition back to what was kept, as after a failover to a replica that lacked the last steps.
    fileprivate func goBack() throws {
        for key in try call("KEYS", "{\(keys.namespace):0}:*").elements.compactMap(\.string) { try call("DEL", key) }
        for key in try call("KEYS", "kept:{\(keys.namespace):0}:*").elements.compactMap(\.string) {
            try call("RENAME", key, String(key.dropFirst("kept:".count)))
        }
        try closeLog()
    }
}
