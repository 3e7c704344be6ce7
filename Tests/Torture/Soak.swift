import Foundation
import Harness
import PrivateServers

/// Rounds of orders and faults, one after another.
struct Soak: Sendable {
    let seed: UInt64
    let length: Duration
    let segment: Duration
    let segments: Int
    let workers: Int
    let submitters: Int
    let firstRound: Int
    let executable: String
    let bug: String?
    let evidence: String
    let isVerbose: Bool
    /// Whether Redis is a cluster.
    let isCluster: Bool
    /// Whether orders are admitted only as far as stock covers them.
    let hasAdmission: Bool

    private var faults: [Fault] { isCluster ? Fault.ofCluster : Fault.ofServer }
    /// How long a full drain may take when nothing fails any more.
    private static let drainLimit: Duration = .seconds(90)
    private static let pace: Duration = .milliseconds(300)

    func run() async throws -> SoakReport {
        let start = ContinuousClock.now
        let abilities = try await Abilities(of: executable)
        say("seed \(seed) · \(executable) · \(abilities)")
        let again =
            "--seed \(seed)\(isCluster ? " --cluster" : "")\(hasAdmission ? " --admission" : "") --segment \(segment / .seconds(1))s --segments \(segments)"
            + " --workers \(workers) --submitters \(submitters)"
        var report = SoakReport(seed: seed, kinds: faults, again: again)
        var round = firstRound
        repeat {
            try await run(round, until: start + length, abilities, &report)
            report.rounds += 1
            report.elapsed = start.duration(to: .now)
            round += 1
        } while report.isClean && ContinuousClock.now < start + length
        if abilities.hasFaultPoints { report.violations += Self.untested(report) }
        return report
    }

    /// Sinks that never refused a zombie although there were many: what keeps it out was not tested, or isn't there.
    private static func untested(_ report: SoakReport) -> [String] {
        let zombies = report.faults[.zombie] ?? 0
        // In a short run a single one may find its connections broken, and nobody who could refuse it.
        guard zombies >= 20 else { return [] }
        return StoreContents.groups.filter { (report.refusals[$0] ?? 0) == 0 }.map {
            "\(zombies) zombies, and \($0) refused not one batch by its token"
        }
    }

    /// One round, on servers of its own.
    private func run(
        _ round: Int, until end: ContinuousClock.Instant, _ abilities: Abilities, _ report: inout SoakReport
    ) async throws {
        // The log is trimmed all the time, or never.
        let arena = try await Arena.open(
            executable: executable, bug: bug, trims: !round.isMultiple(of: 2), isCluster: isCluster)
        let log = EventLog(path: "\(arena.directory.path)/events.log", isVerbose: isVerbose)
        let system = SoakRound(
            arena: arena, crew: WorkerCrew(arena.workersShop, ofEachGroup: workers), log: log,
            orders: OrderSource(seed: seed &+ UInt64(round) &* 7919),
            watch: StoreWatch(arena.shop, partitions: Arena.partitions, sessionsMax: 40 + 8 * (workers + submitters)),
            submitters: submitters, hasAdmission: hasAdmission, abilities: abilities)
        var generator = SeededGenerator(seed: seed &+ UInt64(round) &* 104_729)
        let found: SoakRound.Findings
        do {
            found = try await system.run(
                pace: Self.pace * (submitters > 8 ? submitters / 2 : 1), drainLimit: Self.drainLimit
            ) {
                number in
                guard number <= segments, number == 1 || ContinuousClock.now < end else { return nil }
                return FaultSchedule(length: segment, of: faults, using: &generator)
            } tell: {
                say("round \(round)  \($0)")
            }
        } catch {
            arena.heal()
            try await arena.keepEvidence(in: "\(evidence)/\(seed)-\(round)")
            await arena.close()
            report.evidence.append("\(evidence)/\(seed)-\(round)")
            report.violations.append("round \(round) could not be brought to its end: \(error)")
            return
        }
        report.take(found, log.counts)
        if !found.violations.isEmpty {
            let folder = "\(evidence)/\(seed)-\(round)"
            try await arena.keepEvidence(in: folder)
            try Data(found.violations.joined(separator: "\n").utf8).write(
                to: URL(filePath: "\(folder)/violations.txt"))
            report.evidence.append(folder)
        }
        await arena.close()
    }
}

/// What the executable under test can do.
struct Abilities: Sendable, CustomStringConvertible {
    var hasAudit = false
    var hasDurability = false
    var hasFaultPoints = false

    init(of executable: String) async throws {
        func help(_ command: String) async throws -> String {
            let done = try await ChildProcess.run([executable, command, "--help"])
            return done.status == .exited(0) ? done.output : ""
        }
        hasAudit = try await help("audit").contains("onewrite audit")
        hasDurability = try await help("submit").contains("--durability")
        // A test build that can't read the variable says so, as soon as it has a connection.
        let arena = try await Arena.open(executable: executable)
        let probe = try await ChildProcess.run(
            [executable, "status"], environment: arena.shop.environment.merging(["ONEWRITE_FAULT": "?"]) { $1 })
        hasFaultPoints = probe.errors.contains("ONEWRITE_FAULT")
        await arena.close()
    }

    var description: String {
        [
            hasFaultPoints ? "with fault points" : "without fault points",
            hasDurability ? "--durability applied" : "--wait=postgres", hasAudit ? "audit" : "no audit",
        ].joined(separator: ", ")
    }
}

extension SoakReport {
    mutating func take(_ found: SoakRound.Findings, _ counts: [Fault: Int]) {
        faults.merge(counts, uniquingKeysWith: +)
        add(found.receipts)
        lostAsAllowed += found.lostAsAllowed
        refusalsCompared += found.refusalsCompared
        submitterRuns += found.submitterRuns
        workerRestarts += found.workerRestarts
        looks += found.watch.looks
        refusals.merge(found.watch.refusals, uniquingKeysWith: +)
        fullChecks += found.fullChecks
        entriesCompared += found.entriesCompared
        trimmed += found.trimmed
        audits.merge(found.audits, uniquingKeysWith: +)
        violations += found.violations
    }
}
