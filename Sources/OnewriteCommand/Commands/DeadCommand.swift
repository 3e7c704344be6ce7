import ArgumentParser
import Connections
import Foundation
import Inspection
import OrderLog

/// `onewrite dead`.
struct DeadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead",
        abstract: "Dead letters: entries that were set aside instead of applied.",
        discussion: """
            A dead letter is named by its place, PARTITION:SEQ, such as 5:118, or PARTITION:ENTRY-ID for an entry that was \
            added by hand; the change's own ID does too. retry, drop and take print what they would do, and do it with --yes.

            Examples:
              onewrite dead list
              onewrite dead show 5:118
              onewrite dead retry 5:118 --yes
              onewrite dead drop --with-reason added-by-hand --reason "a test" --yes
              onewrite dead take --group stock --partition 5 --reason "beyond 2^53"
            """,
        subcommands: [
            DeadListCommand.self, DeadShowCommand.self, DeadRetryCommand.self, DeadDropCommand.self,
            DeadTakeCommand.self,
        ])
}

/// `onewrite dead list`.
struct DeadListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "The dead letters that nobody has retried or dropped.",
        discussion: """
            Example:
              onewrite dead list --reason invalid --json | jq -r .letter

            GROUPS are those that set the entry aside. REASON is invalid (its fields are no change), added-by-hand (it has no \
            place in the log), taken (by a person) or unreadable (put among the dead letters by hand). Without Postgres its \
            part is unknown (postgres?).
            """)

    @Argument(help: "Only these letters.")
    var letters: [String] = []

    @Option(help: "Only what this group set aside: postgres, stock or delivery.")
    var group: Group?

    @Option(help: ArgumentHelp("Only this reason.", valueName: "reason"))
    var reason: DeadLetter.Reason?

    @Flag(help: "Also those that were retried or dropped.")
    var all = false

    @Option(help: ArgumentHelp("The most letters to show.", valueName: "N"))
    var limit = 1000

    @Flag(help: "A JSON object a line (onewrite/dead/v1).")
    var json = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard limit > 0 else { throw ValidationError("--limit: expected 1 or more, got \(limit)") }
    }

    func run() async throws {
        let look = try await DeadLetterLook.read(common, group)
        let chosen = look.chosen(named: letters, group: group, reason: reason, withResolved: all)
        let shown = Array(chosen.prefix(limit))
        if json {
            for row in shown { try Console.printJSON(row) }
        } else if !shown.isEmpty {
            Console.write(DeadLetterText.table(shown, withResolutions: all), to: STDOUT_FILENO)
        }
        if shown.isEmpty { Console.error(all ? "there are no dead letters" : "there are no unresolved dead letters") }
        if shown.count < chosen.count {
            Console.error("the first \(shown.count) of \(chosen.count); --limit shows more")
        }
        look.warn()
    }
}

/// `onewrite dead show`.
struct DeadShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Everything of one dead letter, its fields byte for byte.",
        discussion: """
            Example:
              onewrite dead show 5:118
            """)

    @Argument(help: "PARTITION:SEQ, PARTITION:ENTRY-ID, or the change's ID.")
    var letter: String

    @Flag(help: "A JSON object (onewrite/dead/v1); fields that are no text are there in base64 too.")
    var json = false

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let look = try await DeadLetterLook.read(common)
        look.warn()
        let found = look.rows.filter { $0.letter.isNamed(letter) }
        guard !found.isEmpty else { throw Failure(.no, "there is no dead letter \(FieldError.quote(letter))") }
        for var row in found {
            row.isWhole = true
            if json { try Console.printJSON(row) } else { Console.write(DeadLetterText.whole(row), to: STDOUT_FILENO) }
        }
    }
}

extension DeadLetterLook {
    fileprivate static func read(_ common: CommonOptions, _ group: Group? = nil) async throws -> DeadLetterLook {
        let servers = try Servers(try common.settings(), name: "onewrite-dead")
        try await servers.require(group.map { [$0] } ?? [])
        return try await CommandLane().run { _ in
            var patience = Patience()
            return try patience.attempt { try DeadLetterLook(servers) }
        }
    }

    func warn() {
        if let trouble { Console.error("warning: what postgres set aside is unknown: \(trouble)") }
    }
}

extension DeadLetter.Reason: ExpressibleByArgument {}
