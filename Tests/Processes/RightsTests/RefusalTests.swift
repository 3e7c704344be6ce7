import PrivateServers
import Testing
import TestSupport

@Suite("what the servers refuse to each role")
struct RefusalTests {
    /// All that a role may call of what can harm a server: INFO, a rewrite of its file, and unblocking a reader.
    private static let harmless: Set<String> = [
        "info", "bgrewriteaof", "client|unblock", "function|load", "function|list",
    ]

    @Test("of all commands of the server, each role may give a few, and none on others' keys")
    func commands() async throws {
        try await GuardedShop.open { shop in
            var categories: [String: Set<String>] = [:]
            for category in try await shop.list("ACL", "CAT") {
                categories[category] = Set(try await shop.list("ACL", "CAT", category))
            }
            let all = categories.values.reduce(Set<String>()) { $0.union($1) }.sorted()
            #expect(all.count > 200)
            let dangerous = (categories["admin"] ?? []).union(categories["dangerous"] ?? [])
            for role in GuardedShop.roles {
                if role != "admin" { try await shop.grant(role) }
                let tries = all.flatMap { command in Self.arguments(of: command).map { (command, $0) } }
                let asked = tries.map { command, arguments in
                    ["ACL", "DRYRUN", shop.user(role)] + command.split(separator: "|").map(String.init) + arguments
                }
                let answers = try await shop.answers(asked)
                let allowed = Set(zip(tries, answers).filter { $0.1 == "OK" }.map { $0.0.0 })
                #expect(allowed.isDisjoint(with: dangerous.subtracting(Self.harmless)), "\(role): \(allowed)")
                // What is left touches no key: sessions, scripts, waiting, and looking.
                #expect(allowed.isSubset(of: Self.keyless(role)), "\(role): \(allowed.subtracting(Self.keyless(role)))")
                #expect(allowed.isSuperset(of: ["info", "script|load"]), "\(role)")
            }
        }
    }

    /// Some of them for any command, and a key of somebody else's wherever one can be.
    private static func arguments(of command: String) -> [[String]] {
        switch command {
        case "eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro": [["x", "1", "other:key"]]
        // Valkey's, since 9.1.
        case "msetex": [["1", "other:key", "x"]]
        case "xread": [["STREAMS", "other:key", "0"]]
        case "xreadgroup": [["GROUP", "g", "c", "STREAMS", "other:key", ">"]]
        case "zunion", "zinter", "zdiff", "zintercard", "sintercard", "lmpop", "zmpop": [["1", "other:key", "LEFT"]]
        case "zunionstore", "zinterstore", "zdiffstore": [["other:key", "1", "other:key"]]
        case "subscribe", "psubscribe", "ssubscribe", "publish", "spublish":
            [["other:channel"], ["other:channel", "x"]]
        default: (0...5).map { Array(repeating: "other:key", count: $0) }
        }
    }

    private static func keyless(_ role: String) -> Set<String> {
        // What clients may always do: it says who they are, or ends the session.
        let session: Set<String> = [
            "auth", "hello", "quit", "reset", "client|setname", "info", "script|load", "select",
        ]
        let worker: Set<String> = ["time", "ping", "pubsub|numsub", "client|unblock", "bgrewriteaof", "scan"]
        let reader: Set<String> = ["time", "multi", "exec", "scan", "pubsub|numsub", "function|list"]
        let more: Set<String> =
            switch role {
            case "submit": ["time", "wait"]
            case "read": reader
            case "operate":
                reader.union(["wait", "bgrewriteaof", "command|info", "command|getkeys", "lolwut"])
            case "admin":
                reader.union(worker).union([
                    "wait", "command|info", "command|getkeys", "function|load", "lolwut", "pfmerge", "xgroup|help",
                    "xinfo|help",
                ])
            default: worker
            }
        return session.union(more)
    }

