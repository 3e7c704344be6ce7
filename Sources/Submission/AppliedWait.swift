package import Connections
package import OrderLog
import RedisLog
package import ThreadedIO

/// Waits until groups have applied what was submitted.
///
/// For one lane, whose thread it blocks.
package struct AppliedWait {
    private var stores: AppliedLook
    private let targets: [WaitTargets.Target]
    private let interrupt: Interrupt
    private let isStopping: () -> Bool
    private let say: (String) -> Void
    private let deadline: Deadline
    /// How many of the changes each group has applied, as far as is known.
    private var applied: [Group: Int] = [:]

    /// - Parameters:
    ///   - targets: What to wait for.
    ///   - servers: Where to look.
    ///   - limit: How long in all, from now.
    ///   - interrupt: Ends the pauses.
    ///   - isStopping: Ends the waiting.
    ///   - say: Takes how far the groups are.
    package init(
        for targets: WaitTargets, _ servers: Servers, within limit: Duration, interrupt: Interrupt,
        isStopping: @escaping () -> Bool, say: @escaping (String) -> Void = { _ in }
    ) {
        stores = AppliedLook(servers)
        self.targets = targets.all
        self.interrupt = interrupt
        self.isStopping = isStopping
        self.say = say
        deadline = .after(limit)
    }

    /// Returns when all groups have applied everything.
    ///
    /// - Throws: `CancellationError` when it was stopped; ``LogError`` that names the group which lags, or what was set aside.
    package mutating func run(_ groups: [Group]) throws {
        guard !targets.isEmpty else { return }
        var missing = groups
        var setAside: [String] = []
        var pause: Duration = .milliseconds(5)
        var obstacle: String?
        while !missing.isEmpty {
            if isStopping() { throw CancellationError() }
            var lagging: (group: Group, target: WaitTargets.Target, at: Seq)?
            do {
                for group in missing {
                    let (behind, reasons) = try look(at: group)
                    if let behind {
                        lagging = lagging ?? (group, behind.target, behind.at)
                    } else {
                        setAside += reasons
                        missing.removeAll { $0 == group }
                    }
                }
                obstacle = nil
            } catch {
                guard let failure = LogError(anyOf: error) else { throw error }
                guard [.unreachable, .tryAgain].contains(failure.kind), !(error is LogError) else { throw failure }
                stores.disconnect()
                obstacle = failure.message
            }
            guard !missing.isEmpty else { break }
            say(Self.text(applied, of: accepted, groups))
            if deadline.hasPassed { throw stores.timedOut(missing[0], lagging, obstacle) }
            interrupt.wait(until: min(deadline, .after(pause)))
            pause = min(pause * 2, .milliseconds(200))
        }
        if let first = setAside.first {
            let more = setAside.count > 1 ? " (and \(setAside.count - 1) more)" : ""
            throw LogError(.no, "\(first)\(more). See: onewrite dead list")
        }
    }

    /// How many places there are to wait for: those of others that came between count too.
    private var accepted: Int { targets.reduce(0) { $0 + Self.count($1, upTo: $1.last) } }

    private static func count(_ target: WaitTargets.Target, upTo seq: Seq) -> Int {
        max(0, Int(min(seq, target.last).number - target.first.number) + 1)
    }

    /// `applied of 99 994: postgres 61 200, stock 99 994`.
    private static func text(_ applied: [Group: Int], of accepted: Int, _ groups: [Group]) -> String {
        let counts = groups.map { group in
            "\(group.name) \(applied[group].map { FieldError.spaced($0) } ?? "?")"
        }
        return "applied of \(FieldError.spaced(accepted)): " + counts.joined(separator: ", ")
    }

    // MARK: - One look

    /// The first target that a group has not applied yet, and what it has set aside.
    private mutating func look(
        at group: Group
    ) throws -> (behind: (target: WaitTargets.Target, at: Seq)?, setAside: [String]) {
        let progress = try stores.progress(of: targets, in: group)
        applied[group] = zip(targets, progress).reduce(0) { sum, pair in
            if case .behind(let seq) = pair.1 { return sum + Self.count(pair.0, upTo: seq) }
            return sum + Self.count(pair.0, upTo: pair.0.last)
        }
        var setAside: [String] = []
        for (target, progress) in zip(targets, progress) {
            switch progress {
            case .applied: continue
            case .behind(let seq): return ((target, seq), [])
            case .setAside(let reason): setAside.append("\(target.id) was set aside by \(group.name): \(reason)")
            case .lost, .uncertain: if let failure = AppliedLook.failure(progress, target, group) { throw failure }
            }
        }
        return (nil, setAside)
    }
}
