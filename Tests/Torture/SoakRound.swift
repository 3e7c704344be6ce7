import Foundation
import Harness
import PostgresClient
import PrivateServers
import RedisClient

/// One round: orders flow and faults come, all of it rests, everything is compared, and on it goes.
struct SoakRound: Sendable {
    let arena: Arena
    let crew: WorkerCrew
    let log: EventLog
    let orders: OrderSource
    let watch: StoreWatch
    let submitters: Int
    let hasAdmission: Bool
    let abilities: Abilities

    private let book = ReceiptBook()

    /// What a round did and found, but for its faults.
    struct Findings: Sendable {
        var receipts = ReceiptBook.Tally()
        var lostAsAllowed = 0
        var refusalsCompared = 0
        var submitterRuns = 0
        var workerRestarts = 0
        var fullChecks = 0
        var entriesCompared = 0
        /// At the last full check.
        var trimmed = 0
        var audits: [String: Int] = [:]
        var watch = StoreWatch.Findings()
        var violations: [String] = []
    }

    init(
        arena: Arena, crew: WorkerCrew, log: EventLog, orders: OrderSource, watch: StoreWatch, submitters: Int,
        hasAdmission: Bool, abilities: Abilities
    ) {
        self.arena = arena
        self.crew = crew
        self.log = log
        self.orders = orders
        self.watch = watch
        self.submitters = submitters
        self.hasAdmission = hasAdmission
        self.abilities = abilities
    }

    /// Runs segments until there is no further schedule, or something is found.
    ///
    /// - Parameters:
    ///   - pace: How long a submitter takes for a file, at least.
    ///   - drainLimit: How long everything may take to be applied when nothing fails any more.
    ///   - schedule: The faults of the segment of this number, from 1; nil ends the round.
    ///   - tell: Takes a line after each segment.
    /// - Returns: What was done and found.
    /// - Throws: What keeps the round from being brought to its end.
    func run(
        pace: Duration, drainLimit: Duration, schedule: (Int) -> FaultSchedule?, tell: (String) -> Void
    ) async throws -> Findings {
        let streams = (0..<submitters).map { number in
            SubmitStream(
                number, arena.submittersShop, book,
                promise: number == 0 ? .applied : number == 1 && arena.cluster != nil ? .replicated : .logged,
                mayBeRefused: hasAdmission, takesDurability: abilities.hasDurability)
        }
        let assault = Assault(
            arena: arena, crew: crew, streams: streams, book: book, watch: watch, log: log,
            hasFaultPoints: abilities.hasFaultPoints)
        var findings = Findings()
        try await withThrowingTaskGroup(of: Void.self) { background in
            background.addTask { await watch.run() }
            background.addTask { try await crew.run() }
            let probe = StoreProbe(arena.shop, partitions: Arena.partitions)
            try await waiting(upTo: .seconds(60), "the workers did not take all partitions") {
                for group in StoreContents.groups {
                    if try await probe.holders(of: group).contains(nil) { return false }
                }
                return true
            }
            if hasAdmission {
                for shop in Workload.shops { try await arena.shop.run(["admission", "on", shop]) }
            }
            var number = 1
            while let faults = schedule(number) {
                try await segment(faults, assault, streams, pace, &findings)
                try await rest(drainLimit, &findings)
                findings.watch = await watch.findings
                findings.violations += streams.flatMap(\.violations) + crew.violations + findings.watch.violations
                tell(line(number, findings))
                if !findings.violations.isEmpty { break }
                number += 1
            }
            background.cancelAll()
            try await background.waitForAll()
        }
        findings.receipts = book.tally
        findings.refusalsCompared = book.refusalsCompared
        findings.submitterRuns = streams.reduce(0) { $0 + $1.runs }
        findings.workerRestarts = crew.restarts
        return findings
    }

    /// Orders and faults at the same time, and audits.
    private func segment(
        _ faults: FaultSchedule, _ assault: Assault, _ streams: [SubmitStream], _ pace: Duration,
        _ findings: inout Findings
    ) async throws {
        orders.setOpen(true)
        let audits = try await withThrowingTaskGroup(of: [(String, String)].self) { group in
            for stream in streams {
                group.addTask {
                    try await stream.run(orders, pace: pace)
                    return []
                }
            }
            group.addTask {
                var audits: [(String, String)] = []
                while abilities.hasAudit && orders.isOpen {
                    audits.append(try await audit())
                    try await Task.sleep(for: .seconds(2))
                }
                return audits
            }
            try await assault.run(faults)
            orders.setOpen(false)
            return try await group.reduce(into: []) { $0 += $1 }
        }
        for (outcome, output) in audits {
            findings.audits["\(outcome), under load", default: 0] += 1
            if outcome.hasPrefix("disagree") || outcome.hasPrefix("ended") {
                findings.violations.append("audit under load \(outcome): \(output)")
            }
        }
    }

