import Harness
import PrivateServers
import Testing
import TestSupport

@Suite("Answers that are lost: what was asked has happened, and nobody knows")
struct LostAnswerTests {
    /// An answer that a worker never gets, although the server gave it.
    struct Loss: Sendable, CustomTestStringConvertible {
        let what: String
        let group: String
        /// What the request holds.
        let request: String
        var isFromPostgres = false
        var testDescription: String { "\(group): \(what)" }
    }

    @Test(
        "a worker reads its position again: nothing is lost, nothing is applied twice",
        arguments: [
            Loss(what: "statement", group: "postgres", request: "ord-1-0", isFromPostgres: true),
            // Behind its keys and the history: the group, no position to show, and the first entry's seq.
            Loss(
                what: "acknowledgement", group: "postgres",
                request: "\r\npostgres\r\n" + String(repeating: "$0\r\n\r\n", count: 3) + "$1\r\n1\r\n"),
            Loss(what: "read", group: "postgres", request: "XREADGROUP"),
            Loss(what: "script", group: "stock", request: ":stock:main"),
            Loss(what: "read", group: "stock", request: "XREADGROUP"),
            Loss(what: "script", group: "delivery", request: ":deliveries"),
            Loss(what: "read", group: "delivery", request: "XREADGROUP"),
        ])
    func worker(_ loss: Loss) async throws {
        try await withServers { servers in
            let redis = try FaultProxy.start(to: .unix(path: servers.redis.socketPath))
            let postgres = try FaultProxy.start(
                to: .unix(path: "\(servers.postgres.directory)/.s.PGSQL.\(servers.postgres.port)"))
            try await Trial.open(servers) { trial in
                try await trial.submit(20)
                let proxy = loss.isFromPostgres ? postgres : redis
                proxy.dropAnswer(toRequestHolding: loss.request)
                let worker = try await trial.worker(
                    loss.group,
                    environment: [
                        "REDIS_URL": "redis://127.0.0.1:\(redis.port)/0",
                        "DATABASE_URL": "postgresql://postgres@127.0.0.1:\(postgres.port)/postgres",
                    ])
                try await eventually("the answer is dropped") { proxy.counts.answersDropped == 1 }
                try await trial.drained([loss.group])
                if loss.what == "statement" {
                    try await worker.says("reclaimed 20 pending, 0 applied, 20 duplicates")
                }
                #expect(worker.process.isRunning)
                try await trial.submit(5)
                try await trial.expectAgreement()
            }
        }
    }

    @Test("a submitter sends the same again, and learns the place that its change has")
    func submitter() async throws {
        try await withServers { servers in
            let redis = try FaultProxy.start(to: .unix(path: servers.redis.socketPath))
            try await Trial.open(servers) { trial in
                try await trial.submit(3)
                redis.dropAnswer(toRequestHolding: "ord-x")
                let done = try await trial.attempt(
                    "ord-x", timeout: "10s", environment: ["REDIS_URL": "redis://127.0.0.1:\(redis.port)/0"])
                #expect(redis.counts.answersDropped == 1)
                #expect(done.status == .exited(0), "\(done.errors)")
                #expect(done.output.contains(#""outcome":"duplicate""#) && done.output.contains(#""seq":4"#))
                try await trial.accepted("ord-x", done.output)
                try await trial.submit(2)
                try await trial.expectAgreement(answersMayBeLost: true)
            }
        }
    }

    @Test("a commit that waits for a standby, and whose session is ended: committed, whatever the client was told")
    func ghostStandby() async throws {
        try await withOwnServers { servers in
            try await Trial.open(servers) { trial in
                let worker = try await trial.worker("postgres")
                try await trial.submit(1)
                try await trial.drained(["postgres"])
                try await trial.psql("ALTER SYSTEM SET synchronous_standby_names = 'ghost'")
                try await trial.sql("SELECT pg_reload_conf()::text")
                let waiting =
                    "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name LIKE 'onewrite-%'"
                // The server takes the setting when it comes round to it.
                for _ in 0..<20 where try await trial.sql("SELECT pid::text \(waiting)").isEmpty {
                    try await trial.submit(1)
                    try await eventually("the batch waits for the standby, or is through") {
                        if try await !trial.sql("SELECT pid::text \(waiting)").isEmpty { return true }
                        return try await trial.pending("postgres") == 0
                    }
                }
                let before = try await trial.position("postgres")
                #expect(try await trial.sql("SELECT pg_terminate_backend(pid)::text \(waiting)") == ["true"])
                try await eventually("what the session was ended for is committed") {
                    try await trial.position("postgres") == before + 1
                }
                try await worker.says("lost the connection to Postgres")
                try await trial.psql("ALTER SYSTEM RESET synchronous_standby_names")
                try await trial.sql("SELECT pg_reload_conf()::text")
                try await worker.says("reclaimed 1 pending, 0 applied, 1 duplicates")
                try await trial.submit(3)
                try await trial.expectAgreement()
            }
        }
    }
}
