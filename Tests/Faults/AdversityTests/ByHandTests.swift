import Harness
import PrivateServers
import TestSupport
import Testing

@Suite("Hands in the log")
struct ByHandTests {
    private static func bytes(_ fields: String...) -> [[UInt8]] { fields.map { Array($0.utf8) } }

    /// The fields of entries that nobody should add.
    private static let strange: [[[UInt8]]] = [
        bytes("colour", "red"),
        bytes("", ""),
        bytes("epoch", "one", "seq", "two", "type", "order.placed", "id", "x", "shop", "main", "lines", "TEA:1"),
        bytes("epoch", "1", "seq", "-5", "type", "order.placed"),
        bytes("epoch", "1", "seq", "9223372036854775808", "type", "order.placed"),
        // Beyond the head, of an epoch that is not there, and the very next place.
        order(epoch: "1", seq: "9999"), order(epoch: "7", seq: "1"), order(epoch: "1", seq: "4"),
        bytes("type") + [[0xff, 0xfe, 0x00]],
        [[0x00, 0xc3], [0x00], Array("id".utf8), Array("a\0b".utf8)],
        bytes("id", "large") + bytes("customer", String(repeating: "x", count: 64 << 20)),
    ]

    private static func order(epoch: String, seq: String) -> [[UInt8]] {
        bytes(
            "epoch", epoch, "seq", seq, "type", "order.placed", "id", "by-hand", "shop", "main", "customer", "c",
            "lines", "TEA:1")
    }

