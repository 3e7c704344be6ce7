import Foundation
import PrivateServers
import RedisClient
import Testing
import TestSupport

@Suite("A function in another Postgres")
struct PostgresKindTests {
    /// A database with a function that notes each change, and the table of positions.
    private static func database(_ shop: KindShop, each: Bool = false) async throws -> String {
        let url = try await shop.servers.newDatabase()
        let body =
            each
            ? "INSERT INTO notes (partition, seq, type, id) SELECT (changes->>'partition')::int, (changes->>'seq')::int, changes->>'type', changes->>'id';"
            : """
            INSERT INTO notes (partition, seq, type, id)
            SELECT (c->>'partition')::int, (c->>'seq')::int, c->>'type', c->>'id'
            FROM jsonb_array_elements(changes) WITH ORDINALITY AS item (c, n) ORDER BY n;
            """
        let sql = try await shop.run("group", "sql", "--role", "postgres").succeeded().output
        try shop.script(
            """
            CREATE TABLE notes (at bigserial, partition int, seq int, type text, id text);
            CREATE TABLE refused (id text PRIMARY KEY);
            CREATE FUNCTION note(changes jsonb) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                IF EXISTS (SELECT FROM refused WHERE changes @> jsonb_build_array(jsonb_build_object('id', id))
                        OR changes @> jsonb_build_object('id', id)) THEN
                    RAISE EXCEPTION 'not this one' USING ERRCODE = 'P0042';
                END IF;
                \(body)
            END $$;
            \(sql.replacing(/GRANT.*;/, with: ""))
            """, in: url)
        shop.set("NOTES_URL", url)
        return url
    }

    private static func isEqual(_ shop: KindShop, _ url: String, without ids: Set<String> = []) throws {
        let ledger = try shop.ledger()
        for partition in 0..<KindShop.partitions {
            // In the order in which it was told, each once.
            let notes = try shop.rows(
                "SELECT seq || ' ' || type || ' ' || id FROM notes WHERE partition = \(partition) ORDER BY at", in: url)
            let expected = (ledger[partition] ?? []).filter { row in !ids.contains { row.hasSuffix(" \($0)") } }
            #expect(notes == expected, "partition \(partition)")
        }
    }

    @Test("it is told every change once, in log order, by batches or one by one", arguments: ["batch", "each"])
    func follows(call: String) async throws {
        try await withKindShop { shop in
            let url = try await Self.database(shop, each: call == "each")
            try await shop.submit(300)
            let worker = try await shop.worker()
            let added = try await shop.run(
                "group", "add", "notes", "--kind", "postgres", "--url-env", "NOTES_URL", "--function", "note", "--call",
                call)
            _ = try added.succeeded()
            try await shop.submit(300)
            try await shop.settled("notes")
            try Self.isEqual(shop, url)
            // Position and count are beside the data.
            let sums = try shop.rows(
                "SELECT sum(seq), sum(applied) FROM onewrite.sink_positions WHERE sink = 'notes'", in: url)
            #expect(sums == ["600|600"])
            let audit = try await shop.run("audit")
            #expect(audit.code == 0, "\(audit.output)")
            await worker.kill()
        }
    }

    @Test("killed and stopped workers leave every change there once, in order")
    func faults() async throws {
        try await withKindShop { shop in
            let url = try await Self.database(shop)
            let ledger = try await shop.worker("--group", "postgres", log: "ledger.log")
            _ = try await shop.run(
                "group", "add", "notes", "--kind", "postgres", "--url-env", "NOTES_URL", "--function", "note"
            ).succeeded()
            var fleet = try await KindFleet(shop, "notes")
            try await fleet.torment(kills: 6, stops: 2, changes: 150)
            try Self.isEqual(shop, url)
            let tokens = try shop.rows("SELECT sum(token) FROM onewrite.sink_positions", in: url)
            #expect((Int(tokens[0]) ?? 0) > KindShop.partitions * 2, "partitions changed hands")
            await ledger.kill()
        }
    }

    @Test("workers and servers are killed, workers stopped with a batch in hand: every change is there once, in order")
    func torment() async throws {
        try await withOwnKindShop { shop in
            let url = try await Self.database(shop)
            let ledger = try await shop.worker("--group", "postgres", log: "ledger.log")
            _ = try await shop.run(
                "group", "add", "notes", "--kind", "postgres", "--url-env", "NOTES_URL", "--function", "note"
            ).succeeded()
            var fleet = try await KindFleet(shop, "notes")
            try await fleet.endure(.asked, stoppingAt: "beforeBegin", changes: 60) {
                // The same server.
                try await shop.servers.postgres.restart(.immediate)
            }
            try Self.isEqual(shop, url)
            let refused = try shop.rows("SELECT sum(refused), sum(applied) FROM onewrite.sink_positions", in: url)
            print("postgres: \(Torment.asked), refused and applied \(refused)")
            #expect(!refused[0].hasPrefix("0|"), "a worker was overtaken")
            await ledger.kill()
        }
    }

