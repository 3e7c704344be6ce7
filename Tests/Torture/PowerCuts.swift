import Foundation
import Harness
import PrivateServers
import Synchronization

/// Power cuts at any byte of the AOF, each with two later restarts, with and without new writes in between.
struct PowerCuts: Sendable {
    let seed: UInt64
    let count: Int
    /// Systems at the same time, each with servers of its own.
    let lanes: Int
    let executable: String
    let bug: String?
    let evidence: String
    let isVerbose: Bool

    /// Cuts on the same servers, before new ones are taken.
    private static let cutsOfAnArena = 20

    func run() async throws -> PowerCutReport {
        say("seed \(seed) · \(count) power cuts · \(executable)" + (bug.map { " · bug \($0)" } ?? ""))
        let start = ContinuousClock.now
        let tally = Tally(seed: seed, count: count)
        try await withThrowingTaskGroup { group in
            for _ in 0..<lanes {
                group.addTask { while let first = tally.next() { try await runArena(first, tally) } }
            }
            try await group.waitForAll()
        }
        var report = tally.report
        report.elapsed = start.duration(to: .now)
        return report
    }

    /// Cuts on one arena, until it has had enough of them or its stores differ.
    private func runArena(_ first: Int, _ tally: Tally) async throws {
        let arena = try await Arena.open(executable: executable, bug: bug)
        let crew = WorkerCrew(arena.shop(withBug: bug), ofEachGroup: 1)
        let run = PowerCutRun(arena: arena, orders: OrderSource(seed: seed &+ UInt64(first)))
        try await withThrowingTaskGroup(of: Void.self) { background in
            background.addTask { try await crew.run() }
            var number: Int? = first
            var left = Self.cutsOfAnArena
            while let cut = number {
                let outcome = await run.cut(seed: seed &+ UInt64(cut) &* 104_729)
                tally.add { $0.take(outcome, run.facts) }
                if isVerbose || outcome.isWrong { say("  cut \(cut): \(run.facts.line): \(outcome)") }
                if outcome.isWrong, bug == nil { try await arena.keepEvidence(in: "\(evidence)/\(seed)-cut-\(cut)") }
                left -= 1
                number = outcome.isWrong || left == 0 ? nil : tally.next()
            }
            background.cancelAll()
            try await background.waitForAll()
        }
        tally.add { $0.wrongEnds += crew.violations }
        await arena.close()
    }

    /// The cuts that are still to come, and the sums of those that were.
    private final class Tally: Sendable {
        private let count: Int
        private let state: Mutex<(next: Int, report: PowerCutReport)>

        init(seed: UInt64, count: Int) {
            self.count = count
            state = Mutex((0, PowerCutReport(seed: seed)))
        }

        var report: PowerCutReport { state.withLock { $0.report } }

        func next() -> Int? {
            state.withLock { state in
                guard state.next < count else { return nil }
                defer { state.next += 1 }
                return state.next
            }
        }

        func add(_ body: (inout PowerCutReport) -> Void) { state.withLock { body(&$0.report) } }
    }
}

/// How a cut ended.
enum PowerCutOutcome: Sendable, CustomStringConvertible {
    case agrees
    /// Something halted, and said so.
    case halted(String)
    /// The stores differ, and nothing said so.
    case differs([String])
    /// It could not be brought to its end.
    case broken(String)

    var isWrong: Bool { if case .agrees = self { false } else { true } }

    var description: String {
        switch self {
        case .agrees: "agrees"
        case .halted(let reason): "halted: \(reason)"
        case .differs(let differences): "differs silently: \(differences.prefix(3).joined(separator: "; "))"
        case .broken(let why): "broken: \(why)"
        }
    }
}

/// What a cut met.
struct PowerCutFacts: Sendable {
    var bytes = 0
    var lost = 0
    /// Whether half a transaction stood at the file's end.
    var isInTransaction = false
    var restarts = 0
    /// Restarts that the server refused once, loudly, since a rewrite had not ended.
    var refusals = 0

    var line: String {
        "\(bytes) bytes, \(lost) entries, \(isInTransaction ? "through a transaction" : "between two")"
    }
}

/// The sums of all cuts.
struct PowerCutReport: Sendable {
    let seed: UInt64
    var elapsed: Duration = .zero
    var cuts = 0
    var inTransactions = 0
    var lost = 0
    var restarts = 0
    var refusals = 0
    var halted = 0
    var differing = 0
    var broken = 0
    var wrongEnds: [String] = []

    init(seed: UInt64) { self.seed = seed }

    mutating func take(_ outcome: PowerCutOutcome, _ facts: PowerCutFacts) {
        cuts += 1
        if facts.isInTransaction { inTransactions += 1 }
        lost += facts.lost
        restarts += facts.restarts
        refusals += facts.refusals
        switch outcome {
        case .agrees: break
        case .halted: halted += 1
        case .differs: differing += 1
        case .broken: broken += 1
        }
    }

    var isClean: Bool { halted + differing + broken + wrongEnds.count == 0 }

    var lines: [String] {
        [
            "seed \(seed), \(Int(elapsed / .seconds(1))) s",
            "  power cuts                                                    \(cuts)",
            "  through a transaction, half of it left in the file            \(inTransactions)",
            "  entries lost                                                  \(lost)",
            "  restarts                                                      \(restarts)",
            "  restarts refused once, since a rewrite had not ended          \(refusals)",
            "  halted, and said so                                           \(halted)",
            "  stores that differ silently                                   \(differing)",
            "  not brought to an end                                         \(broken)",
        ] + wrongEnds.map { "  \($0)" } + [isClean ? "ALL STORES EQUAL" : "NOT ALL STORES EQUAL"]
    }
}
