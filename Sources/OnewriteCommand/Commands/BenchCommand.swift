import ArgumentParser
import Bench
import Foundation
import OrderLog

/// `onewrite bench`.
struct BenchCommand: AsyncParsableCommand, ShowsItsOwnProgress {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure throughput and latency on private servers of its own.",
        discussion: """
            Starts a private Redis (AOF everysec) and Postgres (fsync on) in a temporary directory and touches nothing else on this \
            machine; everything is removed at the end. Real processes do the work. Stages:

              append    onewrite submit of an NDJSON file, the process's start included
              produce   the library in one process: a task that submits a sequence, a thousand tasks
                        that submit one by one, and one at 200 orders a second
              stock, delivery, postgres
                        workers of one group drain the log
              all       workers of all three groups drain a log at once
              latency   orders on a schedule: from due to applied, sink by sink

            --bare runs the same work as a bare loop in C beside each stage, on the same servers, and prints the ratios; \
            scripts/bench builds it and passes it. It always has one shop and 100 SKUs.

            Examples:
              scripts/bench --rounds 3
              onewrite bench --partitions 1,8,64 --stages stock,postgres
              onewrite bench --shops 1000 --lanes 2 --stages all --rounds 1
              onewrite bench --shops 1000 --masters 3
              scripts/bench --stages append --admission
            """)

    @Option(help: ArgumentHelp("Orders of two lines, 1 to 100000000.", valueName: "n"))
    var orders = 100_000

    @Option(help: ArgumentHelp("Rounds; figures are their medians, 1 to 100.", valueName: "n"))
    var rounds = 3

    @Option(help: ArgumentHelp("Shops that the orders are spread over, 1 to 1000000.", valueName: "n"))
    var shops = 1

    @Option(
        help: ArgumentHelp(
            """
            Partitions of the log, 1 to \(Limits.partitions.upperBound) (default: 1 for one shop, else 8, or \
            \(Self.partitionsAMaster) for each master). Of a list, as \
            1,8,64, each is measured in turn and compared with the first.
            """,
            valueName: "P"))
    var partitions: String?

    @Option(help: ArgumentHelp("Worker processes of each group, 1 to 16.", valueName: "n"))
    var workers = 1

    @Option(help: ArgumentHelp("Lanes of each worker, 1 to 64.", valueName: "n"))
    var lanes = 1

    @Option(help: ArgumentHelp("SKUs that the lines are spread over, 2 to 10000000.", valueName: "n"))
    var skus = 100

    @Option(
        help: ArgumentHelp(
            "What to measure: any of \(BenchPlan.Stage.allCases.map(\.rawValue).joined(separator: ",")) (default: all of them).",
            valueName: "stages"), completion: .list(BenchPlan.Stage.allCases.map(\.rawValue)))
    var stages: String?

    @Option(help: ArgumentHelp("Orders a second for the latency, each 1 to 100000.", valueName: "rates"))
    var rates = "200,2000"

    @Option(help: ArgumentHelp("How long each rate is kept up, 1 to 3600.", valueName: "s"))
    var seconds = 10

    @Option(
        help: ArgumentHelp("The executable of the bare loop to compare with (see scripts/bench).", valueName: "path"),
        completion: .file())
    var bare: String?

    @Option(
        help: ArgumentHelp(
            "Workers of group postgres trim the log meanwhile: what is older than this.", valueName: "age"))
    var trim: String?

    @Flag(help: "Speak TLS to Redis, on a port with a certificate of the benchmark's own.")
    var tls = false

    @Option(
        help: ArgumentHelp(
            "Put the log on a Redis Cluster of so many masters, 1 to 16, without replicas.", valueName: "n"))
    var masters: Int?

    @Flag(help: "Shops admit orders by their stock, which covers all of them; for the stages append and produce.")
    var admission = false

    @Flag(help: "One JSON object (onewrite/bench/v1).")
    var json = false

    /// Enough for the cluster's hash slots to spread the log.
    private static let partitionsAMaster = 8

    func validate() throws {
        var numbers = [
            ("--orders", orders, 1...100_000_000), ("--rounds", rounds, 1...100), ("--shops", shops, 1...1_000_000),
            ("--workers", workers, 1...16), ("--lanes", lanes, 1...64), ("--skus", skus, 2...10_000_000),
            ("--seconds", seconds, 1...3600),
        ]
        if let masters { numbers.append(("--masters", masters, 1...16)) }
        for (option, number, range) in numbers where !range.contains(number) {
            throw ValidationError("\(option): expected \(range.lowerBound) to \(range.upperBound), got \(number)")
        }
        _ = try (chosenStages(), chosenRates(), chosenPartitions())
        if let trim, Duration(text: trim) == nil {
            throw ValidationError("--trim: expected a duration like 1s 10m 7d, got \(FieldError.quote(trim))")
        }
        if tls, bare != nil { throw ValidationError("--tls: the bare loop (--bare) speaks none") }
        if masters != nil, tls || bare != nil {
            throw ValidationError(
                "--masters: can't be combined with --tls, nor with --bare, whose loop knows no cluster")
        }
        if admission, try !chosenStages().isSubset(of: [.append, .produce]) {
            throw ValidationError("--admission: measures --stages append,produce, and no others")
        }
        if let bare, !FileManager.default.isExecutableFile(atPath: bare) {
            throw ValidationError("--bare: there is no program \(bare). scripts/bench builds it")
        }
    }

    func run() async throws {
        let bench = BenchRun(
            BenchPlan(
                orders: orders, rounds: rounds, shops: shops, partitions: try chosenPartitions(), workers: workers,
                lanes: lanes, skus: skus, stages: try chosenStages(), rates: try chosenRates(), seconds: seconds,
                bare: bare.map { URL(filePath: $0).path }, trim: trim, isEncrypted: tls, masters: masters,
                hasAdmission: admission),
            notice: Console.error)
        let report = try await PrivateRun.run("the benchmark") { try await bench.run() }
        if json {
            try Console.printJSON(report, keys: .convertToSnakeCase)
        } else {
            BenchTable(report).lines.forEach(Console.print)
        }
    }

    private func chosenPartitions() throws -> [Int] {
        let chosen = try partitions.map { try Self.numbers($0, within: Limits.partitions, "--partitions") }
        let counts = chosen ?? [shops == 1 ? 1 : Self.partitionsAMaster * (masters ?? 1)]
        guard Set(counts).count == counts.count else {
            throw ValidationError("--partitions: \(partitions ?? "") has a number twice")
        }
        return counts
    }

    private func chosenStages() throws -> Set<BenchPlan.Stage> {
        guard let stages else { return Set(BenchPlan.Stage.allCases) }
        return Set(
            try stages.split(separator: ",", omittingEmptySubsequences: false).map { name in
                guard let stage = BenchPlan.Stage(rawValue: String(name)) else {
                    let known = BenchPlan.Stage.allCases.map(\.rawValue).joined(separator: ", ")
                    throw ValidationError("--stages: expected some of \(known), got \(FieldError.quote(String(name)))")
                }
                return stage
            })
    }

    private func chosenRates() throws -> [Int] { try Self.numbers(rates, within: 1...100_000, "--rates") }

    private static func numbers(_ list: String, within range: ClosedRange<Int>, _ option: String) throws -> [Int] {
        try list.split(separator: ",", omittingEmptySubsequences: false).map { text in
            guard let number = Int(text), range.contains(number) else {
                throw ValidationError(
                    "\(option): expected numbers from \(range.lowerBound) to \(range.upperBound) with commas, got "
                        + FieldError.quote(String(text)))
            }
            return number
        }
    }
}
