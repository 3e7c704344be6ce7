import ArgumentParser
import Connections
import Foundation
import Inspection
import OrderLog

/// Which dead letters a command works on, and whether it acts.
struct DeadActionOptions: ParsableArguments {
    @Argument(help: "PARTITION:SEQ, PARTITION:ENTRY-ID, or the change's ID.")
    var letters: [String] = []

    @Flag(help: "All that are unresolved.")
    var all = false

    @Option(help: "Of those, only what this group set aside: postgres, stock or delivery.")
    var group: Group?

    @OptionGroup var acting: ActingOptions
    @OptionGroup var common: CommonOptions

    /// What was chosen, and the names for which there is nothing.
    struct Choice {
        let letters: [DeadLetter]
        let missing: [String]
    }

    /// Refuses to guess what is meant.
    ///
    /// - Parameter reason: A reason by which letters are chosen.
    /// - Throws: `ValidationError`.
    func check(reason: DeadLetter.Reason?) throws {
        let isChosen = all || reason != nil
        guard letters.isEmpty == isChosen else {
            throw ValidationError(
                isChosen
                    ? "name letters, or choose them by --all or their reason, not both"
                    : "which dead letters? Name them, or choose --all or a reason")
        }
    }

    func choice(of found: [DeadLetter], reason: DeadLetter.Reason?) -> Choice {
        guard !letters.isEmpty else {
            let chosen = found.filter { letter in
                !letter.isResolved && letter.has(reason: reason) && (group.map(letter.groups.contains) ?? true)
            }
            return Choice(letters: chosen, missing: [])
        }
        let named = found.filter { letter in
            letters.contains(where: letter.isNamed) && (group.map(letter.groups.contains) ?? true)
        }
        return Choice(letters: named, missing: letters.filter { name in !named.contains { $0.isNamed(name) } })
    }

    /// Works on each chosen letter, and says what became of it as soon as it is known.
    ///
    /// - Parameters:
    ///   - settings: Where the servers are.
    ///   - reason: A reason by which letters are chosen.
    ///   - body: Plans, or does it when it is told so; on the lane of the connections.
    /// - Throws: `Failure` with the gravest status of all, or what ended the work.
    func run(
        _ settings: Settings, reason: DeadLetter.Reason?,
        _ body:
            @escaping @Sendable (DeadLetterStores, DeadLetterReader.Found, DeadLetter, Bool) throws -> DeadLetterOutcome
    ) async throws {
        let servers = try Servers(settings, name: "onewrite-dead")
        try await servers.require(group.map { [$0] } ?? [])
        try settings.sayWhere()
        let choose = { @Sendable [self] found in choice(of: found, reason: reason) }
        let (acts, json) = (acting.acts, acting.json)
        let (statuses, missing, count) = try await CommandLane().run { _ in
            var patience = Patience()
            let (stores, found) = try patience.attempt {
                let stores = try DeadLetterStores(servers, isPostgresNeeded: true)
                return (stores, try stores.read())
            }
            let choice = choose(found.letters)
            var statuses: [ExitStatus] = []
            for (index, letter) in choice.letters.enumerated() {
                ProgressLine.say("letter \(index + 1) of \(choice.letters.count)")
                let outcome = try body(stores, found, letter, acts)
                if case .refused(let refusal, _) = outcome { statuses.append(refusal == .never ? .badRows : .tryAgain) }
                let row = DeadLetterRow(letter: letter, now: found.now, knowsPostgres: true, outcome: outcome)
                if json { try Console.printJSON(row) } else { Console.print(DeadLetterText.line(row)) }
            }
            return (statuses, choice.missing, choice.letters.count)
        }
        for name in missing { Console.error("there is no dead letter \(FieldError.quote(name))") }
        if count == 0, missing.isEmpty { Console.error("there are no such unresolved dead letters") }
        if count > 0 { acting.remind() }
        if let status = [ExitStatus.badRows, .tryAgain].first(where: statuses.contains) { throw Failure(status, "") }
        if !missing.isEmpty { throw Failure(.no, "") }
    }
}

/// A plan first, and the deed with `--yes`.
struct ActingOptions: ParsableArguments {
    @Flag(help: "Do it; without this only the plan is printed.")
    var yes = false

    @Flag(name: .customLong("dry-run"), help: "Only print the plan, also with --yes.")
    var isDryRun = false

    @Flag(help: "A JSON object a line (onewrite/dead/v1).")
    var json = false

    var acts: Bool { yes && !isDryRun }

    func remind() {
        if !acts { Console.error("nothing was changed" + (isDryRun ? "" : "; --yes does it")) }
    }
}
