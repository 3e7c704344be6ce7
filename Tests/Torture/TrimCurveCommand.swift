import ArgumentParser
import Foundation
import Harness
import OrderLog
import PrivateServers
import RedisClient
import RedisLog
import Synchronization
import ThreadedIO

/// `torture trim-curve`.
struct TrimCurveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trim-curve",
        abstract: "Appends and applies many orders, with trimming and without, and shows Redis's memory meanwhile.",
        discussion: """
            A worker of all groups applies while orders are submitted, as fast as it applies; a delivery service takes its \
            jobs. Once nothing is trimmed, once the worker trims what is older than --trim. Prints memory as time goes by, and \
            the rates of both.

            Example: TORTURE_BUILD=release scripts/torture trim-curve --orders 5000000
            """)

    /// Orders in one process, and how many may be left to be applied when it begins.
    private static let chunk = 50_000
    private static let patience: Duration = .seconds(1800)

    @Option(help: ArgumentHelp("How many.", valueName: "n"))
    var orders = 1_000_000

    @Option(help: ArgumentHelp("Rounds; which of the two is first alternates.", valueName: "n"))
    var rounds = 1

    @Option(help: ArgumentHelp("What the worker trims.", valueName: "age"))
    var trim = "10s"

    @Option(help: ArgumentHelp("How often memory is looked at, in seconds.", valueName: "s"))
    var every = 5

    @OptionGroup var options: TortureOptions

    func validate() throws {
        guard orders > 0, every > 0, rounds > 0 else {
            throw ValidationError("--orders, --rounds, --every: expected 1 or more")
        }
    }

    func run() async throws {
        let executable = try options.executable()
        var ratios: [Double] = []
        for round in 0..<rounds {
            var rates: [Bool: Double] = [:]
            for isTrimmed in round % 2 == 0 ? [false, true] : [true, false] {
                say(isTrimmed ? "trimmed: what is older than \(trim)" : "never trimmed")
                let rate = try await measure(executable, trim: isTrimmed ? trim : nil)
                say("\(Int(rate)) orders/s submitted and applied by all groups")
                rates[isTrimmed] = rate
            }
            if let trimmed = rates[true], let never = rates[false] { ratios.append(trimmed / never) }
        }
        say("rate when trimmed, by that when not: " + ratios.map { String(format: "%.2f", $0) }.joined(separator: ", "))
    }

    /// Submits and applies all; returns orders a second.
    private func measure(_ executable: String, trim: String?) async throws -> Double {
        let arena = try await Arena.open(executable: executable)
        var shop = arena.shop
        // The shortest window, so that what is remembered comes to rest within the run.
        shop.variables["ONEWRITE_WINDOW"] = "1m"
        shop.variables["ONEWRITE_TRIM"] = trim
        let worker = try await shop.spawn(["worker", "--name", "all"], errors: .appended(to: shop.logPath("all")))
        let end = Flag()
        let servers = shop
        async let taken: Void = takeJobs(servers, until: end)
        async let watched: Void = watch(servers, until: end)
        let start = ContinuousClock.now
        let failure = await failure { try await submit(to: servers) }
        let applied = start.duration(to: .now)
        end.raise()
        try await taken
        try await watched
        if let failure { throw failure }
        let audit = try await ChildProcess.run(
            [executable, "audit"], environment: shop.environment, within: Self.patience)
        say("audit: \(audit.output.split(separator: "\n").last ?? "?")")
        await worker.stop()
        await arena.close()
        return Double(orders) / (applied / .seconds(1))
    }

    private func failure(of body: () async throws -> Void) async -> (any Error)? {
        do {
            try await body()
            return nil
        } catch {
            return error
        }
    }

    /// Submits some whenever few are left to be applied, and waits until all are.
    private func submit(to shop: Shop) async throws {
        let probe = StoreProbe(shop, partitions: Arena.partitions)
        for start in stride(from: 0, to: orders, by: Self.chunk) {
            try await waiting(upTo: Self.patience, "most was not applied") { try await probe.backlog() <= Self.chunk }
            let lines = (start..<min(start + Self.chunk, orders)).map { number in
                #"{"id":"o\#(number)","shop":"shop-\#(number % 50)","customer":"c-\#(number % 500)","lines":"#
                    + #"[{"sku":"TEA-\#(number % 100)","quantity":2},{"sku":"MUG-\#(number % 7)","quantity":1}]}"#
                    + "\n"
            }
            let file = "\(shop.directory)/orders.ndjson"
            try lines.joined().write(toFile: file, atomically: false, encoding: .utf8)
            try await shop.run(["submit", file, "--rejects", "/dev/null"])
        }
        try await waiting(upTo: Self.patience, "not everything was applied") { try await probe.backlog() == 0 }
    }

    /// A delivery service that is quick.
    private func takeJobs(_ shop: Shop, until end: Flag) async throws {
        try await BlockingLane(name: "take").run {
            let redis = try shop.redis()
            while !end.isUp {
                let commands = (0..<Arena.partitions).map { RedisCommand("LPOP", "{onewrite:\($0)}:deliveries", 5000) }
                _ = try redis.pipeline(commands, until: .after(.seconds(10)))
                FineSleep.sleep(until: .now + .milliseconds(20))
            }
        }
    }

    private func watch(_ shop: Shop, until end: Flag) async throws {
        say("  s     orders   log entries   log MB   window MB   all MB")
        try await BlockingLane(name: "watch").run {
            let redis = try shop.redis()
            let start = ContinuousClock.now
            var next = start
            while !end.isUp {
                if ContinuousClock.now >= next {
                    try line(redis, Int(start.duration(to: .now) / .seconds(1)))
                    next += .seconds(every)
                }
                FineSleep.sleep(until: .now + .milliseconds(100))
            }
            try line(redis, Int(start.duration(to: .now) / .seconds(1)))
        }
    }

    private func line(_ redis: RedisConnection, _ seconds: Int) throws {
        func sum(_ commands: [RedisCommand]) throws -> Int {
            try redis.pipeline(commands, until: .after(.seconds(10))).reduce(0) { sum, reply in
                sum + (reply.integer.map { Int($0) } ?? reply.string.flatMap { Int($0) } ?? 0)
            }
        }
        let tags = (0..<Arena.partitions).map { "{onewrite:\($0)}" }
        let orders = try sum(tags.map { RedisCommand("HGET", "\($0):head", "seq") })
        let entries = try sum(tags.map { RedisCommand("XLEN", "\($0):log") })
        let log = try sum(tags.map { RedisCommand("MEMORY", "USAGE", "\($0):log") })
        let window = try Keys(namespace: "onewrite").map { keys in
            try (0..<Arena.partitions).reduce(0) { bytes, partition in
                try bytes + WindowMemory.bytes(keys, Partition(partition), on: redis, until: .after(.seconds(10)))
            }
        }
        let info = try redis.call(RedisCommand("INFO", "memory"), until: .after(.seconds(10))).requireString()
        let used = info.firstMatch(of: /used_memory:(\d+)/).flatMap { Int($0.1) } ?? 0
        func megabytes(_ bytes: Int) -> String { String(format: "%8.1f", Double(bytes) / 1e6) }
        func padded(_ number: Int, _ width: Int) -> String {
            let text = String(number)
            return String(repeating: " ", count: max(0, width - text.count)) + text
        }
        say(
            "\(padded(seconds, 3))  \(padded(orders, 9))  \(padded(entries, 12)) \(megabytes(log))    \(megabytes(Int(window ?? 0))) \(megabytes(used))"
        )
    }
}

/// Raised once, from any thread.
private final class Flag: Sendable {
    private let state = Mutex(false)

    var isUp: Bool { state.withLock { $0 } }
    func raise() { state.withLock { $0 = true } }
}
