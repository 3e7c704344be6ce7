import Connections
import Inspection
import Onewrite
import OrderLog
import Reports

/// Plans and does what a person asks for on the dashboard, as `onewrite dead` does.
struct DeedRun: Sendable {
    let servers: Servers
    /// The idempotency window, for changes that are appended again.
    let window: Duration

    /// Plans, or does what was confirmed.
    ///
    /// - Parameters:
    ///   - deed: What.
    ///   - plan: The plan that was confirmed; nil to plan.
    /// - Returns: What would be done, or was.
    /// - Throws: ``LogError`` or the servers' errors.
    func run(_ deed: Deed, confirming plan: String?) async throws -> Deed.Outcome {
        switch deed {
        case .retry(let letter): try await act(.retry, letter, plan)
        case .drop(let letter, let reason): try await act(.drop(reason: reason), letter, plan)
        case .take(let group, let partition, let reason): try await take(group, partition, reason, plan)
        }
    }

    private func act(_ action: DeadLetterPlan.Action, _ letter: String, _ plan: String?) async throws -> Deed.Outcome {
        try await CommandLane().run { [servers, window] _ in
            do {
                let found = try DeadLetterPlan(
                    action, [letter], window: window, on: servers,
                    confirming: plan.map { plan in { $0.text == plan } })
                return Deed.Outcome(
                    lines: found.rows.map(DeadLetterText.line),
                    plan: plan == nil && !found.isEmpty ? found.text : nil)
            } catch DeadLetterPlan.Refusal.missing(let name) {
                throw LogError(.no, "there is no dead letter \(FieldError.quote(name))")
            } catch DeadLetterPlan.Refusal.outdated {
                throw LogError(.no, "what it would do has changed since, and nothing was changed")
            }
        }
    }

    /// The plan is the entry's seq: that one is taken, or none.
    private func take(_ name: String, _ partition: Int, _ reason: String, _ plan: String?) async throws -> Deed.Outcome
    {
        guard let group = Group(name) else { throw LogError(.no, "there is no group \(FieldError.quote(name))") }
        let seq = plan.flatMap { Int64($0) }.map { Seq($0) }
        let take = DeadLetterTake(group: group, partition: Partition(partition), seq: seq, reason: reason)
        let row = try await CommandLane().run { [servers] _ in
            try await take.run(servers, isServed: false, acts: plan != nil)
        }
        return Deed.Outcome(
            lines: [DeadLetterText.line(row)], plan: plan == nil ? row.letter.seq?.description : nil)
    }
}