    @Test("entries of every strange kind are set aside by every sink with a reason, and the rest goes on")
    func strangeEntries() async throws {
        try await Trial.open { trial in
            try await trial.allWorkers()
            try await trial.submit(3)
            try await trial.drained()
            for fields in Self.strange {
                try await trial.redis("XADD", bytes: Self.bytes("\(trial.tag):log", "*") + fields)
            }
            for group in Trial.groups {
                try await eventually(within: .seconds(30), "\(group) has set them aside") {
                    try await trial.dead(group) == Self.strange.count
                }
                #expect(try await trial.position(group) == 3, "none of them has a place")
            }
            #expect(
                try await trial.sql("SELECT DISTINCT reason FROM dead_letters WHERE seq IS NULL") == ["added-by-hand"])
            try await trial.submit(5)
            try await trial.drained()
            // Once a person is done with them, nothing of them is left.
            try await trial.deleteEntries { $0["id"]?.hasPrefix("ord-") != true }
            try await trial.sql("DELETE FROM dead_letters")
            for group in ["stock", "delivery"] { try await trial.redis("DEL", "\(trial.tag):dead:\(group)") }
            try await trial.expectAgreement()
        }
    }

    @Test("an entry that has a place but is no change moves the position in every sink, and is accounted for")
    func strangeEntryWithPlace() async throws {
        try await Trial.open { trial in
            try await trial.allWorkers()
            try await trial.submit(3)
            // As a producer would that keeps to the head and checks nothing.
            try await trial.redis(
                "EVAL",
                """
                local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
                redis.call('XADD', KEYS[2], '*', 'epoch', '1', 'seq', seq, 'type', 'order.placed', 'id', 'a\\0b', 'shop', '\\255')
                """, "2", "\(trial.tag):head", "\(trial.tag):log")
            try await trial.submit(2)
            try await trial.drained()
            for group in Trial.groups {
                #expect(try await trial.position(group) == 6)
                #expect(try await trial.dead(group) == 1)
            }
            #expect(
                try await trial.sql(
                    """
                    SELECT string_agg(seq::text, ' ' ORDER BY seq) FROM
                    (SELECT seq FROM ledger UNION ALL SELECT seq FROM dead_letters) s
                    """) == ["1 2 3 4 5 6"])
            try await trial.expectEffects(of: 5)
        }
    }

    @Test(
        "entries that are gone before they were applied halt every sink there, and it says which",
        arguments: ["XDEL", "XTRIM"])
    func lostEntries(_ command: String) async throws {
        try await Trial.open { trial in
            try await trial.submit(6)
            if command == "XDEL" {
                try await trial.deleteEntries { ["3", "4"].contains($0["seq"]) }
            } else {
                try await trial.redis("XTRIM", "\(trial.tag):log", "MAXLEN", "=", "2")
            }
            try await trial.allWorkers()
            for group in Trial.groups {
                try await eventually("\(group) is halted, and says why") {
                    let status = try await trial.status(group)
                    let missing = command == "XDEL" ? "lacks seq 3 to 4" : "lacks seq 1 to 4"
                    return status.state == "halted" && status.error?.contains(missing) == true
                }
                #expect(try await trial.position(group) == (command == "XDEL" ? 2 : 0), "nothing behind the hole")
            }
            try await trial.expectEffects(of: command == "XDEL" ? 2 : 0)
        }
    }

    @Test("entries that are gone after they were applied are missed by nobody", arguments: ["XTRIM", "DEL"])
    func appliedEntries(_ command: String) async throws {
        try await Trial.open { trial in
            try await trial.allWorkers()
            try await trial.submit(6)
            try await trial.drained()
            // DEL takes the groups with it: they are made again at the positions.
            if command == "DEL" {
                try await trial.redis("DEL", "\(trial.tag):log")
            } else {
                try await trial.redis("XTRIM", "\(trial.tag):log", "MAXLEN", "=", "0")
            }
            try await trial.submit(4)
            try await eventually("all is applied") { try await trial.arePositions(10) }
            try await trial.drained()
            try await trial.expectEffects(of: 10)
        }
    }

    @Test("the log deleted in mid-load: who had applied all goes on, who had not is halted and says what is missing")
    func logDeleted() async throws {
        try await Trial.open { trial in
            try await trial.worker("postgres")
            try await trial.submit(5)
            try await trial.drained(["postgres"])
            try await trial.redis("DEL", "\(trial.tag):log")
            try await trial.submit(3)
            try await eventually("postgres goes on") { try await trial.position("postgres") == 8 }
            for group in ["stock", "delivery"] {
                try await trial.worker(group)
                try await eventually("\(group) is halted, and says why") {
                    let status = try await trial.status(group)
                    return status.state == "halted" && status.error?.contains("lacks seq 1 to 5") == true
                }
                #expect(try await trial.position(group) == 0)
            }
            #expect(try await trial.sql("SELECT count(*)::text FROM ledger") == ["8"])
        }
    }

    @Test("the head deleted: no order is taken, nothing is numbered anew, and written again as the docs say it goes on")
    func headDeleted() async throws {
        try await Trial.open { trial in
            try await trial.allWorkers()
            try await trial.submit(5)
            try await trial.drained()
            let log = try await trial.redis("HGET", "\(trial.demo.namespace):meta", "log") ?? ""
            try await trial.redis("DEL", "\(trial.tag):head")
            let refused = try await trial.attempt("late")
            #expect(refused.status == .exited(75), "\(refused.errors)")
            try await eventually("the group postgres is halted, and says why") {
                let status = try await trial.status("postgres")
                return status.state == "halted" && status.error?.contains("there is no log here") == true
            }
            #expect(try await trial.redis("EXISTS", "\(trial.tag):head") == "0")
            try await trial.redis(
                "HSET", "\(trial.tag):head", "epoch", "1", "seq", "5", "replid", "", "partitions", "1", "log", log)
            try await trial.submit(3)
            try await trial.expectAgreement()
        }
    }

    @Test(
        "a group destroyed while its worker has a batch in hand is made again at the position", arguments: Trial.groups)
    func groupDestroyed(_ group: String) async throws {
        try await Trial.open { trial in
            let worker = try await trial.worker(group, fault: "afterRead:stop:2")
            try await trial.submit(5)
            try await trial.drained([group])
            try await trial.submit(5)
            try await worker.stands()
            try await trial.redis("XGROUP", "DESTROY", "\(trial.tag):log", group)
            worker.resume()
            try await trial.submit(5)
            try await trial.drained([group])
            try await trial.expectAgreement()
        }
    }

    @Test(
        "a sink's position deleted: it stalls and says so, and does not apply the whole log again",
        arguments: ["stock", "delivery"])
    func positionDeleted(_ group: String) async throws {
        try await Trial.open { trial in
            let worker = try await trial.worker(group)
            try await trial.submit(5)
            try await trial.drained([group])
            let key = "\(trial.tag):position:\(group)"
            let epoch = try await trial.redis("HGET", key, "epoch") ?? ""
            try await trial.redis("DEL", key)
            try await trial.submit(3)
            try await eventually("status says what is missing") {
                let status = try await trial.status(group)
                return status.state == "stalled" && status.error?.contains("the position is missing") == true
            }
            #expect(worker.process.isRunning)
            #expect(try await trial.redis("EXISTS", key) == "0")
            try await trial.redis("HSET", key, "epoch", epoch, "seq", "5", "entry", "")
            try await trial.expectAgreement()
        }
    }

    @Test("Redis emptied: no order is taken, init makes no new log, and what Postgres has stays")
    func flushed() async throws {
        try await withOwnServers { servers in
            try await Trial.open(servers) { trial in
                try await trial.allWorkers()
                try await trial.submit(5)
                try await trial.drained()
                try await trial.redis("FLUSHALL")
                let refused = try await trial.attempt("late")
                #expect(refused.status != .exited(0))
                await #expect(throws: HarnessError.self) { try await trial.demo.run(["init", "--partitions", "1"]) }
                #expect(try await trial.redis("EXISTS", "\(trial.tag):head") == "0")
                #expect(try await trial.sql("SELECT count(*)::text FROM ledger") == ["5"])
                #expect(try await trial.position("postgres") == 5)
            }
        }
    }
}
