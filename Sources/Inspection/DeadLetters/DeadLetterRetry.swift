import Connections
package import OrderLog
import RedisLog
import ThreadedIO

/// Appends dead letters' changes again, under the IDs that they had.
///
/// Safe to repeat, whatever it was stopped at: the append is idempotent, and what is recorded behind it is a copy of
/// where the append put the change.
package struct DeadLetterRetry {
    package let stores: DeadLetterStores
    package let positions: [Group: [Partition: Seq]]
    package let window: Duration
    /// Who does it.
    package let person: String

    package init(
        stores: DeadLetterStores, positions: [Group: [Partition: Seq]], window: Duration,
        by person: String = Resolution.person
    ) {
        (self.stores, self.positions, self.window, self.person) = (stores, positions, window, person)
    }

    /// What is to be done with a letter.
    package enum Step {
        case append(Change, to: Partition)
        /// It has been appended; not every group's record says so.
        case record(Resolution)
        /// All is done, or nothing may be.
        case nothing(DeadLetterOutcome)

        /// What the plan says of it.
        package var planned: DeadLetterOutcome {
            switch self {
            case .append(_, let partition): .planned("to be appended again, to partition \(partition)")
            case .record(let resolution): .planned("to be recorded everywhere: \(resolution.text)")
            case .nothing(let outcome): outcome
            }
        }
    }

    /// Whether a letter may be appended again; decided without changing anything.
    package func step(for letter: DeadLetter) -> Step {
        if let retried = letter.retried {
            let isEverywhere = letter.parts.allSatisfy { $0.resolution?.outcome == .retried }
            return isEverywhere ? .nothing(.already(retried)) : .record(retried)
        }
        switch letter.content {
        case .unusable(let quarantine, _):
            return .nothing(.refused(.never, "it still is no change: \(quarantine.error)"))
        case .change(let change):
            if let refused = refusal(letter) { return .nothing(refused) }
            return .append(change, to: stores.identity.partitioning.partition(ofShop: change.shop))
        }
    }

    /// Does it.
    ///
    /// - Parameter letter: As ``step(for:)`` judged it.
    /// - Returns: What became of it.
    /// - Throws: ``LogError`` or the servers' errors: try again.
    package func run(_ letter: DeadLetter) throws -> DeadLetterOutcome {
        switch step(for: letter) {
        case .nothing(let outcome): return outcome
        case .record(let resolution):
            try stores.record(resolution, of: letter)
            return .done(resolution)
        case .append(let change, let partition):
            if let seq = letter.seq { try stores.redis.forget(change, at: seq, in: letter.partition, stores.keys) }
            let result = try append(change, to: partition)
            if result.outcome == .conflict {
                return .refused(
                    .never,
                    "\(change.id) is in the log with another payload, at \(partition):\(result.seq): somebody submitted "
                        + "it again, corrected. Drop this one")
            }
            if result.outcome == .refused {
                return .refused(
                    .notNow,
                    "stock doesn't cover \(change.id): \(result.shortages.map(\.description).joined(separator: "; "))")
            }
            // The log was opened anew in between, and what it had lost put back: the letter's own place is known again.
            if partition == letter.partition, result.seq == letter.seq {
                return .refused(.notNow, "the log was opened anew meanwhile, and nothing was appended")
            }
            let resolution = Resolution.retried(in: partition, result.seq, result.entry, by: person)
            try stores.record(resolution, of: letter)
            return .done(resolution)
        }
    }

    private func append(_ change: Change, to partition: Partition) throws -> Appender.Result {
        let reply = try Appender(stores.redis, keys: stores.keys, identity: stores.identity, window: window)
            .append([change], to: partition, until: .after(StreamLog.timeout))
        switch reply {
        case .appended(_, let results):
            guard let result = results.first else { throw LogError(.bug, "append.lua gave no result for a change") }
            return result
        case .closed:
            throw LogError(
                .tryAgain, "the log is closed: Redis was restarted or replaced. A worker of group postgres opens it")
        case .noLog: throw LogError(.tryAgain, "there is no log in partition \(partition). Run: onewrite init")
        case .mismatch: throw LogError(.badConfiguration, "the log in Redis is another one by now")
        case .counting(let shop):
            throw LogError(.tryAgain, "what may be sold of shop \(FieldError.shown(shop)) is being counted anew")
        case .uncountable(let what): throw LogError(.tryAgain, "what may be sold can't be told: \(what)")
        }
    }

    /// An entry that a sink applied, or will apply, would count twice there.
    ///
    /// One that claims no place was applied by nobody.
    private func refusal(_ letter: DeadLetter) -> DeadLetterOutcome? {
        guard letter.claimed != nil else { return nil }
        let others = stores.groups.filter { !letter.groups.contains($0) }
        if others.isEmpty { return nil }
        guard let seq = letter.seq else {
            return .refused(
                .notNow,
                "\(Self.list(others)) \(others.count == 1 ? "has" : "have") not set it aside, and might apply it")
        }
        let applied = others.filter { positions[$0]?[letter.partition].map { $0 >= seq } == true }
        if !applied.isEmpty {
            return .refused(
                .never,
                "\(Self.list(applied)) applied it, and would apply it twice. Bring it into \(Self.list(letter.groups)) by "
                    + "hand, then drop it")
        }
        return .refused(
            .notNow, "\(Self.list(others)) \(others.count == 1 ? "has" : "have") not reached it, and would apply it")
    }

    private static func list(_ groups: [Group]) -> String {
        groups.map(\.name).joined(separator: " and ")
    }
}