    @Test("a role stays with its own keys: other groups', other logs' and the log's own are refused")
    func keys() async throws {
        try await GuardedShop.open { shop in
            for role in GuardedShop.roles where role != "admin" { try await shop.grant(role) }
            let tag = "{\(shop.namespace):0}"
            let other = "{\(shop.namespace):other:0}"
            let cases: [(roles: [String], command: String, isAllowed: Bool)] = [
                (["submit"], "XADD \(tag):log * a b", true), (["submit"], "XACK \(tag):log stock 1-1", false),
                (["submit"], "XREADGROUP GROUP g c STREAMS \(tag):log >", false), (["submit"], "DEL \(tag):log", false),
                (["submit"], "HSET \(tag):position:stock seq 9", false),
                (["submit"], "HGETALL \(tag):stock:main", false),
                (["worker:stock"], "HSET \(tag):position:stock seq 9", true),
                (["worker:stock"], "HSET \(tag):position:delivery seq 9", false),
                (["worker:stock"], "HSET \(tag):position:stock-2 seq 9", false),
                (["worker:stock"], "SET \(tag):lease:delivery x", false),
                (["worker:stock"], "HSET \(tag):head seq 9", false),
                (["worker:stock"], "XADD \(tag):log * a b", false),
                (["worker:stock"], "XTRIM \(tag):log MAXLEN 0", false),
                (["worker:stock"], "RPUSH \(tag):deliveries x", false),
                (["worker:stock"], "SUBSCRIBE \(shop.namespace):present:stock:w", true),
                (["worker:stock"], "SUBSCRIBE \(shop.namespace):present:delivery:w", false),
                (["worker:stock"], "XGROUP DESTROY \(tag):log stock", false),
                (["worker:postgres"], "HINCRBY \(tag):stock:main TEA 1", false),
                (["worker:postgres"], "HSET \(tag):position:stock seq 9", false),
                (["read"], "HGETALL \(tag):stock:main", true), (["read"], "HSET \(tag):head seq 9", false),
                (["operate"], "HSET \(shop.namespace):groups search x", true),
                (["operate"], "SET \(tag):lease:stock x", false),
                (GuardedShop.roles, "XADD \(other):log * a b", false),
                (GuardedShop.roles, "HGET \(other):head seq", false),
                (GuardedShop.roles, "XRANGE \(other):log - +", false), (GuardedShop.roles, "FLUSHALL", false),
                (GuardedShop.roles, "CONFIG SET appendonly no", false), (GuardedShop.roles, "CONFIG GET *", false),
                (GuardedShop.roles, "KEYS *", false), (GuardedShop.roles, "ACL SETUSER x on", false),
                (GuardedShop.roles, "DEL \(shop.namespace):meta", false), (GuardedShop.roles, "SHUTDOWN", false),
            ]
            for (roles, command, isAllowed) in cases {
                for role in roles {
                    let words = command.split(separator: " ").map(String.init)
                    let answer = try await shop.ask(["ACL", "DRYRUN", shop.user(role)] + words)
                    #expect((answer == "OK") == isAllowed, "\(role): \(command): \(answer)")
                }
            }
        }
    }

    @Test("in Postgres a role stays within its tables and columns, and within the schema")
    func tables() async throws {
        try await GuardedShop.open { shop in
            for role in GuardedShop.roles where role != "admin" { try await shop.grant(role) }
            try await shop.sql(
                """
                CREATE SCHEMA other; CREATE TABLE other.secret (x int);
                INSERT INTO stock VALUES ('main', 'TEA', 1)
                """)
            let some = ["submit", "worker:stock", "worker:postgres", "read"]
            let cases: [(roles: [String], statement: String, isAllowed: Bool)] = [
                (some + ["operate"], "DELETE FROM ledger", false), (some + ["operate"], "TRUNCATE ledger", false),
                (some + ["operate"], "DROP TABLE ledger", false),
                (some + ["operate"], "UPDATE meta SET version = 9", false),
                (some + ["operate"], "ALTER TABLE stock ADD y int", false),
                (GuardedShop.roles, "SELECT * FROM other.secret", false), (some, "CREATE TABLE mine (x int)", false),
                (some, "DELETE FROM stock", false), (["submit", "read"], "UPDATE stock SET on_hand = 0", false),
                (["submit", "read"], "UPDATE partitions SET seq = 0", false),
                (["submit"], "SELECT * FROM stock", false),
                (["submit"], "SELECT lines FROM ledger", false), (["submit"], "SELECT id, shop FROM ledger", true),
                (["worker:stock"], "SELECT * FROM stock", false),
                (["worker:postgres"], "UPDATE ledger SET id = ''", false),
                (["worker:postgres"], "UPDATE stock SET on_hand = 2", true), (["read"], "SELECT * FROM ledger", true),
                (["operate"], "DELETE FROM stock", true), (["admin"], "DROP TABLE stock", true),
            ]
            for (roles, statement, isAllowed) in cases {
                for role in roles {
                    let url = shop.servers.postgres.url.replacing("user=postgres", with: "user=\(shop.user(role))")
                    let sql = "BEGIN; SET search_path = \(shop.namespace); \(statement); ROLLBACK"
                    let ran = try await ChildProcess.run(["psql", url, "-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql])
                    #expect((ran.status == .exited(0)) == isAllowed, "\(role): \(statement): \(ran.errors)")
                    #expect(
                        isAllowed || ran.errors.contains(/permission denied|must be owner|does not exist|no schema/))
                }
            }
        }
    }
}
