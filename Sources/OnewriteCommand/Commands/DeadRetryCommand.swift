import ArgumentParser
import Inspection
import OrderLog

/// `onewrite dead retry`.
struct DeadRetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Append dead letters again as new changes, once their cause is mended.",
        discussion: """
            Example:
              onewrite dead retry 5:118 --yes

            The change keeps its ID and gets a new place, so repeating this never doubles it. What any sink has applied, or \
            has not reached yet, is refused: it would count twice there. So is what still is no change.
            """)

    @Option(help: ArgumentHelp("All with this reason.", valueName: "reason"))
    var reason: DeadLetter.Reason?

    @OptionGroup var options: DeadActionOptions

    func validate() throws { try options.check(reason: reason) }

    func run() async throws {
        let settings = try options.common.settings()
        let window = try settings.window()
        try await options.run(settings, reason: reason) { stores, found, letter, acts in
            let retry = DeadLetterRetry(stores: stores, positions: found.positions, window: window)
            return acts ? try retry.run(letter) : retry.step(for: letter).planned
        }
    }
}

/// `onewrite dead drop`.
struct DeadDropCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop",
        abstract: "Give dead letters up, for a reason that is recorded.",
        discussion: """
            Example:
              onewrite dead drop 5:118 --reason "a test, never to be delivered" --yes

            The letters stay where they are, since they account for their places in the log; who dropped them, when and why \
            is recorded beside them, and nothing lists or counts them any longer.
            """)

    @Option(help: ArgumentHelp("Why.", valueName: "text"))
    var reason: String

    @Option(
        name: .customLong("with-reason"),
        help: ArgumentHelp("All that were set aside for this reason.", valueName: "reason"))
    var setAsideReason: DeadLetter.Reason?

    @OptionGroup var options: DeadActionOptions

    func validate() throws {
        try options.check(reason: setAsideReason)
        try ReasonText.check(reason)
    }

    func run() async throws {
        let drop = DeadLetterDrop(reason)
        try await options.run(try options.common.settings(), reason: setAsideReason) { stores, _, letter, acts in
            try drop.run(letter, in: stores, acts: acts)
        }
    }
}

extension ReasonText {
    /// - Throws: `ValidationError` that names the option.
    static func check(_ text: String, _ name: String = "--reason") throws {
        guard isUsable(text) else { throw ValidationError("\(name): expected a text of 1 to \(bytesMax) bytes") }
    }
}
