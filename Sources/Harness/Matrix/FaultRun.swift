import Foundation
import Glibc
import PrivateServers
import ThreadedIO

/// One run of a cell: a log at work, the fault, those who take over, and the check when all is drained.
actor FaultRun {
    /// What one run came to.
    struct Outcome: Sendable {
        var violations: [String] = []
        /// Attempts of workers that were refused by token.
        var refused = 0
    }

    private static let partitions = 4

    private let cell: FaultCell
    private let shop: Shop
    private let redis: PrivateRedis
    /// The group whose worker meets the fault.
    private let group: String
    private let round: Int
    private var generator: SeededGenerator
    private let load: RunningLoad
    private let probe: StoreProbe
    private let watch: StoreWatch
    private var processes: [ChildProcess] = []

    /// - Parameters:
    ///   - cell: What is to happen.
    ///   - shop: A namespace and a folder of this run's own.
    ///   - redis: The shop's Redis.
    ///   - round: Which run of the cell this is: the groups take turns.
    ///   - seed: Where chance comes from.
    init(_ cell: FaultCell, in shop: Shop, redis: PrivateRedis, round: Int, seed: UInt64) {
        self.cell = cell
        self.shop = shop
        self.redis = redis
        self.round = round
        group = cell.groups[round % cell.groups.count]
        generator = SeededGenerator(seed: seed)
        load = RunningLoad(shop, seed: seed)
        probe = StoreProbe(shop, partitions: Self.partitions)
        // The session that locks rows is idle in its transaction.
        watch = StoreWatch(
            shop, partitions: Self.partitions, sessionsMax: 60,
            idleMax: cell.scene == .servingLockedRows ? .seconds(60) : .seconds(7))
    }

    func run() async -> Outcome {
        var outcome = Outcome()
        do {
            try await shop.run(["init", "--partitions", "\(Self.partitions)"])
            let watching = Task { [watch] in await watch.run() }
            defer { watching.cancel() }
            try await play()
            try await load.submit()
            try await drained()
            await stopAll()
            let contents = try await shop.contents()
            let check = StoreCheck(contents, receipts: load.book.compared(with: contents, isComplete: true))
            outcome.violations = check.findings.flatMap { finding in
                finding.differences.prefix(3).map { "\(finding.subject.rawValue): \($0)" }
            }
        } catch {
            // What didn't come to its end in time is wrong as well.
            outcome.violations.append("\(error)")
            await stopAll()
        }
        if !outcome.violations.isEmpty { outcome.violations += logTails }
        outcome.refused = await refusals()
        outcome.violations += await watch.findings.violations.prefix(5)
        return outcome
    }

    // MARK: - Scenes

    private func play() async throws {
        for other in StoreContents.groups where other != group { try await start(other, "\(other)-a") }
        switch cell.scene {
        case .submitting: try await playSubmitting()
        case .serving: try await meetFault(try await startPair()) { [load] in try await load.submit() }
        case .servingLockedRows: try await playLockedRows()
        case .takingOver: try await playTakingOver()
        case .opening: try await playOpening()
        }
    }

    private func playSubmitting() async throws {
        try await start(group, "\(group)-a")
        try await load.submit()
        let changes = await load.chunk()
        let (input, output) = ("\(shop.directory)/faulty.ndjson", "\(shop.directory)/faulty.receipts")
        try Data(changes.map { $0.json + "\n" }.joined().utf8).write(to: URL(filePath: input))
        let faulty = try await shop.spawn(
            ["submit", "-", "--json", "--durability", "applied"], environment: fault(passesMax: Self.partitions),
            input: .file(input), output: .appended(to: output), errors: .appended(to: shop.logPath(Self.faulty)))
        processes.append(faulty)
        load.book.submitting(changes, by: 3)
        try await meetFault(faulty) { [load] in try await load.submit(changes, by: 4) }
        if cell.action != .kill {
            let status = try await faulty.exit(within: .seconds(30))
            guard status == .exited(0) else {
                throw HarnessError.ended("the submitter", with: status, saying: text(ofLog: Self.faulty))
            }
        }
        // One that was killed may have said something before; that holds too.
        let lines = String(decoding: FileManager.default.contents(atPath: output) ?? Data(), as: UTF8.self)
        let whole = lines.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        let receipts = try whole.map {
            try JSONDecoder().decode(ReceiptLine.self, from: Data($0.utf8))
        }
        load.book.answered(receipts, to: changes, isApplied: true)
    }

    private func playLockedRows() async throws {
        let faulty = try await startPair()
        let lock = RowLock(shop)
        try await waiting(upTo: .seconds(20), "the workers did not take the rows over") { [sibling] in
            try await lock.take(ownedBy: [Self.faulty, sibling])
        }
        // Sometimes the lock outlives the statement, and sometimes the statement goes through while its worker stands.
        let hold: Duration = round % 3 == 2 ? .seconds(6) : .milliseconds(300)
        let release = Task {
            try await waitForFault()
            try await Task.sleep(for: hold)
            await lock.release()
        }
        try await meetFault(faulty) { [load] in try await load.submit() }
        try await release.value
    }

    private func playTakingOver() async throws {
        let name = "\(group)-a"
        let victim = try await start(group, name)
        try await waiting(upTo: .seconds(20), "\(name) did not serve") { [probe, group] in
            try await probe.holders(of: group).allSatisfy { $0 == name }
        }
        async let submitted: Void = load.submit()
        _ = try await probe.killInTheMiddle(victim, group: group, named: name, until: .after(.seconds(2)))
        try await submitted
        let faulty = try await start(group, Self.faulty, fault(passesMax: Self.partitions))
        try await meetFault(faulty) { [load] in try await load.submit() }
    }

    private func playOpening() async throws {
        let faulty = try await startPair()
        // On a busy machine its lease may just have run out, and another worker opens all.
        for _ in 0..<5 where !isFaultMet {
            try await load.submit()
            try await drained()
            await redis.kill()
            if round % 2 == 0 {
                load.book.cut(try LostTail.cut(redis, losing: Int.random(in: 1...40, using: &generator)))
                await watch.tailWasLost()
            }
            try await redis.restart()
            let deadline = ContinuousClock.now + .seconds(4)
            while !isFaultMet && ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
        }
        try await meetFault(faulty) { [load] in try await load.submit() }
    }

    // MARK: - The fault

    private static let faulty = "faulty"
    private var sibling: String { "\(group)-b" }

    /// Waits for the fault under load, does what its action asks for, and returns when all is drained again.
    private func meetFault(_ process: ChildProcess, _ submit: @escaping @Sendable () async throws -> Void) async throws
    {
        let submitting = Task {
            // The point may be passed only now and then.
            repeat { try await submit() } while !isFaultMet
        }
        defer { submitting.cancel() }
        try await waitForFault()
        switch cell.action {
        case .kill:
            let status = try await process.exit(within: .seconds(10))
            guard status == .killed(signal: SIGKILL) else {
                throw HarnessError.ended(Self.faulty, with: status, saying: "it should have been killed")
            }
        case .stop:
            try await waiting(upTo: .seconds(10), "\(Self.faulty) was not stopped") {
                ProcessTable.isStopped(process.pid)
            }
        case .droplink: break
        }
        if cell.scene != .submitting { try await start(group, "\(group)-c") }
        try await submitting.value
        guard cell.action == .stop else { return }
        try await drained()
        let refused = await refusals()
        process.send(SIGCONT)
        try await load.submit()
        guard cell.mustBeRefused else { return }
        try await waiting(upTo: .seconds(20), "nobody was refused by token when \(Self.faulty) went on") {
            try await load.submit()
            return await refusals() > refused
        }
    }

    private var isFaultMet: Bool { text(ofLog: Self.faulty).contains("fault: \(cell.point):\(cell.action)") }

    private func waitForFault() async throws {
        try await waiting(upTo: .seconds(30), "\(Self.faulty) never passed \(cell.point): nothing was tested") {
            isFaultMet
        }
    }

    private func fault(passesMax: Int) -> [String: String?] {
        // A submitter asks the ledger once when that has everything already.
        let pass = cell.point == "afterWait" ? 1 : Int.random(in: 1...passesMax, using: &generator)
        return ["ONEWRITE_FAULT": "\(cell.point):\(cell.action):\(pass)"]
    }

    // MARK: - Processes

    /// Starts the worker that meets the fault and one beside it; returns when both have a part of the partitions.
    private func startPair() async throws -> ChildProcess {
        let passes = cell.scene == .opening || cell.scene == .servingLockedRows ? 1 : 3
        let faulty = try await start(group, Self.faulty, fault(passesMax: passes))
        try await start(group, sibling)
        try await waiting(upTo: .seconds(20), "the workers did not share the partitions") { [probe, group] in
            try await Set(probe.holders(of: group)) == [Self.faulty, sibling]
        }
        return faulty
    }

    @discardableResult
    private func start(
        _ group: String, _ name: String, _ environment: [String: String?] = [:]
    ) async throws -> ChildProcess {
        let process = try await shop.startWorker(group: group, name: name, environment: environment)
        processes.append(process)
        return process
    }

    private func stopAll() async {
        for process in processes { process.send(SIGCONT) }
        await withTaskGroup { tasks in
            for process in processes { tasks.addTask { _ = await process.stop() } }
        }
        processes = []
    }

    private func drained() async throws {
        // A probe of its own: the server may have been restarted.
        let probe = StoreProbe(shop, partitions: Self.partitions)
        try await waiting(upTo: .seconds(60), "not everything was applied and acknowledged") {
            try await probe.backlog() == 0
        }
    }

    // MARK: - Logs

    private func text(ofLog name: String) -> String {
        String(decoding: FileManager.default.contents(atPath: shop.logPath(name)) ?? Data(), as: UTF8.self)
    }

    /// The last lines of the logs of those between whom it happened.
    private var logTails: [String] {
        ([Self.faulty] + ["a", "b", "c"].map { "\(group)-\($0)" }).flatMap { name in
            text(ofLog: name).split(separator: "\n").suffix(6).map { "| \(name): \($0)" }
        }
    }

    private func refusals() async -> Int {
        await watch.look()
        return await watch.findings.refused
    }
}
