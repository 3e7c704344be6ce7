import Foundation
import PrivateServers
import RedisClient
import Testing
import TestSupport

@Suite("Groups that lead to stores without code")
struct GroupAddTests {
    @Test("what can't work is refused when the group is added, with the reason, and nothing is recorded")
    func refusals() async throws {
        try await withKindShop { shop in
            let database = try await shop.servers.newDatabase()
            shop.set("LOYALTY_URL", database)
            shop.set("NOWHERE_URL", "postgres://nobody:hunter2@127.0.0.1:1/none?connect_timeout=2")
            shop.set("SHORT_SECRET", "whsec_c2hvcnQ=")
            shop.set("NO_HEADER", "hunter2")
            let function = ["--kind", "postgres", "--url-env", "LOYALTY_URL", "--function", "f"]
            let webhook = ["--kind", "webhook", "--url", "http://127.0.0.1:1/"]
            let cases: [(code: Int32, arguments: [String], reason: String)] = [
                (64, ["--kind", "mail"], "postgres, redis-script, webhook, got \"mail\""),
                (64, ["--url", "http://x.example/"], "--url says something of a kind of store: say --kind, too"),
                (78, ["--kind", "postgres", "--function", "f"], "--url-env is missing: the kind postgres needs it"),
                (78, function + ["--batch", "3"], "--batch: not a setting of the kind postgres"),
                (
                    78, ["--kind", "postgres", "--url-env", "UNSET_URL", "--function", "f"],
                    "\"UNSET_URL\" is not set here"
                ),
                (78, function, "g's database (LOYALTY_URL): there is no function f(jsonb)"),
                (
                    69, ["--kind", "postgres", "--url-env", "NOWHERE_URL", "--function", "f"],
                    "g's database (NOWHERE_URL)"
                ),
                (78, function + ["--call", "some"], "--call: expected batch or each, got \"some\""),
                (78, function + ["--quarantine", "P0001,x"], "--quarantine: expected SQLSTATEs of five characters"),
                (78, ["--kind", "webhook", "--url", "ftp://x.example/"], "--url: expected http://"),
                (78, ["--kind", "webhook", "--url", "https://me:hunter2@x.example/"], "without a user or a password"),
                (78, webhook, "--secret-env: expected the name of an environment variable"),
                (78, webhook + ["--secret-env", "SHORT_SECRET"], "whsec_ and the Base64 of 24 to 64 bytes"),
                (78, webhook + ["--unsigned", "--header-env", "NO_HEADER"], "holds no header: expected Name: value"),
                (78, webhook + ["--unsigned", "--batch", "0"], "--batch: expected 1 to 500, got \"0\""),
                (
                    78, webhook + ["--unsigned", "--quarantine", "410"],
                    "--quarantine: expected statuses from 400 to 499"
                ),
                (77, webhook + ["--unsigned"], "127.0.0.1 is an address of a private network"),
                (69, webhook + ["--unsigned", "--allow-private"], "--url 127.0.0.1:1: "),
                (66, ["--kind", "redis-script", "none.lua"], "there is no script \"none.lua\""),
                (78, ["--kind", "redis-script"], "the script is missing: the kind redis-script needs it"),
                (64, ["own.lua"], "there is no script \"own.lua\""),
            ]
            for (code, arguments, reason) in cases {
                let ran = try await shop.run(["group", "add", "g"] + arguments)
                #expect(ran.code == code || (code == 64 && ran.code == 66), "\(arguments): \(ran.errors)")
                #expect(ran.errors.contains(reason), "\(arguments): \(ran.errors)")
                #expect(!(ran.output + ran.errors).contains("hunter2"), "\(arguments)")
            }
            #expect(try shop.redis("HEXISTS", "\(shop.servers.namespace):groups", "g").integer == 0)
        }
    }

