import Foundation
import Harness
import OrderLog
import PrivateServers

/// The demo's course, from the private servers to the verdict.
package struct DemoRun: Sendable {
    private let orders: Int
    private let seed: UInt64
    private let isKept: Bool
    private let isCluster: Bool
    private let output: Output

    private static let partitions = 8
    /// How many files each submitter sends, and how long it takes for each.
    private static let files = 24
    private static let pace: Duration = .milliseconds(230)

    /// Where the demo's lines go.
    package struct Output: Sendable {
        let say: @Sendable (String) -> Void
        let warn: @Sendable (String) -> Void

        /// - Parameters:
        ///   - say: Takes a line of the story.
        ///   - warn: Takes a line on what went wrong.
        package init(say: @escaping @Sendable (String) -> Void, warn: @escaping @Sendable (String) -> Void) {
            self.say = say
            self.warn = warn
        }
    }

    /// - Parameters:
    ///   - orders: How many are submitted.
    ///   - seed: Of the workload and the kills.
    ///   - isKept: Whether servers and workers run on at the end, until the task is cancelled.
    ///   - isCluster: Whether Redis is a cluster of three masters and three replicas, which lose a master.
    ///   - output: Where lines go.
    package init(orders: Int, seed: UInt64, isKept: Bool, isCluster: Bool, output: Output) {
        self.orders = orders
        self.seed = seed
        self.isKept = isKept
        self.isCluster = isCluster
        self.output = output
    }

    /// Runs it, and removes everything.
    ///
    /// - Returns: Whether everything agrees.
    /// - Throws: `ServerError` for servers that are missing or don't start; `HarnessError` for what ended early or came to
    ///   nothing in time.
    package func run() async throws -> Bool {
        // Before anything is made: what is missing is said at once.
        _ = try (Program.redisServer(), Program.postgres("initdb"))
        let narration = Narration(output.say)
        let directory = try await PrivateDirectory()
        narration.say(
            "seed \(seed) · \(FieldError.spaced(orders)) orders · all of it in \(directory.path), removed at the end")
        do {
            let verdict = try await run(in: directory, narration)
            await directory.remove()
            return verdict
        } catch {
            await directory.remove()
            throw error
        }
    }

    private func run(in directory: PrivateDirectory, _ narration: Narration) async throws -> Bool {
        async let startedRedis = startRedis(in: directory)
        async let startedPostgres = PrivatePostgres.start(in: directory)
        let (redis, postgres) = (try await startedRedis, try await startedPostgres)
        var servers = Shop(
            redisURL: redis.url, postgresURL: postgres.url, namespace: "onewrite",
            executable: try Shop.ownExecutable(), directory: directory.path)
        // What a master takes along when it is killed, a submitter must not have been promised.
        if isCluster { servers.variables["ONEWRITE_DURABILITY"] = "replicas=1" }
        let probe = StoreProbe(servers, partitions: Self.partitions)
        let fleet = WorkerFleet(servers, probe)
        let verdict: Result<Bool, any Error>
        do {
            let name = isCluster ? "Redis Cluster of three masters and three replicas" : "Redis"
            narration.say("a private \(name) and Postgres answer")
            verdict = .success(try await run(servers, redis, probe, fleet, narration))
        } catch {
            if !(error is CancellationError) { fleet.logTails.forEach(output.warn) }
            verdict = .failure(error)
        }
        await fleet.stopAll()
        await redis.stop()
        // Nobody reads what an orderly stop would write.
        await postgres.stop(.immediate)
        return try verdict.get()
    }

    private func startRedis(in directory: PrivateDirectory) async throws -> PrivateRedisServers {
        isCluster ? .cluster(try await .start(in: directory)) : .one(try await .start(in: directory))
    }

    private func run(
        _ servers: Shop, _ redis: PrivateRedisServers, _ probe: StoreProbe, _ fleet: WorkerFleet,
        _ narration: Narration
    ) async throws -> Bool {
        var generator = SeededGenerator(seed: seed)
        let made = try await servers.run(["init", "--partitions", "\(Self.partitions)"])
        narration.say("onewrite init · " + made.trimmingCharacters(in: .whitespacesAndNewlines))
        try await fleet.startAll()
        narration.say("six workers: " + WorkerFleet.names.map(\.description).joined(separator: " "))

        var (submissions, tally) = try await flow(servers, redis, probe, fleet, narration, &generator)
        let lastPieces = try await LastPieces.run(on: servers, Submitters(servers: servers, pace: Self.pace))
        submissions += lastPieces.submissions
        narration.say(
            "admission on: \(LastPieces.clients) clients wanted one of the last \(LastPieces.pieces) pieces: "
                + "\(lastPieces.sold) accepted, \(lastPieces.refused) refused")
        try await waiting(upTo: .seconds(60), "not everything was applied") { try await probe.backlog() == 0 }
        narration.say("every group has applied and acknowledged everything")
        let contents = try await servers.contents()
        // What a killed master's clients didn't hear of, they submitted again.
        let check = StoreCheck(contents, submissions, answersMayBeLost: isCluster)
        narration.say("compared with plain SQL and plain Redis commands, by none of Onewrite's code")

        let dualWrite = DualWriteKills(servers: servers, probe: probe, orders: orders, seed: seed)
        try await BlockingLane(name: "naive").run { try DualWrite.create(on: servers.postgres()) }
        narration.say("beside it a naive dual write: the same orders to Postgres, then Redis, then the delivery list")
        let naive = try await dualWrite.run(kills: tally.kills, using: &generator)
        narration.say("… killed -9 as often. Now two naive clients set the same stock count, \(CountRace.rounds) times")
        let naiveRaces = try await CountRace.runNaively(on: servers, seed: generator.next())
        let naiveSold = try await LastPieces.runNaively(on: servers, seed: generator.next())
        narration.say("… and as many naive clients want the last pieces: done")

        let summary = DemoSummary(
            orders: orders, tally: tally, check: check, racesThatDiffer: contents.racesThatDiffer, naive: naive,
            naiveRacesThatDiffer: naiveRaces, lastPieces: lastPieces, naiveSold: naiveSold)
        summary.lines.forEach(output.say)
        if isKept { await keep(servers) }
        return check.isClean && lastPieces.isRight
    }

    /// Submits everything while workers are killed.
    private func flow(
        _ servers: Shop, _ redis: PrivateRedisServers, _ probe: StoreProbe, _ fleet: WorkerFleet,
        _ narration: Narration, _ generator: inout SeededGenerator
    ) async throws -> ([Submission], KillSchedule.Tally) {
        let workload = Workload(orders: orders, filesEach: Self.files, using: &generator)
        narration.say(
            "three submitters: \(FieldError.spaced(orders)) orders in \(Workload.shops.count) shops, "
                + "\(FieldError.spaced(workload.submittedTwice)) of them submitted twice; "
                + "\(workload.cancellations) cancellations, \(workload.returns) returns, \(workload.counts) stock counts, "
                + "\(workload.receptions) receptions")
        let submitters = Submitters(servers: servers, pace: Self.pace)
        async let submitted = submitters.run(workload)
        if case .cluster(let cluster) = redis {
            try await ClusterTrouble(cluster: cluster, namespace: servers.namespace, narration: narration)
                .run(partitions: Self.partitions)
            await probe.renew()
        }
        let tally = try await KillSchedule(fleet: fleet, probe: probe, narration: narration).run(using: &generator)
        var submissions = try await submitted
        let accepted = submissions.count { $0.receipt.outcome == "accepted" }
        narration.say(
            "all submitted: \(FieldError.spaced(accepted)) accepted, "
                + "\(FieldError.spaced(submissions.count - accepted)) known already")
        async let first = submitters.submit(CountRace.changes(ofClient: 0), named: "race-0")
        async let second = submitters.submit(CountRace.changes(ofClient: 1), named: "race-1")
        submissions += try await first + second
        narration.say("two clients have set the same stock count at the same time, \(CountRace.rounds) times")
        return (submissions, tally)
    }

    /// Waits for Ctrl-C.
    private func keep(_ servers: Shop) async {
        for line in [
            "", "servers and workers run on until Ctrl-C. In another terminal:",
            "  export REDIS_URL='\(servers.redisURL)'", "  export DATABASE_URL='\(servers.postgresURL)'",
            "  onewrite status", "the workers' logs: \(servers.directory)/*.log",
        ] { output.say(line) }
        while !Task.isCancelled {
            do { try await Task.sleep(for: .seconds(3600)) } catch { return }
        }
    }
}

extension StoreContents {
    /// In how many rounds of ``CountRace`` Postgres and Redis ended with different counts.
    var racesThatDiffer: Int {
        let rounds = stockInPostgres.filter { $0.key.shop == CountRace.shop }
        return CountRace.rounds - rounds.count { stockInRedis[$0.key] == $0.value }
    }
}
