import Glibc
import Harness
import PrivateServers
import TestSupport
import Testing

@Suite("Servers that are full, or take no writes")
struct FullServerTests {
    @Test("Redis can't write its AOF any more: orders are refused with its reason, workers wait, then all goes on")
    func redisDiskFull() async throws {
        try await withOwnServers { servers in
            try await Trial.open(servers) { trial in
                try await trial.allWorkers()
                try await trial.submit(5)
                try await trial.drained()
                // The next AOF file is a device on which no space is left.
                #expect(symlink("/dev/full", try servers.redis.nextAOFPath()) == 0)
                try await trial.redis("BGREWRITEAOF")
                try await eventually("Redis writes to the full device, and refuses") {
                    try await trial.attempt("late", timeout: "200ms").errors.contains("MISCONF")
                }
                let head = try await trial.redis("HGET", "\(trial.tag):head", "seq")
                #expect(try await trial.attempt("later").status == .exited(75))
                #expect(try await trial.redis("HGET", "\(trial.tag):head", "seq") == head, "nothing was appended")
                try await trial.redis("CONFIG", "SET", "appendonly", "no")
                try await eventually(within: .seconds(30), "orders are taken again") {
                    try await trial.attempt("late", timeout: "1s").status == .exited(0)
                }
                try await trial.drained()
                try await trial.expectEffects(of: 6)
            }
        }
    }

    @Test("Postgres's disk full: its group waits and says so, the other sinks and submitters go on")
    func postgresDiskFull() async throws {
        try await Trial.open { trial in
            try await trial.allWorkers()
            try await trial.submit(3)
            try await trial.drained()
            // What a server answers whose disk is full, at the statement that needs more of it.
            try await trial.sql(
                """
                CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
                END $$
                """)
            try await trial.sql(
                "CREATE TRIGGER full_disk BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION full_disk()")
            try await trial.submit(3)
            try await trial.drained(["stock", "delivery"])
            try await eventually("status says why") {
                let status = try await trial.status("postgres")
                return status.state == "stalled" && status.error?.contains("53100") == true
            }
            #expect(try await trial.position("postgres") == 3)
            #expect(try await trial.sql("SELECT on_hand::text FROM stock WHERE sku = 'TEA'") == ["-3"])
            try await trial.sql("DROP TRIGGER full_disk ON ledger")
            try await trial.expectAgreement()
        }
    }

    @Test("Postgres takes no writes: its group waits and says so, the other sinks and submitters go on")
    func postgresReadOnly() async throws {
        try await withOwnServers { servers in
            try await Trial.open(servers) { trial in
                try await trial.allWorkers()
                try await trial.submit(3)
                try await trial.drained()
                try await trial.psql("ALTER SYSTEM SET default_transaction_read_only = on")
                try await trial.sql("SELECT pg_reload_conf()::text")
                try await eventually("it is read-only") {
                    try await trial.sql("SHOW default_transaction_read_only") == ["on"]
                }
                try await trial.submit(3)
                try await trial.drained(["stock", "delivery"])
                try await eventually("status says why") {
                    let status = try await trial.status("postgres")
                    return status.state == "stalled" && status.error?.contains("25006") == true
                }
                try await trial.psql("ALTER SYSTEM RESET default_transaction_read_only")
                try await trial.sql("SELECT pg_reload_conf()::text")
                try await trial.expectAgreement()
            }
        }
    }
}
