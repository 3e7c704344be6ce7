import Foundation
import PrivateServers
import TestSupport
import Testing

@Suite("onewrite bench, the real executable")
struct BenchRunTests {
    @Test("a small one measures every stage beside the bare loop, says all of it as JSON, and leaves nothing behind")
    func everyStage() async throws {
        let scratch = FileManager.default.temporaryDirectory.appending(path: "onewrite-bareloop-\(getpid())")
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(at: scratch) } catch { Issue.record(error) } }
        let bare = try await yardstick(in: scratch.path)
        let done = try await bench(
            ["--orders", "600", "--rounds", "2", "--rates", "50", "--seconds", "1", "--json"]
                + (bare.map { ["--bare", $0] } ?? []))
        let report = try Ran(done).object()

        #expect(report.text("schema") == "onewrite/bench/v1")
        let setup = try report.object("setup")
        for (key, value) in ["orders": 600, "rounds": 2, "shops": 1, "partitions": 1, "workers": 1, "skus": 100] {
            #expect(setup.int(key) == value, "\(key)")
        }
        let stages = try report.objects("stages")
        #expect(stages.map { $0.text("stage") } == ["append", "stock", "delivery", "postgres", "all"])
        for stage in stages {
            try expectSane(try stage.object("onewrite"), rounds: 2)
            #expect((try stage.object("onewrite")["start_up_ms"] as? Double ?? 0) > 0)
            guard bare != nil else {
                #expect(stage["bare"] == nil && stage["ratio"] == nil)
                continue
            }
            try expectSane(try stage.object("bare"), rounds: 2)
            let ratio = try stage.object("ratio")
            let values = ["min", "median", "max"].map { ratio[$0] as? Double ?? 0 }
            #expect(values[0] > 0 && values == values.sorted())
        }
        let produce = try report.objects("produce")
        #expect(produce.map { $0.text("use") } == ["sequence", "concurrent", "single"])
        for figures in produce {
            let use = figures.text("use")
            let ratio = use == "single" ? 1 : try figures.object("ratio_to_submit")["median"] as? Double ?? 0
            #expect(ratio > 0, "\(use)")
            let median = use == "sequence" ? 1 : try figures.object("ms")["p50"] as? Double ?? 0
            #expect(median > 0, "\(use)")
        }
        let latency = try report.objects("latency")
        #expect(latency.map { $0.text("until") } == ["accepted", "postgres", "stock", "delivery", "all"])
        for figures in latency {
            #expect(figures.int("rate") == 50)
            let percentiles = try figures.object("ms")
            let values = ["p50", "p90", "p99", "max"].map { percentiles[$0] as? Double ?? 0 }
            #expect(values[0] > 0 && values == values.sorted(), "\(values)")
            #expect(try figures.objects("rounds").count == 2)
        }
        let memory = try report.object("memory")
        for key in ["log_bytes_per_entry", "window_bytes_per_order"] {
            #expect((10...1000).contains(memory[key] as? Double ?? 0), "\(key)")
        }
        let directory = try #require(done.errors.firstMatch(of: /\/tmp\/onewrite-\w{6}/)).0
        try await eventually("the directory is gone") { !FileManager.default.fileExists(atPath: String(directory)) }
    }

    @Test("many shops, partitions, lanes and workers, with TLS; a table for people")
    func manyShops() async throws {
        let done = try await bench([
            "--orders", "400", "--rounds", "1", "--shops", "20", "--partitions", "4", "--workers", "2", "--lanes", "2",
            "--skus", "7", "--stages", "stock,all", "--tls",
        ])
        let table = try Ran(done).succeeded().output
        #expect(table.contains("400 orders of two lines · 20 shops · 7 SKUs · 4 partitions · 2 workers"), "\(table)")
        #expect(table.contains(" with TLS · Postgres "), "\(table)")
        let rows = table.split(separator: "\n").map { $0.split(separator: " ").first ?? "" }
        #expect(rows.contains("STAGE") && rows.contains("stock") && rows.contains("all"), "\(table)")
        #expect(!table.contains("bare loop") && !table.contains("append "), "\(table)")
    }

    @Test("on a Redis Cluster all of its processes are counted, and each is named")
    func cluster() async throws {
        let plan = ["--orders", "400", "--rounds", "1", "--shops", "20", "--masters", "3", "--stages", "append,stock"]
        let done = try await bench(plan + ["--json"])
        let report = try Ran(done).succeeded().object()
        #expect(try report.object("setup").int("masters") == 3)
        #expect(try report.object("setup").int("partitions") == 24, "eight for each")
        let stages = try report.objects("stages")
        #expect(stages.map { $0.text("stage") } == ["append", "stock"])
        for stage in stages {
            let side = try stage.object("onewrite")
            let each = try #require(side["redis_us_per_order_by_process"] as? [Double])
            #expect(each.count == 3)
            // Times are counted in hundredths of a second, so that a process may show none.
            #expect(abs(each.reduce(0, +) - (side["redis_us_per_order"] as? Double ?? -1)) < 0.01)
            let commands = try side.objects("redis_commands")
            #expect(commands.contains { $0.text("name") == "xadd" } == (stage.text("stage") == "append"))
        }
        let table = try Ran(try await bench(plan)).succeeded().output
        #expect(table.contains("Redis Cluster ") && table.contains(" of 3 masters"), "\(table)")
        #expect(table.contains("Redis by process, in µs an order:"), "\(table)")
    }

    @Test("logs of several sizes are measured in turn, and compared with the first, round by round")
    func severalSizes() async throws {
        let done = try await bench([
            "--orders", "400", "--rounds", "2", "--partitions", "4,1", "--stages", "stock,postgres", "--json",
        ])
        let stages = try Ran(done).succeeded().object().objects("stages")
        #expect(stages.map { $0.text("stage") } == ["stock", "stock", "postgres", "postgres"])
        #expect(stages.map { $0.int("partitions") } == [4, 1, 4, 1])
        for pair in [stages[0...1], stages[2...3]] {
            let (first, second) = (try #require(pair.first), try #require(pair.last))
            #expect(first["ratio_to_first"] == nil)
            let rounds = try [first, second].map {
                try #require(try $0.object("onewrite")["rounds"] as? [Double])
            }
            let expected = zip(rounds[1], rounds[0]).map { $0 / $1 }.sorted()
            let ratio = try second.object("ratio_to_first")
            for (key, value) in [("min", expected[0]), ("max", expected[1])] {
                #expect(abs((ratio[key] as? Double ?? 0) - value) < 1e-6, "\(key)")
            }
        }
    }

    @Test("a busy partition among many idle ones is applied in batches as large as alone")
    func busyAmongIdle() async throws {
        let done = try await bench([
            "--orders", "3000", "--rounds", "1", "--partitions", "1,64", "--stages", "stock", "--json",
        ])
        for stage in try Ran(done).succeeded().object().objects("stages") {
            let commands = try stage.object("onewrite").objects("redis_commands")
            let acknowledged = try #require(commands.first { $0.text("name") == "xack" })
            // One a batch: a few, where equal shares of a read would be sixteen orders each.
            let batches = 3000 * (acknowledged["calls_per_order"] as? Double ?? 1)
            #expect(batches < 40, "\(stage.int("partitions") ?? 0) partitions: \(batches) batches")
        }
    }

    @Test(
        "Ctrl-C in the middle of any stage ends it with the signal's code, and is all that is told",
        arguments: ["starting", "append", "sequence", "concurrent"])
    func stopped(behind stage: String) async throws {
        let bench = try await ChildProcess.spawn(
            [BuiltExecutable.path, "bench", "--orders", "30000", "--rounds", "1", "--stages", "produce"],
            output: .discarded, errors: .piped)
        var said: [String] = []
        while said.last?.contains(stage) != true, let line = try await bench.errors?.nextLine() { said.append(line) }
        try #require(said.last?.contains(stage) == true, "\(said)")
        bench.send(SIGINT)
        while let line = try await bench.errors?.nextLine() { said.append(line) }
        #expect(try await bench.exit(within: .seconds(30)) == .exited(128 + SIGINT))
        #expect(!said.contains { $0.contains("error:") }, "\(said)")
        #expect(said.last?.contains("stopping, and removing everything") == true, "\(said)")
    }

    @Test(
        "wrong options are refused before anything is started",
        arguments: [
            (["--orders", "0"], "--orders: expected 1 to 100000000, got 0"),
            (["--skus", "1"], "--skus: expected 2 to 10000000, got 1"),
            (["--partitions", "1025"], "--partitions: expected numbers from 1 to 1024 with commas, got \"1025\""),
            (["--partitions", "8,1,8"], "--partitions: 8,1,8 has a number twice"),
            (
                ["--stages", "stock,stok"],
                "--stages: expected some of append, produce, stock, delivery, postgres, all, latency"
            ),
            (["--rates", "200,"], "--rates: expected numbers from 1 to 100000 with commas, got \"\""),
            (["--bare", "/nowhere/bareloop"], "--bare: there is no program /nowhere/bareloop"),
        ])
    func wrongOptions(_ options: [String], _ message: String) async throws {
        let done = try await bench(options)
        #expect(done.status == .exited(64))
        #expect(done.errors.contains(message), "\(done.errors)")
        #expect(!done.errors.contains("starting"), "\(done.errors)")
    }

    // MARK: -

    private func bench(_ options: [String]) async throws -> ChildProcess.Completed {
        try await ChildProcess.run([BuiltExecutable.path, "bench"] + options, within: .seconds(120))
    }

    /// Builds the yardstick as scripts/bench does; nil where there is no C compiler.
    private func yardstick(in folder: String) async throws -> String? {
        let compilers = ["/usr/bin/cc", "/usr/bin/clang"]
        guard let compiler = compilers.first(where: FileManager.default.isExecutableFile) else { return nil }
        let source = Repository.root.appending(path: "Tests/BareLoop/bareloop.c")
        let include = try await ChildProcess.run(["pg_config", "--includedir"]).output
        let built = try await ChildProcess.run([
            compiler, "-O2", "-Wall", "-Wextra", "-Werror", source.path,
            "-I" + include.trimmingCharacters(in: .newlines), "-lhiredis", "-lpq", "-o", "\(folder)/bareloop",
        ])
        #expect(built.status == .exited(0), "\(built.errors)")
        return "\(folder)/bareloop"
    }

    private func expectSane(_ side: [String: Any], rounds: Int) throws {
        let rate = try side.object("orders_per_second")
        let values = ["min", "median", "max"].map { rate[$0] as? Double ?? 0 }
        #expect(values[0] > 0 && values == values.sorted())
        #expect((side["rounds"] as? [Double])?.count == rounds)
        for key in ["client_us_per_order", "redis_us_per_order", "postgres_us_per_order"] {
            // A clock tick may be more than so few orders take.
            #expect((side[key] as? Double ?? -1) >= 0, "\(key)")
        }
        let commands = try side.objects("redis_commands")
        #expect(commands.contains { ["xadd", "xreadgroup"].contains($0.text("name")) })
        #expect(commands.allSatisfy { ($0["calls_per_order"] as? Double ?? 0) > 0 })
    }
}