    @Test("what it refuses with a chosen SQLSTATE is set aside; anything else holds the partition up, and says why")
    func refusals() async throws {
        try await withKindShop { shop in
            let url = try await Self.database(shop)
            try shop.script(
                """
                INSERT INTO refused VALUES ('order-15'), ('order-14'), ('order-40');
                CREATE FUNCTION refuse(changes jsonb) RETURNS void LANGUAGE plpgsql AS $$
                BEGIN
                    INSERT INTO notes (id) VALUES ('undone');
                    RAISE EXCEPTION 'not this one' USING ERRCODE = 'P0042';
                END $$;
                """, in: url)
            try await shop.submit(60)
            let worker = try await shop.worker()
            let arguments = ["--kind", "postgres", "--url-env", "NOTES_URL", "--function"]
            _ = try await shop.run(["group", "add", "strict"] + arguments + ["refuse"]).succeeded()
            try await eventually(within: .seconds(20), "status says why it stalls") {
                try await shop.run("status", "--json").output.contains("not this one (SQLSTATE P0042)")
            }
            #expect(try shop.position("strict") == 0)
            #expect(try shop.rows("SELECT count(*) FROM notes", in: url) == ["0"])
            #expect(try shop.deadLetters("strict").isEmpty)
            _ = try await shop.run("group", "remove", "strict", "--yes").succeeded()
            _ = try await shop.run(["group", "add", "notes"] + arguments + ["note", "--quarantine", "P0042,22P02"])
                .succeeded()
            try await shop.settled("notes")
            try Self.isEqual(shop, url, without: ["order-15", "order-14", "order-40"])
            let letters = try shop.deadLetters("notes")
            #expect(Set(letters.keys) == ["order-15", "order-14", "order-40"])
            #expect(letters["order-15"]?.hasPrefix("refused ") == true)
            #expect(letters["order-15"]?.contains("not this one (SQLSTATE P0042)") == true)
            // A person brings it in by hand, and drops it; appended again it would count twice elsewhere.
            let retry = try await shop.run("dead", "retry", "--group", "notes", "--all", "--yes")
            #expect(retry.code == 65 && retry.output.contains("would apply it twice"), "\(retry.output)\(retry.errors)")
            await worker.kill()
        }
    }

    @Test(
        "a worker takes up groups that are added, lets go of those that are removed, and a removed one holds no trimming back"
    )
    func comesAndGoes() async throws {
        try await withKindShop { shop in
            let url = try await Self.database(shop)
            let worker = try await shop.worker()
            let add = ["group", "add", "notes", "--kind", "postgres", "--url-env", "NOTES_URL", "--function", "note"]
            _ = try await shop.run(add + ["--from", "now"]).succeeded()
            try await shop.submit(40)
            try await shop.settled("notes")
            try Self.isEqual(shop, url)
            try shop.script("ALTER FUNCTION note RENAME TO renamed", in: url)
            try await shop.submit(40)
            try await eventually(within: .seconds(20), "it stalls: \(shop.log())") {
                try await shop.run("status", "--json").output.contains("note(jsonb) does not exist")
            }
            _ = try await shop.run("group", "change", "notes", "--url-env", "NOTES_URL", "--function", "renamed")
                .succeeded()
            try await shop.settled("notes")
            try Self.isEqual(shop, url)
            try shop.script("ALTER FUNCTION renamed RENAME TO note", in: url)
            try await shop.submit(40)
            let held = try await shop.run("trim", "--keep-entries", "0", "--dry-run")
            #expect(held.output.contains("notes"), "it holds back: \(held.output)")
            _ = try await shop.run("group", "remove", "notes", "--yes").succeeded()
            try await eventually("the worker says so") { shop.log().contains("group notes was removed") }
            for group in ["postgres", "stock", "delivery"] { if group != "postgres" { try await shop.settled(group) } }
            let trimmed = try await shop.run("trim", "--keep-entries", "0", "--yes")
            #expect(trimmed.code == 0 && !trimmed.output.contains("notes"), "\(trimmed.output)\(trimmed.errors)")
            // The database keeps the position: a group of this name goes on there, from the ledger.
            _ = try await shop.run(add).succeeded()
            try await shop.settled("notes")
            try Self.isEqual(shop, url)
            await worker.kill()
        }
    }
}
