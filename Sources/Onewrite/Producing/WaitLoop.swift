import Connections
import OrderLog
import Submission
import ThreadedIO

/// Looks at the stores for all callers that wait, on a thread of its own: one look a group, however many they are.
struct WaitLoop {
    private static let shortestPause: Duration = .milliseconds(1)
    private static let longestPause: Duration = .milliseconds(100)
    /// So many looks follow each other after the shortest pause: most waits are over by then.
    private static let quickLooks = 10

    private let book: WaitBook
    private var stores: AppliedLook
    /// Groups that the log was seen to have.
    private var known = Set(Group.builtIn)
    /// The first place that a group lacks, and why nothing could be told, by wait.
    private var lagging: [Int: (group: Group, target: WaitTargets.Target, at: Seq)] = [:]
    private var obstacle: String?

    init(_ servers: Servers, _ book: WaitBook) {
        stores = AppliedLook(servers)
        self.book = book
    }

    /// Returns once the book is closed.
    mutating func run() {
        var pause = Self.shortestPause
        var quick = Self.quickLooks
        var seen: Set<Int> = []
        while !book.isClosed {
            book.bell.clear()
            let waits = book.all
            guard !waits.isEmpty else {
                (seen, lagging) = ([], [:])
                // Closed, or written down, since the bell was cleared.
                if !book.isClosed, book.all.isEmpty { book.bell.wait(until: .after(.seconds(3600))) }
                continue
            }
            let numbers = Set(waits.map(\.number))
            // Who has just come is answered as soon as can be.
            if !numbers.isSubset(of: seen) { (pause, quick) = (Self.shortestPause, Self.quickLooks) }
            seen = numbers
            look(waits)
            giveUp()
            book.bell.wait(until: .after(pause))
            quick -= 1
            if quick < 0 { pause = min(pause * 2, Self.longestPause) }
        }
    }

    private mutating func look(_ waits: [WaitBook.Wait]) {
        lagging = [:]
        for group in Set(waits.flatMap(\.missing)) {
            let waits = waits.filter { $0.missing.contains(group) }
            do {
                if !known.contains(group) { try require(group) }
                let progress = try stores.progress(of: waits.flatMap(\.targets), in: group)
                var at = 0
                for wait in waits {
                    tell(wait, group, Array(progress[at..<(at + wait.targets.count)]))
                    at += wait.targets.count
                }
                obstacle = nil
            } catch {
                let failure = LogError(anyOf: error) ?? LogError(.bug, "\(error)")
                if !(error is LogError), [.unreachable, .tryAgain].contains(failure.kind) {
                    obstacle = failure.message
                    stores.disconnect()
                } else {
                    for wait in waits { book.fail(wait.number, failure) }
                }
            }
        }
    }

    private mutating func require(_ group: Group) throws {
        let groups = try stores.groups()
        guard groups.contains(group) else {
            throw LogError(
                .badConfiguration,
                "no group \(group.name); there are \(groups.map(\.name).joined(separator: ", "))")
        }
        known.formUnion(groups)
    }

    private mutating func tell(_ wait: WaitBook.Wait, _ group: Group, _ progress: [AppliedLook.Progress]) {
        var setAside: String?
        for (target, progress) in zip(wait.targets, progress) {
            switch progress {
            case .applied: continue
            case .setAside(let reason):
                setAside = setAside ?? "\(target.id) was set aside by \(group.name): \(reason)"
            case .behind(let seq):
                lagging[wait.number] = (group, target, seq)
                return
            case .lost, .uncertain:
                if let failure = AppliedLook.failure(progress, target, group) { book.fail(wait.number, failure) }
                return
            }
        }
        book.applied(wait.number, by: group, setAside: setAside)
    }

    private mutating func giveUp() {
        for wait in book.all where wait.deadline.hasPassed {
            guard let group = wait.missing.first else { continue }
            book.fail(wait.number, stores.timedOut(group, lagging[wait.number], obstacle))
        }
    }
}
