package import Connections
import OrderLog

/// What is to be done with some dead letters: planned first, and done only as it was planned.
package struct DeadLetterPlan: Sendable {
    package enum Action: Sendable {
        case retry
        /// Given up, for this reason.
        case drop(reason: String)
    }

    /// Why nothing was planned or done.
    package enum Refusal: Error {
        /// There is no letter of this name.
        case missing(String)
        /// What would be done now isn't what was confirmed.
        case outdated
    }

    /// What is planned for each letter, or what became of it.
    package let rows: [DeadLetterRow]
    /// All that the plan says: another one says something else, so nobody needs to remember any.
    package let text: String
    /// Whether there is anything to do.
    package let isEmpty: Bool

    /// Plans, or does what was confirmed.
    ///
    /// Blocks: on a lane.
    ///
    /// - Parameters:
    ///   - action: What.
    ///   - names: The letters.
    ///   - person: Who does it.
    ///   - window: The idempotency window, for changes that are appended again.
    ///   - servers: Where.
    ///   - isConfirmed: Whether the plan as it is now is the one that was confirmed; nil to plan only.
    /// - Throws: ``Refusal``; ``LogError`` or the servers' errors: try again.
    package init(
        _ action: Action, _ names: [String], by person: String = Resolution.person, window: Duration,
        on servers: Servers, confirming isConfirmed: ((DeadLetterPlan) -> Bool)? = nil
    ) throws {
        let stores = try DeadLetterStores(servers, isPostgresNeeded: true)
        let found = try stores.read()
        let letters = found.letters.filter { letter in names.contains(where: letter.isNamed) }
        if let missing = names.first(where: { name in !letters.contains { $0.isNamed(name) } }) {
            throw Refusal.missing(missing)
        }
        let retry = DeadLetterRetry(stores: stores, positions: found.positions, window: window, by: person)
        func rows(_ outcome: (DeadLetter) throws -> DeadLetterOutcome) rethrows -> [DeadLetterRow] {
            try letters.map {
                DeadLetterRow(letter: $0, now: found.now, knowsPostgres: true, outcome: try outcome($0))
            }
        }
        let plan = DeadLetterPlan(
            try rows { letter in
                switch action {
                case .retry: retry.step(for: letter).planned
                case .drop(let reason): try DeadLetterDrop(reason, by: person).run(letter, in: stores, acts: false)
                }
            }, of: action)
        guard let isConfirmed else {
            self = plan
            return
        }
        guard isConfirmed(plan) else { throw Refusal.outdated }
        self = DeadLetterPlan(
            try rows { letter in
                switch action {
                case .retry: try retry.run(letter)
                case .drop(let reason): try DeadLetterDrop(reason, by: person).run(letter, in: stores, acts: true)
                }
            }, of: action)
    }

    private init(_ rows: [DeadLetterRow], of action: Action) {
        self.rows = rows
        let said = rows.map { "\($0.letter.id)\u{0}\($0.outcome?.word ?? "")\u{0}\($0.outcome?.detail ?? "")" }
        text = (["\(action)"] + said).joined(separator: "\u{1}")
        isEmpty = !rows.contains { if case .planned = $0.outcome { true } else { false } }
    }
}
