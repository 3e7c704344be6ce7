import Connections
import Glibc
import Harness
import PostgresClient
import PrivateServers
import RedisClient
import Testing
import TestSupport
import ThreadedIO

@testable import OnewriteCommand

@Suite("Zombies: workers stopped past their lease, resumed when others are done")
struct ZombieTests {
    /// Where a worker stands when it is stopped, and what its batch comes to when it is resumed.
    struct Stop: Sendable, CustomTestStringConvertible {
        let group: String
        let point: String
        let isRefused: Bool
        var testDescription: String { "\(group) \(point)" }
    }

    private static let stops: [Stop] =
        ["stock", "delivery"].flatMap {
            [
                Stop(group: $0, point: "afterRead", isRefused: false),
                Stop(group: $0, point: "beforeScript", isRefused: true),
                Stop(group: $0, point: "scriptSent", isRefused: false),
                Stop(group: $0, point: "afterScript", isRefused: false),
            ]
        } + [
            Stop(group: "postgres", point: "afterRead", isRefused: false),
            Stop(group: "postgres", point: "beforeBegin", isRefused: true),
            Stop(group: "postgres", point: "commitSent", isRefused: false),
            Stop(group: "postgres", point: "afterCommit", isRefused: false),
            Stop(group: "postgres", point: "ackSent", isRefused: false),
        ]

    @Test(
        "stopped with a batch in hand: the other goes on, the zombie's batch is refused and counted, and it serves again",
        arguments: stops)
    func batchInHand(_ stop: Stop) async throws {
        try await Trial.open { trial in
            let zombie = try await trial.worker(stop.group, "zombie", fault: "\(stop.point):stop:1")
            try await zombie.says("serving")
            try await trial.submit(20)
            try await zombie.stands()
            let owner = try await trial.worker(stop.group, "owner")
            try await trial.drained([stop.group])
            try await trial.submit(5)
            try await trial.drained([stop.group])
            let refused = try await trial.refused(stop.group)
            #expect(refused == 0)

            zombie.resume()
            if stop.isRefused {
                try await eventually("the sink has refused the zombie's batch") {
                    try await trial.refused(stop.group) == 1
                }
                #expect(try await trial.status(stop.group).refused == 1)
                try await zombie.says("taken over by \(owner.name)")
            }
            // It starts over: alone, it serves all.
            await owner.process.stop()
            try await trial.submit(5)
            try await eventually("the zombie serves again") { try await trial.owner(stop.group) == zombie.name }
            try await trial.drained([stop.group])
            #expect(try await trial.refused(stop.group) == (stop.isRefused ? 1 : 0))
            try await trial.expectAgreement()
        }
    }

    @Test(
        "stopped while its read is parked: what the read takes is reclaimed, nothing is applied twice",
        arguments: Trial.groups)
    func parkedRead(_ group: String) async throws {
        try await Trial.open { trial in
            let zombie = try await trial.worker(group, "zombie")
            try await zombie.says("serving")
            var taken = 0
            // The server parks a read for half a second: the submit must come within it.
            for _ in 0..<60 where taken == 0 {
                try await eventually("its read is parked") {
                    try await trial.parkedRead(of: zombie.name) != nil
                }
                try await zombie.freeze()
                try await trial.submit(3)
                taken = try await trial.pending(group, of: zombie.name)
                if taken == 0 { zombie.resume() }
            }
            #expect(taken > 0, "the parked read took entries of a worker that is stopped")
            let owner = try await trial.worker(group, "owner")
            try await trial.drained([group])
            zombie.resume()
            try await trial.submit(3)
            try await trial.drained([group])
            await owner.process.stop()
            try await trial.submit(3)
            try await trial.expectAgreement()
        }
    }