    /// What `onewrite audit` says: its verdict, and its words.
    private func audit() async throws -> (String, String) {
        let done: ChildProcess.Completed
        do {
            done = try await ChildProcess.run(
                [arena.shop.executable, "audit"], environment: arena.shop.environment, within: .seconds(60))
        } catch is ChildProcessError {
            return ("ended not within 60 s", "")
        }
        let words = done.output + done.errors
        switch done.status {
        case .exited(0): return ("agree", words)
        case .exited(1): return ("disagree", words)
        case .exited(69), .exited(75): return ("inconclusive", words)
        case let status: return ("ended with \(status)", words)
        }
    }

    // MARK: - At rest

    /// Waits until everything is applied, compares everything, submits again what was cut off the log, and compares
    /// that nothing at all is missing.
    private func rest(_ limit: Duration, _ findings: inout Findings) async throws {
        guard try await drained(limit, &findings) else { return }
        let contents = try await arena.shop.contents()
        findings.trimmed = contents.trimmed
        let missing = book.missing(in: contents)
        findings.lostAsAllowed += missing.cut.count
        log.add(
            "at rest: \(missing.cut.count) accepted and lost as allowed, \(missing.unanswered.count) never answered")
        take(StoreCheck(contents, receipts: book.compared(with: contents, isComplete: false)), &findings)
        // What came back from the ledger must be known as a duplicate.
        let again = book.cutChanges + missing.unanswered
        if !again.isEmpty, findings.violations.isEmpty {
            let submissions = try await Submitters(servers: arena.shop, pace: .zero).submit(again, named: "again")
            let cuts = book.submitting(again, by: -1)
            book.answered(submissions.map(\.receipt), to: again, isApplied: false, cuts: cuts)
            guard try await drained(limit, &findings) else { return }
            let contents = try await arena.shop.contents()
            take(StoreCheck(contents, receipts: book.compared(with: contents, isComplete: true)), &findings)
        }
        if abilities.hasAudit {
            let (outcome, words) = try await audit()
            findings.audits["\(outcome), at rest", default: 0] += 1
            if outcome != "agree" { findings.violations.append("audit at rest \(outcome): \(words)") }
        }
    }

    private func take(_ check: StoreCheck, _ findings: inout Findings) {
        findings.fullChecks += 1
        findings.entriesCompared += check.findings.first { $0.subject == .log }?.compared ?? 0
        for finding in check.findings {
            findings.violations += finding.differences.map { "\(finding.subject.rawValue): \($0)" }
        }
    }

    private func drained(_ limit: Duration, _ findings: inout Findings) async throws -> Bool {
        let probe = StoreProbe(arena.shop, partitions: Arena.partitions)
        let deadline = ContinuousClock.now + limit
        var reason = ""
        while ContinuousClock.now < deadline {
            do {
                let backlog = try await probe.backlog()
                if backlog == 0 { return true }
                reason = "\(backlog) entries are not applied or not acknowledged"
            } catch let error as RedisError {
                reason = "\(error)"
            } catch let error as PostgresError {
                reason = "\(error)"
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        findings.violations.append("not at rest within \(limit): \(reason)")
        return false
    }

    private func line(_ number: Int, _ findings: Findings) -> String {
        let counts = log.counts
        return """
            check \(number): \(findings.entriesCompared) compared, \(book.tally.accepted) accepted, \
            \(book.tally.duplicates) duplicates, \(book.tally.refused) refused for want of stock, \(book.tally.unknown) without answer, kills \(counts[.workerKill] ?? 0), \
            zombies \(counts[.zombie] ?? 0), refused \(findings.watch.refused), Redis kills \(counts[.redisKill] ?? 0), \
            lost tails \(counts[.tailLost] ?? 0), Postgres stops \(counts[.postgresStop] ?? 0), \
            looks \(findings.watch.looks), violations \(findings.violations.count)
            """
    }
}
