import Foundation
import OrderLog
import PrivateServers
import RedisLog
import Testing
import TestSupport

@Suite("onewrite log")
struct LogCommandTests {
    private func ids(_ ran: Ran) throws -> [String] { try ran.objects().compactMap { $0.text("id") } }

    @Test("prints the log in order, of all, of a shop, from a seq; what was trimmed or deleted comes from the ledger")
    func prints() async throws {
        try await AuditedShop.open { shop in
            let attributes = #"{"note": "a\u00e9 \"b\"", "n": 12345678901234567890.10}"#
            try await shop.submit(
                [
                    stock("counted", "count-1", "main", "TEA:500 MUG:70"),
                    #"{"id":"o-1","shop":"main","customer":"J\u00f6rg \"q\"","lines":"TEA:1 MUG:2","attributes":\#(attributes)}"#,
                ])
            try await shop.submit((2...30).map { order("o-\($0)") } + [cancellation("o-2"), order("b-1", "other")])
            try await shop.drained()
            let wanted = ["count-1"] + (1...30).map { "o-\($0)" } + ["o-2/cancel"]
            let main = shop.partition(of: "main")
            let all = try await shop.run("log", "--json")
            #expect(all.code == 0 && all.errors.isEmpty, "\(all.errors)")
            #expect(try ids(all).filter { $0 != "b-1" } == wanted && ids(all).count == wanted.count + 1)
            let times = try all.objects().compactMap { $0.text("at") }
            #expect(times == times.sorted())
            let first = try #require(try all.objects().first { $0.text("id") == "o-1" })
            #expect(first.text("type") == "order.placed" && first.text("customer") == #"Jörg "q""#)
            #expect(first.int("partition") == main.number && first.int("seq") == 2 && first.int("epoch") == 1)
            #expect(try first.objects("lines").map { $0.text("sku") } == ["TEA", "MUG"])
            #expect(all.output.contains(#""attributes":\#(attributes)}"#), "byte for byte")
            let text = try await shop.run("log", "--shop", "other").output
            #expect(
                text.contains("  order.placed  other  b-1  c-1  ") && text.split(separator: "\n").count == 1, "\(text)")

            // By hand: of no place, of one that was not given, and a copy.
            let log = shop.keys.log(main)
            try await shop.redis("XADD", log, "*", "a", "b")
            try await shop.redis("XADD", log, "*", "epoch", "1", "seq", "99", "type", "order.placed", "id", "ghost")
            try await shop.redis("XADD", log, "*", "epoch", "1", "seq", "3", "type", "order.placed", "id", "copy")
            #expect(try await shop.run("trim", "--keep-entries", "12", "--yes").code == 0)
            try await shop.redis("XDEL", log, try await shop.entry(25, in: main))
            for arguments in [["--shop", "main"], ["--partition", "\(main)"]] {
                let whole = try await shop.run(["log", "--json"] + arguments)
                #expect(whole.code == 0 && whole.errors.isEmpty, "\(whole.errors)")
                #expect(try ids(whole).filter { $0 != "b-1" } == wanted)
            }
            for (seq, limit) in [(5, 3), (24, 4), (31, 9)] {
                let some = try await shop.run(
                    "log", "--json", "--shop", "main", "--from", "\(seq)", "--limit", "\(limit)")
                #expect(try ids(some) == Array(wanted[(seq - 1)...].prefix(limit)))
            }
            #expect(try await shop.run("log", "--from", "now").output.isEmpty)

            // Without the ledger it says what it lacks.
            let alone = try await shop.run(["log", "--shop", "main"], ["DATABASE_URL": nil])
            #expect(alone.code == 78 && alone.errors.contains("are no longer in the log"), "\(alone.errors)")
            try await shop.sql("DELETE FROM ledger WHERE id IN ('o-3', 'o-4')")
            let holed = try await shop.run("log", "--json", "--shop", "main")
            #expect(holed.code == 0 && holed.errors.contains("neither the log nor the ledger has seq 4 to 5"))
            #expect(try ids(holed) == wanted.filter { $0 != "o-3" && $0 != "o-4" })
        }
    }

    @Test("--follow prints what comes, also after the log lost its tail and was opened anew", .timeLimit(.minutes(2)))
    func follows() async throws {
        try await AuditedShop.open(partitions: 2) { shop in
            try await shop.submit((1...3).map { order("o-\($0)") })
            try await shop.drained()
            let main = shop.partition(of: "main")
            let followed = try await BuiltExecutable.spawn(
                "log", "--follow", "--json", "--shop", "main", on: shop.servers, output: .piped)
            let limited = try await BuiltExecutable.spawn(
                "log", "--follow", "--from", "2", "--limit", "4", "--json", "--shop", "main", on: shop.servers,
                output: .piped
            )
            try await eventually("both wait for more") {
                try await shop.text("CLIENT", "LIST").split(separator: "\n").count {
                    $0.contains(" name=onewrite-log ") && $0.contains(" cmd=xread ")
                } == 2
            }
            try await shop.submit([order("o-4"), order("o-5")])
            try await shop.drained()
            // Redis loses o-5, and takes another: as after a crash.
            let head = shop.keys.head(main)
            try await shop.redis("XDEL", shop.keys.log(main), try await shop.entry(5, in: main))
            try await shop.redis("HSET", head, "seq", "4", "replid", "another")
            try await eventually(within: .seconds(60), "the log is open again") {
                let fields = [try await shop.text("HGET", head, "seq"), try await shop.text("HGET", head, "replid")]
                return fields[0] == "5" && fields[1].count == 40
            }
            try await shop.submit([order("o-6")])
            var items: [[String: Any]] = []
            while items.last?.text("id") != "o-6", let line = try await followed.output?.nextLine() {
                items.append(
                    try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]))
            }
            #expect(items.compactMap { $0.text("id") } == ["o-4", "o-5", "o-5", "o-6"], "put back, it comes again")
            #expect(items.compactMap { $0.int("epoch") } == [1, 1, 2, 2])
            #expect(items.compactMap { $0.int("seq") } == [4, 5, 5, 6])
            followed.send(SIGINT)
            #expect(try await followed.exit(within: .seconds(10)) == .exited(130))
            #expect(try await limited.exit(within: .seconds(10)) == .exited(0), "--limit ends it")
            let some = try #require(try await limited.output?.rest()).split(separator: "\n")
            #expect(some.count == 4 && some.first?.contains(#""id":"o-2""#) == true)
        }
    }

    @Test("--follow goes on after Redis was killed and started again", .timeLimit(.minutes(2)))
    func followsAcrossARestart() async throws {
        try await withOwnServers { servers in
            _ = try await Ran(BuiltExecutable.run("init", "--partitions", "2", on: servers)).succeeded()
            let worker = try await BuiltExecutable.spawn("worker", on: servers, errors: .discarded)
            let followed = try await BuiltExecutable.spawn(
                "log", "--follow", "--from", "start", on: servers, output: .piped, errors: .piped)
            for id in ["o-1", "o-2"] {
                _ = try await Ran(
                    BuiltExecutable.run(
                        "submit", "--id", id, "--shop", "main", "--customer", "c", "--line", "TEA:1", "--wait",
                        on: servers)
                ).succeeded()
                #expect(try await followed.output?.nextLine()?.contains("  order.placed  main  \(id)  ") == true)
                if id == "o-2" { break }
                await servers.redis.kill()
                #expect(try await followed.errors?.nextLine()?.hasSuffix("trying again") == true)
                try await servers.redis.restart()
            }
            #expect(await followed.stop(with: SIGINT) == .exited(130))
            await worker.stop()
        }
    }

    @Test("what can't be is refused before anything is asked")
    func refused() async throws {
        try await AuditedShop.open(partitions: 2) { shop in
            for arguments in [
                ["--from", "then"], ["--from", "0", "--shop", "main"], ["--from", "3"], ["--limit", "0"],
                ["--partition", "-1"], ["--shop", "main", "--partition", "1"],
            ] {
                #expect(try await shop.run(["log"] + arguments).code == 64, "\(arguments)")
            }
            let missing = try await shop.run("log", "--partition", "2")
            #expect(missing.code == 1 && missing.errors.contains("there is no partition 2: the log has 2"))
        }
    }
}