    @Test(
        "a zombie's read that takes the newest entry after it was replaced: the owner looks at the head, and fetches it",
        arguments: Trial.groups)
    func readBehindTheOwner(_ group: String) async throws {
        try await Trial.open { trial in
            let owner = try await trial.worker(group, "owner")
            try await owner.says("serving")
            // Whoever has waited longest is served first: the owner's parked read is sent back to wait behind the zombie's.
            let zombie = "\(trial.demo.namespace)-\(group)-zombie"
            async let read = Self.read(trial, as: zombie, group)
            try await eventually("the zombie's read is parked") { try await trial.parkedRead(of: zombie) != nil }
            try await eventually("the owner's read was parked, and sent back") {
                guard let client = try await trial.parkedRead(of: owner.name) else { return false }
                return try await trial.redis("CLIENT", "UNBLOCK", client) == "1"
            }
            try await trial.submit(1)
            let taken = try await read
            #expect(taken > 0, "another consumer has taken an entry")
            try await trial.drained([group])
            try await trial.expectAgreement()
        }
    }

    /// Reads as another consumer, and never comes back to what it got.
    private static func read(_ trial: Trial, as consumer: String, _ group: String) async throws -> Int {
        try await CommandLane("reader").run { _ in
            let connection = try trial.demo.redis()
            try connection.call(RedisCommand("CLIENT", "SETNAME", consumer), until: .after(.seconds(5)))
            return try connection.call(
                RedisCommand(
                    "XREADGROUP", "GROUP", group, consumer, "COUNT", 10, "BLOCK", 10_000, "STREAMS", "\(trial.tag):log",
                    ">"), until: .after(.seconds(15))
            ).elements.count
        }
    }

    @Test(
        "stopped while its statement waits for a row: the server ends it, the next owner stalls, says why, and goes on")
    func waitingForRow() async throws {
        try await Trial.open { trial in
            let zombie = try await trial.worker("postgres", "zombie")
            try await trial.submit(1)
            try await trial.drained(["postgres"])
            // Somebody holds a stock row. The batch has locked its position, and waits for the row.
            let other = try await RowLock(trial.demo, "SELECT FROM stock FOR UPDATE")
            try await trial.submit(5)
            try await other.isWaitedFor()
            try await zombie.freeze()
            let next = try await trial.worker("postgres", "next")
            try await eventually(within: .seconds(20), "the zombie's statement was ended by the server") {
                try await trial.owner("postgres") == next.name
            }
            try await eventually(within: .seconds(20), "status says what the partition waits for") {
                let status = try await trial.status("postgres")
                return status.state == "stalled" && status.error?.contains("lock") == true
            }
            #expect(try await trial.position("postgres") == 1)
            try await other.release()
            try await trial.drained(["postgres"])
            zombie.resume()
            await next.process.stop()
            try await trial.submit(3)
            try await trial.expectAgreement()
        }
    }
}

/// A transaction that holds rows until it is released.
actor RowLock {
    private let executor = ThreadExecutor(name: "lock")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
    private let demo: Harness.Shop
    private var connection: PostgresConnection?

    /// Holds the rows that a statement locks.
    init(_ demo: Harness.Shop, _ statement: String) async throws {
        self.demo = demo
        try hold(statement)
    }

    private func hold(_ statement: String) throws {
        let connection = try demo.postgres()
        try connection.begin(until: .after(.seconds(5)))
        try connection.query("SET LOCAL idle_in_transaction_session_timeout = 0", until: .after(.seconds(5)))
        try connection.query(statement, until: .after(.seconds(5)))
        self.connection = connection
    }

    /// Waits until somebody waits for a row of this transaction.
    func isWaitedFor() async throws {
        try await eventually("somebody waits for the row") {
            try demo.postgres().query(
                "SELECT FROM pg_stat_activity WHERE $1::int = ANY (pg_blocking_pids(pid))",
                [.integer(Int64(connection?.processID ?? 0))], until: .after(.seconds(5))
            ).count > 0
        }
    }

    func release() throws {
        try connection?.query("COMMIT", until: .after(.seconds(5)))
    }
}