    @Test("a function that returns rows, a missing table, and missing rights are refused")
    func refusedByTheDatabase() async throws {
        try await withKindShop { shop in
            let database = try await shop.servers.newDatabase()
            let role = "worker_\(shop.servers.namespace)"
            try shop.script(
                """
                CREATE SCHEMA s; CREATE ROLE \(role) LOGIN;
                CREATE FUNCTION s.rows(changes jsonb) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
                CREATE FUNCTION s.one(changes jsonb) RETURNS int LANGUAGE sql AS 'SELECT 1';
                GRANT USAGE ON SCHEMA s TO \(role); REVOKE EXECUTE ON FUNCTION s.one(jsonb) FROM PUBLIC;
                """, in: database)
            shop.set("DB", database)
            shop.set("ROLE_DB", database.replacing(/user=\w+/, with: "user=\(role)"))
            func add(_ variable: String, _ function: String) async throws -> Ran {
                try await shop.run(
                    "group", "add", "g", "--kind", "postgres", "--url-env", variable, "--function", function)
            }
            var ran = try await add("DB", "s.rows")
            #expect(ran.code == 78 && ran.errors.contains("s.rows returns a set of rows"), "\(ran.errors)")
            ran = try await add("DB", "s.one")
            #expect(ran.code == 78 && ran.errors.contains("there is no table onewrite.sink_positions"), "\(ran.errors)")
            let sql = try await shop.run("group", "sql", "--role", role, "--function", "s.one").succeeded().output
            try shop.script(sql.replacing(/GRANT EXECUTE.*;/, with: ""), in: database)
            ran = try await add("ROLE_DB", "s.one")
            #expect(ran.code == 77 && ran.errors.contains("the role may not execute s.one"), "\(ran.errors)")
            // All that it prints is what is needed, and running it again is harmless.
            try shop.script(sql, in: database)
            try shop.script("REVOKE UPDATE ON onewrite.sink_positions FROM \(role)", in: database)
            ran = try await add("ROLE_DB", "s.one")
            #expect(
                ran.code == 77 && ran.errors.contains("may not read and write onewrite.sink_positions"), "\(ran.errors)"
            )
            try shop.script(sql, in: database)
            ran = try await add("ROLE_DB", "s.one")
            #expect(ran.code == 0, "\(ran.errors)")
        }
    }

    @Test("a group is recorded once, listed with what is promised, and changed only by saying so")
    func recording() async throws {
        try await withKindShop { shop in
            let receiver = HTTPReceiver { _ in HTTPReceiver.Answer(200) }
            let add = [
                "group", "add", "hook", "--kind", "webhook", "--url", receiver.url, "--unsigned", "--allow-private",
            ]
            var ran = try await shop.run(add)
            #expect(
                ran.output
                    == "group hook begins from start. Workers that serve all groups take it up; or: onewrite worker "
                    + "--group hook\n")
            ran = try await shop.run(add)
            #expect(ran.code == 0 && ran.output == "group hook is there already\n", "\(ran.errors)")
            ran = try await shop.run(add + ["--batch", "7"])
            #expect(
                ran.code == 1
                    && ran.errors.contains(
                        "there already, is of kind webhook, and began from start, with other settings")
            )
            ran = try await shop.run(
                "group", "change", "hook", "--url", receiver.url, "--unsigned", "--allow-private", "--batch", "7")
            #expect(ran.code == 0 && ran.output == "group hook is changed\n", "\(ran.errors)")
            ran = try await shop.run("group", "change", "hook", "--url", "http://127.0.0.1:1/", "--unsigned")
            #expect(ran.code == 77, "it is tried: \(ran.errors)")
            ran = try await shop.run(
                "group", "change", "hook", "--kind", "postgres", "--url-env", "X", "--function", "f")
            #expect(ran.code == 1 && ran.errors.contains("hook is of kind webhook"))
            ran = try await shop.run("group", "change", "nobody", "--unsigned")
            #expect(ran.code == 1 && ran.errors.contains("there is no group nobody"))
            let line = try #require(
                try await shop.run("group", "list", "--json").objects().first { $0.text("group") == "hook" })
            #expect(
                line.text("kind") == "webhook" && line.text("guarantee")?.hasPrefix("at least once, in order") == true)
            #expect(try line.object("settings").text("batch") == "7")
            // What it says of a sink of one's own, and of a group that nobody added.
            _ = try await shop.run("group", "add", "mine").succeeded()
            let worker = try await shop.run("worker", "--group", "mine")
            #expect(
                worker.code == 78 && worker.errors.contains("the application that brings it serves it"),
                "\(worker.errors)")
            let none = try await shop.run("worker", "--group", "none")
            #expect(
                none.code == 78 && none.errors.contains("there is no group none; there are postgres, stock, delivery"))
        }
    }
}
